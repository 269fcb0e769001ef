"""What finetuning trains, counted before anything is built.

LoRA of rank r puts r (inputs + outputs) weights beside a linear map. With D the width of the recommender's vectors, H
the language model's and h `projector.hidden`, the projector has

    linear       D H + H
    mlp          D h + h + (depth − 2)(h² + h) + h H + H
    transformer  D h + h + blocks (12 h² + 13 h) + h H + H

and D + 1 more with a gate; the head of `stream` H D + D, that of `choice` two of them.
"""

from dataclasses import dataclass

from llara_core.errors import ParamsError
from llara_core.params.params import Params
from llara_core.params.projector import MlpProjector, TransformerProjector
from llara_core.params.sections import Lora
from llara_core.planning.shapes import Shape

_HEADS = {"answer": 0, "choice": 2, "stream": 1}
"""Maps into the recommender's space."""


@dataclass(frozen=True)
class Trained:
    """Numbers of weights; all are in float32."""

    lora: int
    projector: int
    head: int

    @property
    def all(self) -> int:
        """The sum."""
        return self.lora + self.projector + self.head


def adapted(shape: Shape, lora: Lora) -> list[str]:
    """Name the linear maps of a layer that get LoRA weights.

    Raises:
        ParamsError: one of `lora.targets` is none.
    """
    names = list(shape.linears)
    if lora.targets == "all-linear":
        return names
    if unknown := [name for name in lora.targets if name not in names]:
        raise ParamsError(f"lora.targets must name linear layers of the model ({', '.join(names)}), got {unknown}")
    return [name for name in names if name in lora.targets]


def count_trained(params: Params, shape: Shape) -> Trained:
    """Count what is trained beside the `shape` that is read.

    Raises:
        ParamsError: one of `lora.targets` names nothing.
    """
    linears, dim = shape.linears, params.selected_recommender.dim
    sides = sum(linears[name].inputs + linears[name].outputs for name in adapted(shape, params.lora))
    maps = _HEADS[params.train.objective.name]
    return Trained(
        lora=shape.layers * params.lora.rank * sides,
        projector=_projector(params, dim, shape.hidden),
        head=maps * (shape.hidden * dim + dim),
    )


def _projector(params: Params, dim: int, wide: int) -> int:
    gate = dim + 1 if params.fusion.kind == "gate" else 0
    match params.projector:
        case MlpProjector(depth=depth, hidden=inner):
            middle = (depth - 2) * (inner * inner + inner)
            return gate + dim * inner + inner + middle + inner * wide + wide
        case TransformerProjector(blocks=blocks, hidden=inner):
            return gate + dim * inner + inner + blocks * (12 * inner * inner + 13 * inner) + inner * wide + wide
        case _:
            return gate + dim * wide + wide
