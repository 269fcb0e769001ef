"""Base models of 4 bits: what bitsandbytes stores against QLoRA's rule by hand, and what is learnt beside it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel

from llara_core.errors import ModelError
from llara_core.hybrid import base_llm, nf4
from llara_core.hybrid.adapter import attach_lora
from llara_core.hybrid.base_llm import load_base_llm, load_tokenizer
from llara_core.hybrid.lora_linear import LoraLinear
from llara_core.hybrid.nf4 import dequantised, is_quantised, quantise
from llara_core.params.sections import FolderLlm, HubLlm, Lora
from tests.conftest import make_llama, needs_bitsandbytes
from tests.factories import folder_llm

CPU = torch.device("cpu")
LORA = Lora(rank=2, alpha=4, dropout=0.0, targets="all-linear")
# The paper's appendix E: quantiles of a normal distribution, with an exact zero.
LEVELS = [
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
    *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725),
    *(0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
]


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose maps have several blocks of 64 weights, the last of some incomplete, and a height of no 32."""
    torch.manual_seed(3)
    config = make_llama(50).config
    config.hidden_size, config.intermediate_size, config.head_dim, config.tie_word_embeddings = 24, 44, 6, False
    folder = tmp_path_factory.mktemp("wide")
    type(make_llama(50))(config).save_pretrained(folder)
    return folder


def _entry(folder: Path, dtype: str = "float32", quantization: str | None = "nf4") -> FolderLlm:
    return folder_llm(folder, dtype, quantization=quantization)


def _maps(llm: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    yield from ((name, part) for name, part in llm.named_modules() if type(part).__name__ == "Linear4bit")


def _stands_for(layer: nn.Linear) -> np.ndarray:
    """[out, in] what a map's 4 bits stand for, read without bitsandbytes."""
    state = layer.weight.quant_state
    packed = layer.weight.data.numpy().reshape(-1)
    codes = np.stack([packed >> 4, packed & 15], axis=1).reshape(-1)
    inner = state.state2
    scales = [
        float(inner.code[int(byte)] * inner.absmax[place // 256] + state.offset)
        for place, byte in enumerate(state.absmax)
    ]
    flat = [LEVELS[code] * scales[place // 64] for place, code in enumerate(codes[: np.prod(state.shape)])]
    return np.array(flat).reshape(tuple(state.shape))


@needs_bitsandbytes
def test_each_weight_becomes_the_nearest_level_of_its_block(wide_folder: Path) -> None:
    plain, small = load_base_llm(_entry(wide_folder, quantization=None), CPU), load_base_llm(_entry(wide_folder), CPU)
    assert is_quantised(small)
    assert not is_quantised(plain)
    assert len(list(_maps(small))) == 2 * 7
    levels = np.array(LEVELS)
    for name, layer in _maps(small):
        weights = plain.get_submodule(name).weight.detach().numpy()
        packed = layer.weight.data.numpy().reshape(-1)
        codes = np.stack([packed >> 4, packed & 15], axis=1).reshape(-1)[: weights.size]
        for start in range(0, weights.size, 64):
            block = weights.reshape(-1)[start : start + 64]
            wanted = np.abs(block[:, None] / np.abs(block).max() - levels).argmin(axis=1)
            assert (codes[start : start + 64] == wanted).all()
        # With 8 bits instead of 32 a block's scale may be off by a hundredth or so.
        np.testing.assert_allclose(_stands_for(layer), weights, atol=0.16 * np.abs(weights).max())
    assert torch.equal(small.get_output_embeddings().weight, plain.get_output_embeddings().weight)
    assert torch.equal(small.model.norm.weight, plain.model.norm.weight)


@needs_bitsandbytes
@pytest.mark.parametrize("training", [True, False])
def test_a_product_is_that_with_what_the_bits_stand_for(wide_folder: Path, training: bool) -> None:
    llm = load_base_llm(_entry(wide_folder), CPU).train(training)
    for _, layer in list(_maps(llm))[:7]:
        x = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(0))
        weights = _stands_for(layer)
        with torch.no_grad():
            found = layer(x)
        for row, result in zip(x.tolist(), found.tolist(), strict=True):
            by_hand = [sum(w * value for w, value in zip(line, row, strict=True)) for line in weights.tolist()]
            assert result == pytest.approx(by_hand, abs=1e-5)


def _with_lora(llm: PreTrainedModel, entry: FolderLlm) -> PreTrainedModel:
    torch.manual_seed(5)
    adapted = attach_lora(llm, LORA, entry)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(weight, std=0.1)
    return adapted.get_base_model()


def _loss(llm: PreTrainedModel, ids: Tensor) -> Tensor:
    return llm(input_ids=ids, labels=ids).loss


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(2, 50, (3, 9), generator=torch.Generator().manual_seed(1))


@needs_bitsandbytes
@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_those_beside_the_dequantised_model_also_after_a_validation(
    wide_folder: Path, ids: Tensor, checkpointing: bool
) -> None:
    small = _with_lora(load_base_llm(_entry(wide_folder), CPU), _entry(wide_folder))
    plain = _with_lora(dequantised(load_base_llm(_entry(wide_folder), CPU)), _entry(wide_folder, quantization=None))
    assert not [part for part in small.modules() if isinstance(part, LoraLinear)]
    assert {type(part) for part in plain.modules() if isinstance(part, LoraLayer)} == {LoraLinear}
    found = {}
    for kind, llm in (("small", small), ("plain", plain)):
        with torch.no_grad():
            validated = _loss(llm.eval(), ids)
        if checkpointing:
            llm.gradient_checkpointing_enable()
        loss = _loss(llm.train(), ids)
        assert loss.item() == pytest.approx(validated.item(), rel=1e-6)
        loss.backward()
        found[kind] = {name: weight.grad for name, weight in llm.named_parameters() if weight.grad is not None}
    assert len(found["small"]) == 2 * 7 * 2
    for name, gradient in found["small"].items():
        torch.testing.assert_close(gradient, found["plain"][name], rtol=1e-4, atol=1e-7)
        assert gradient.abs().max() > 1e-5


@needs_bitsandbytes
@pytest.mark.parametrize(("dtype", "precision"), [("float32", False), ("bfloat16", False), ("bfloat16", True)])
def test_training_moves_lora_alone_and_the_loss_falls(
    wide_folder: Path, ids: Tensor, dtype: str, precision: bool
) -> None:
    llm = _with_lora(load_base_llm(_entry(wide_folder, dtype), CPU), _entry(wide_folder, dtype)).train()
    before = {name: weight.detach().clone() for name, weight in llm.named_parameters()}
    trained = [weight for weight in llm.parameters() if weight.requires_grad]
    assert {weight.dtype for weight in trained} == {torch.float32}
    optimizer, losses = torch.optim.AdamW(trained, lr=0.02), []
    for _ in range(12):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision):
            loss = _loss(llm, ids)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0] - 0.5
    moved = {name for name, weight in llm.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == {name for name in before if "lora_" in name}


@needs_bitsandbytes
def test_a_dequantised_model_is_plain_and_has_the_weights_that_products_have(wide_folder: Path, ids: Tensor) -> None:
    small = load_base_llm(_entry(wide_folder, "bfloat16"), CPU)
    seen = {
        name: layer(torch.eye(layer.in_features, dtype=torch.bfloat16)).T.float().detach()
        for name, layer in _maps(small)
    }
    plain = dequantised(small)
    assert not is_quantised(plain)
    assert not hasattr(plain.config, "quantization_config")
    assert {(weight.dtype, weight.requires_grad) for weight in plain.parameters()} == {(torch.float32, False)}
    for name, weights in seen.items():
        assert torch.equal(plain.get_submodule(name).weight, weights)


@needs_bitsandbytes
def test_a_model_of_no_files_is_quantised_as_one_of_files(wide_folder: Path, ids: Tensor) -> None:
    loaded, made = load_base_llm(_entry(wide_folder), CPU), load_base_llm(_entry(wide_folder, quantization=None), CPU)
    quantise(made)
    made.to(CPU)
    assert is_quantised(made)
    for (name, one), (other_name, other) in zip(_maps(loaded), _maps(made), strict=True):
        assert name == other_name
        assert torch.equal(one.weight.data, other.weight.data)
        assert one.weight.quant_state == other.weight.quant_state
    assert torch.equal(loaded(ids).logits, made(ids).logits)


def test_without_bitsandbytes_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nf4, "find_spec", lambda _: None)
    monkeypatch.setattr(base_llm, "_hub_snapshot", lambda _: pytest.fail("downloaded"))
    hub = HubLlm(
        source="huggingface",
        id="some/llama",
        revision="a" * 40,
        dtype="bfloat16",
        attention="sdpa",
        quantization="nf4",
    )
    for load in (load_tokenizer, lambda llm: load_base_llm(llm, CPU)):
        with pytest.raises(ModelError, match=r"nf4 needs bitsandbytes, which isn't installed.*pip install .*\[gpu\]"):
            load(hub)
    monkeypatch.setattr(base_llm, "_hub_snapshot", lambda _: Path("there"))
    assert base_llm._folder(hub.model_copy(update={"quantization": None})) == Path("there")


@needs_bitsandbytes
def test_what_is_quantised_already_is_refused(llama_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(llama_folder, tmp_path / "llm")
    config = json.loads((tmp_path / "llm" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (tmp_path / "llm" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="config.json must have no quantization_config for .* nf4, got one of gptq"):
        load_base_llm(_entry(tmp_path / "llm"), CPU)
