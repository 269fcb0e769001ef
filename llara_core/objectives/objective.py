"""What an objective is: the examples of its steps, its loss, what validation watches, and what it leaves behind."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.step_plan import StepPlan
from llara_core.params.objectives import Recipe
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.model import SequentialRecommender
from llara_core.tables.processed import Processed

Example = TypeVar("Example")


@dataclass(frozen=True)
class Sources:
    """What objectives are made from.

    Attributes:
        params: all of params.yaml.
        tables: catalogue, sequences and candidate sets.
        recommender: from which the hybrid model's item embeddings are, in evaluation mode.
        hybrid: loads the language model with fresh LoRA weights and projector, the same one at every call. Objectives
            call it when all else that could be wrong has been looked at.
        writer: of prompts in the dataset's words.
        encoder: with the language model's tokenizer.
    """

    params: Params
    tables: Processed
    recommender: SequentialRecommender
    hybrid: Callable[[], HybridCausalLM]
    writer: PromptWriter
    encoder: PromptEncoder


class Objective(ABC, Generic[Example]):
    """One way of training a hybrid language model.

    Attributes:
        plan: the examples of every step.
        model: maps a batch to its summed loss; the batch's `labels` say how many targets that is.
        recipe: the objective's entry in params.yaml.
        watched: name of what `validate` returns.
    """

    plan: StepPlan[Any, Example]
    model: nn.Module
    recipe: Recipe
    watched: str

    @abstractmethod
    def collate(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Stack planned examples into a micro-batch."""

    @abstractmethod
    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """Everything that is trained, in groups, with each group's learning rate: LoRA's, the projector's, others."""

    @abstractmethod
    def validate(self) -> float:
        """Measure the model on validation, in evaluation mode; higher is better."""

    def beside_the_projector(self) -> list[nn.Parameter]:
        """All that is trained but the projector."""
        lora, _, *others = self.rates()
        return [weight for weights, _ in (lora, *others) for weight in weights]

    @property
    def head(self) -> Mapping[str, Tensor]:
        """Weights beside LoRA's and the projector's that belong to the adapter, by name."""
        return {}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and back into the mode that it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def lora_and_projector(hybrid: HybridCausalLM, recipe: Recipe) -> list[tuple[list[nn.Parameter], float]]:
    """Group what every objective trains."""
    lora = [parameter for parameter in hybrid.llm.parameters() if parameter.requires_grad]
    return [(lora, recipe.lr), (list(hybrid.projector.parameters()), recipe.projector_lr)]
