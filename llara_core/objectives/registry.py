"""Finding an objective by its name."""

from importlib import import_module
from typing import Any

from llara_core.objectives.objective import Objective, Sources
from llara_core.params.objectives import Recipe, RecipeWithHead


def build_objective(name: str, sources: Sources) -> Objective[Any]:
    """Build the objective `name`, ready to be trained."""
    module = import_module(f"{__package__}.{name}.objective")
    objective: Objective[Any] = getattr(module, f"{name.capitalize()}Objective")(sources)
    return objective


def layers_read(recipe: Recipe) -> int | None:
    """How many of the language model's layers an objective reads, from the bottom; None: all."""
    return recipe.layers if isinstance(recipe, RecipeWithHead) else None
