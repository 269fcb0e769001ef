"""The shape of a language model, by its config.json alone, and the parameters that follow from it.

With H the width, A and K those of all query and of all key or value heads, I the width inside the perceptron and V the
vocabulary, a layer has the linear maps q H×A, k and v H×K, o A×H, gate and up H×I, down I×H, and norms of H each. So

    layer = 2 H A + 2 H K + 3 H I + biases + norms
    model = V H + layers · layer + H (final norm) + V H (head, unless it is the embedding)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from llara_core.errors import ModelError


@dataclass(frozen=True)
class Family:
    """What models of one `model_type` have beside the common parts.

    Attributes:
        norms: of width H in a layer.
        input_bias: whether q, k and v have biases; None: config.json says (attention_bias).
        head_norms: whether queries and keys have a norm over a head's width.
        tied: whether the embedding is the head where config.json is silent.
    """

    norms: int = 2
    input_bias: bool | None = None
    head_norms: bool = False
    tied: bool = False


FAMILIES = {
    "llama": Family(),
    "mistral": Family(input_bias=False),
    "qwen2": Family(input_bias=True),
    "qwen3": Family(head_norms=True),
    "gemma": Family(tied=True),
    "gemma2": Family(norms=4, tied=True),
    "gemma3_text": Family(norms=4, head_norms=True, tied=True),
}
_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


@dataclass(frozen=True)
class Linear:
    """A linear map of a layer, from `inputs` to `outputs` features."""

    inputs: int
    outputs: int


@dataclass(frozen=True)
class Shape:
    """A causal language model of one of FAMILIES.

    Attributes:
        model_type: its family.
        hidden: H.
        intermediate: I.
        layers: how many.
        heads: of queries.
        kv_heads: of keys and values.
        head_dim: width of a head.
        vocabulary: V.
        context: tokens that it can read.
        tied: whether the embedding is the vocabulary's head.
        input_bias: whether q, k and v have biases.
        output_bias: whether o has.
        mlp_bias: whether gate, up and down have.
        caps_scores: whether scores of attention are capped.
        caps_logits: whether the vocabulary's logits are.
    """

    model_type: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    tied: bool
    input_bias: bool
    output_bias: bool
    mlp_bias: bool
    caps_scores: bool
    caps_logits: bool

    @classmethod
    def of(cls, config: Mapping[str, Any], name: str) -> Self:
        """Read config.json's fields.

        Raises:
            ModelError: it is of a family that isn't known here, or a size is missing or no positive whole number; it
                calls the model `name`.
        """
        if (family := FAMILIES.get(kind := str(config.get("model_type")))) is None:
            raise ModelError(f"{name}: config.json: model_type must be one of {', '.join(FAMILIES)}, got {kind}")
        optional = {"num_key_value_heads": config.get("num_attention_heads"), "max_position_embeddings": 4096}
        sizes: dict[str, Any] = {field: config.get(field) or optional.get(field) for field in (*_SIZES, *optional)}
        if head_dim := config.get("head_dim"):
            sizes["head_dim"] = head_dim
        for field, size in sizes.items():
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ModelError(f"{name}: config.json: {field} must be a positive whole number, got {size!r}")
        attention_bias = bool(config.get("attention_bias", False))
        return cls(
            model_type=kind,
            hidden=sizes["hidden_size"],
            intermediate=sizes["intermediate_size"],
            layers=sizes["num_hidden_layers"],
            heads=sizes["num_attention_heads"],
            kv_heads=sizes["num_key_value_heads"],
            head_dim=sizes.get("head_dim", sizes["hidden_size"] // sizes["num_attention_heads"]),
            vocabulary=sizes["vocab_size"],
            context=sizes["max_position_embeddings"],
            tied=bool(config.get("tie_word_embeddings", family.tied)),
            input_bias=attention_bias if family.input_bias is None else family.input_bias,
            output_bias=attention_bias and family.input_bias is None,
            mlp_bias=bool(config.get("mlp_bias", False)),
            caps_scores=bool(config.get("attn_logit_softcapping", kind == "gemma2")),
            caps_logits=bool(config.get("final_logit_softcapping", kind == "gemma2")),
        )

    @property
    def queries(self) -> int:
        """A, the width of all query heads."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """K, the width of all key heads, and of all value heads."""
        return self.kv_heads * self.head_dim

    @property
    def linears(self) -> dict[str, Linear]:
        """The linear maps of a layer, by the names that `lora.targets` uses."""
        wide, inner = self.hidden, self.intermediate
        return {
            "q_proj": Linear(wide, self.queries),
            "k_proj": Linear(wide, self.keys),
            "v_proj": Linear(wide, self.keys),
            "o_proj": Linear(self.queries, wide),
            "gate_proj": Linear(wide, inner),
            "up_proj": Linear(wide, inner),
            "down_proj": Linear(inner, wide),
        }

    @property
    def layer_matrices(self) -> int:
        """Weights of a layer's linear maps, in which nearly all of its work is."""
        return sum(linear.inputs * linear.outputs for linear in self.linears.values())

    @property
    def layer(self) -> int:
        """Parameters of a layer."""
        family = FAMILIES[self.model_type]
        biases = self.input_bias * (self.queries + 2 * self.keys) + self.output_bias * self.hidden
        biases += self.mlp_bias * (2 * self.intermediate + self.hidden)
        norms = family.norms * self.hidden + family.head_norms * 2 * self.head_dim
        return self.layer_matrices + biases + norms

    @property
    def embedding(self) -> int:
        """Parameters of the token embeddings."""
        return self.vocabulary * self.hidden

    @property
    def vocabulary_head(self) -> int:
        """Parameters of the vocabulary's head; 0 where it is the embedding."""
        return 0 if self.tied else self.embedding

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.embedding + self.layers * self.layer + self.hidden + self.vocabulary_head

    def lowest(self, layers: int | None) -> Self:
        """Return the model with its lowest `layers` alone, below its final norm; None: all.

        Raises:
            ModelError: it hasn't so many.
        """
        if layers is not None and layers > self.layers:
            raise ModelError(f"objectives.*.layers must be ≤ the model's {self.layers}, got {layers}")
        return self if layers is None else replace(self, layers=layers)
