"""What a training step keeps for its backward pass, by token: formulas that tests hold against autograd's own tensors.

In bytes a token, with the letters of `shapes`, a the bytes of the model's numbers (2 if its weights or the products are
bfloat16, else 4), l those of LoRA's inputs (2 where products are bfloat16, else 4), r LoRA's rank and t its number of
maps in a layer, one layer keeps

    norms      n (4 H + 4)          n norms' inputs, always float32, with their scale
    attention  a (2 A + 2 K) + 4 heads        queries, keys, values, result; the softmax's sums
    perceptron a 3 I                gate, its activation, up
    LoRA       l r t, and its maps' inputs: 4 (2 H + I) where they share them (float32, no dropout), else
               l (5 H + A + I)
    dropout    m (5 H + A + I)      its masks: m is 4 on a CPU, 1 on a GPU, 0 without

where A's share of LoRA's inputs is attention's result, kept already, when they are shared. Where products are bfloat16,
LoRA's matrices are kept as copies of 2 bytes a weight, and so are the base model's if its own weights are float32.
Beside maps of 4 bits, whose products keep nothing of their own, peft's LoRA keeps what it keeps beside others; their
results have the type of their inputs, so that the perceptron's are float32 where the norms' are.
Eager attention (`llms.*.attention`) has no fused kernel: it keeps keys and values repeated for all heads of queries,
a 3 A, its result only for LoRA's sake, and scores, of each head and of each token of the text, in the forms that they
have on the way: 4 bytes as float32, a where they are capped, and 2 as a copy where the model's numbers are bfloat16.

Gradient checkpointing keeps a H of each layer and makes the rest of one layer at a time anew.
"""

from dataclasses import dataclass

from llara_core.params.params import Params
from llara_core.planning.shapes import FAMILIES, Shape
from llara_core.planning.trained import adapted

_SHARED = (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",))
"""Maps that read the same input."""
_KEPT = "o_proj"
"""Reads what attention keeps anyway."""


@dataclass(frozen=True)
class Numbers:
    """How numbers are kept in a step.

    Attributes:
        weight: bytes of a weight of the base model.
        products: whether matrix products are bfloat16 under autocast.
        rank: of LoRA.
        targets: the maps of a layer that have LoRA weights.
        dropout: whether LoRA's inputs have dropout.
        mask: bytes of a dropout mask's number on the device.
        eager: whether scores of attention are stored.
        quantised: whether the base model's linear maps are kept in 4 bits; `weight` is that of the others then.
    """

    weight: int
    products: bool
    rank: int
    targets: tuple[str, ...]
    dropout: bool
    mask: int
    eager: bool
    quantised: bool = False

    @property
    def inside(self) -> int:
        """Bytes of a number inside the model."""
        return 2 if self.products or self.weight == 2 else 4

    @property
    def perceptron(self) -> int:
        """Bytes of a number in the perceptron, between maps that get the norms' results."""
        return 4 if self.quantised and self.weight == 4 else self.inside

    @property
    def lora(self) -> int:
        """Bytes of a number in LoRA's inputs."""
        return 2 if self.products else 4

    @property
    def shares(self) -> bool:
        """Whether LoRA's own product applies, which keeps an input once for all maps that read it."""
        return not (self.products or self.dropout) and self.weight == 4


def numbers(params: Params, shape: Shape, device: str) -> Numbers:
    """Return how the selected params keep numbers on a `device`, cpu or cuda."""
    return Numbers(
        weight=2 if params.selected_llm.dtype == "bfloat16" else 4,
        products=params.train.precision == "bfloat16",
        rank=params.lora.rank,
        targets=tuple(adapted(shape, params.lora)),
        dropout=params.lora.dropout > 0,
        mask=4 if device == "cpu" else 1,
        eager=params.selected_llm.attention == "eager",
        quantised=params.selected_llm.quantization is not None,
    )


def layer_token_bytes(shape: Shape, kept: Numbers, width: int) -> int:
    """Bytes that one layer keeps of a token in a text of `width` tokens."""
    family = FAMILIES[shape.model_type]
    norms = family.norms * (4 * shape.hidden + 4)
    if family.head_norms:
        norms += 4 * (shape.queries + shape.keys + shape.heads + shape.kv_heads)
    return norms + _attention(shape, kept, width) + kept.perceptron * 3 * shape.intermediate + _lora(shape, kept)


def _attention(shape: Shape, kept: Numbers, width: int) -> int:
    inside = kept.inside
    if not kept.eager:
        return inside * 2 * (shape.queries + shape.keys) + 4 * shape.heads
    result = inside * shape.queries if kept.shares and _KEPT in kept.targets else 0
    score = 4 + inside * shape.caps_scores + (2 if inside == 2 else 0)
    return inside * 3 * shape.queries + result + score * shape.heads * width


def _lora(shape: Shape, kept: Numbers) -> int:
    inner = kept.lora * kept.rank * len(kept.targets)
    if kept.shares:
        groups = [group for group in _SHARED if set(group) & set(kept.targets) and _KEPT not in group]
        return inner + 4 * sum(shape.linears[group[0]].inputs for group in groups)
    inputs = sum(shape.linears[name].inputs for name in kept.targets)
    return inner + (kept.lora + (kept.mask if kept.dropout else 0)) * inputs


def layer_copies(shape: Shape, kept: Numbers) -> int:
    """Bytes of the copies of a layer's weights that are kept with its activations, whatever the tokens."""
    if not kept.products:
        return 0
    copied = kept.weight == 4 and not kept.quantised
    lora = kept.rank * sum(shape.linears[name].inputs + shape.linears[name].outputs for name in kept.targets)
    return 2 * lora + (2 * shape.layer_matrices if copied else 0)


def kept_bytes(shape: Shape, kept: Numbers, rows: int, width: int, *, checkpointing: bool) -> int:
    """Bytes of activations that all layers, and the final norm, keep of `rows` texts of `width` tokens."""
    tokens = rows * width
    layer = tokens * layer_token_bytes(shape, kept, width) + layer_copies(shape, kept)
    final = tokens * (4 * shape.hidden + 4)
    if not checkpointing:
        return shape.layers * layer + final
    return shape.layers * tokens * kept.inside * shape.hidden + layer + final


def working_bytes(shape: Shape, kept: Numbers, rows: int, width: int) -> int:
    """Bytes that the backward pass of one layer has at hand beside them: gradients of the perceptron's three parts."""
    return rows * width * (3 * shape.intermediate + 2 * shape.hidden) * max(kept.inside, kept.lora)
