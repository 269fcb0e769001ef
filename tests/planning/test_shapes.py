"""Parameters by config.json against models that are built of it."""

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from llara_core.errors import ModelError
from llara_core.planning.shapes import FAMILIES, Shape
from tests.planning.conftest import TINY

SIZES = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 10,
    "vocab_size": 50,
}
ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_counts_are_those_of_a_model_that_is_built(kind: str, tied: bool) -> None:
    config = AutoConfig.for_model(kind, **SIZES, **ENDS, tie_word_embeddings=tied)
    model = AutoModelForCausalLM.from_config(config)
    shape = Shape.of(config.to_dict(), kind)
    assert shape.parameters == sum(weight.numel() for weight in model.parameters())
    layer = model.model.layers[0]
    assert shape.layer == sum(weight.numel() for weight in layer.parameters())
    for name, linear in shape.linears.items():
        built = next(part for place, part in layer.named_modules() if place.endswith(name))
        assert (linear.inputs, linear.outputs) == (built.in_features, built.out_features)


def test_biases_count_where_config_json_says_so() -> None:
    config = AutoConfig.for_model("llama", **SIZES, attention_bias=True, mlp_bias=True)
    model = AutoModelForCausalLM.from_config(config)
    assert Shape.of(config.to_dict(), "x").parameters == sum(weight.numel() for weight in model.parameters())


def test_a_tiny_one_by_hand(shape: Shape) -> None:
    # q 64, k and v 32 each, o 64, perceptron 3 × 160; norms 16; embedding and head 400 each; final norm 8.
    assert shape.layer_matrices == 64 + 2 * 32 + 64 + 480
    assert shape.parameters == 400 + 3 * (672 + 16) + 8 + 400
    assert shape.lowest(1).parameters == 400 + 688 + 8 + 400
    assert shape.lowest(None) == shape


def test_more_layers_than_there_are_are_refused(shape: Shape) -> None:
    with pytest.raises(ModelError, match="layers must be ≤ the model's 3, got 4"):
        shape.lowest(4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "model_type must be one of llama, .*, got gpt2"),
        ({"hidden_size": None}, "hidden_size must be a positive whole number, got None"),
        ({"vocab_size": 0}, "vocab_size must be a positive whole number"),
        ({"num_hidden_layers": "three"}, "num_hidden_layers must be a positive whole number, got 'three'"),
        ({"num_attention_heads": True}, "num_attention_heads must be a positive whole number, got True"),
    ],
)
def test_unusable_fields_are_refused_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=f"thing: config.json: {message}"):
        Shape.of({**TINY, **change}, "thing")
