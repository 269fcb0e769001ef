"""The families of language models that can be read, by `model_type`, and what those differ in that reads around them.

A family is one of transformers' whose embeddings take behavioural tokens as they are, whose head is the map that
`HybridCausalLM` applies, and whose masks are known here; tests ask a tiny one of each everything that there is to ask.
"""

from typing import Literal

from transformers import PreTrainedConfig

Windows = Literal["none", "everywhere", "by_layer"]
"""Which layers see the latest tokens alone: none, all if config.json has a `sliding_window`, or those that are named
sliding in its `layer_types`."""

FAMILIES: dict[str, Windows] = {
    "llama": "none",
    "mistral": "everywhere",
    "qwen2": "by_layer",
    "qwen3": "by_layer",
    "gemma": "none",
    "gemma2": "by_layer",
    "gemma3_text": "by_layer",
}


def caps_scores(config: PreTrainedConfig) -> bool:
    """Whether attention's scores are capped, which PyTorch's fused kernels don't do."""
    # By transformers' word the whole family of Gemma 2 is, whatever its config.json says.
    return config.model_type == "gemma2" or getattr(config, "attn_logit_softcapping", None) is not None


def logit_cap(config: PreTrainedConfig) -> float | None:
    """Return what the vocabulary's logits are squeezed below, c in c tanh(x / c); None: they aren't."""
    cap: float | None = getattr(config, "final_logit_softcapping", None)
    return cap


def keep_lowest(config: PreTrainedConfig, layers: int) -> None:
    """Make a configuration one of the lowest `layers` alone, in what it says of each of them too."""
    config.num_hidden_layers = layers
    if kinds := getattr(config, "layer_types", None):
        config.layer_types = kinds[:layers]
