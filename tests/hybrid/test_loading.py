import shutil
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import numpy as np
import peft
import pytest
import torch
from transformers import LlamaForCausalLM

from llara_core.errors import ArtifactError, ModelError, ParamsError
from llara_core.hybrid import gguf
from llara_core.hybrid.adapter import (
    AdapterManifest,
    attach_lora,
    build_hybrid,
    load_adapter,
    read_manifest,
    save_adapter,
)
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.params.params import Params
from llara_core.params.sections import FolderLlm, HubLlm, Lora
from tests.conftest import make_llama

LINEAGE = {"items": "a", "sequences": "b", "embeddings": "c"}
CPU = torch.device("cpu")
LORA = Lora(rank=2, alpha=4, dropout=0.0, targets="all-linear")


def test_a_local_folder_is_loaded_frozen(llama_folder: Path, llama: LlamaForCausalLM) -> None:
    model, tokenizer = load_base_llm(FolderLlm(source="folder", path=llama_folder, dtype="float32"), CPU)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert tokenizer.eos_token == "<eos>"  # noqa: S105
    assert torch.equal(model.lm_head.weight, llama.lm_head.weight)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("*.safetensors", r"weights \(\*.safetensors\), found config.json"), ("config.json", "config.json")],
)
def test_a_folder_without_weights_or_config_is_refused(
    llama_folder: Path, tmp_path: Path, missing: str, expected: str
) -> None:
    shutil.copytree(llama_folder, tmp_path / "llm")
    for path in (tmp_path / "llm").glob(missing):
        path.unlink()
    with pytest.raises(ModelError, match=f"must hold {expected}"):
        load_base_llm(FolderLlm(source="folder", path=tmp_path / "llm", dtype="float32"), CPU)


def test_a_hub_model_is_pinned_to_its_commit_and_brings_no_pickles(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def snapshot(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(llama_folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    load_base_llm(HubLlm(source="huggingface", id="some/llama", revision="a" * 40, dtype="float32"), CPU)
    assert (asked["name"], asked["revision"]) == ("some/llama", "a" * 40)
    assert not any(fnmatch("pytorch_model.bin", pattern) for pattern in asked["allow_patterns"])


def test_an_unreachable_hub_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ModelError, match=r"some/llama: could not be downloaded \(no route\); if it is gated.*HF_TOKEN"):
        load_base_llm(HubLlm(source="huggingface", id="some/llama", revision="a" * 40, dtype="float32"), CPU)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must be a folder, and isn't there"):
        load_base_llm(FolderLlm(source="folder", path=tmp_path / "none", dtype="float32"), CPU)


def test_a_converted_model_that_changed_is_converted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    conversions = []

    def convert(_: object, folder: Path) -> None:
        conversions.append(folder)
        folder.mkdir(exist_ok=True)
        (folder / "model.safetensors").write_text("weights")
        digest = gguf.sha256_of(folder / "model.safetensors")
        (folder / "sha256.json").write_text(f'{{"model.safetensors": "{digest}"}}')

    monkeypatch.setenv("LLARA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gguf, "_convert", convert)
    folder = gguf.converted_folder(params.llms["smollm2-135m"])
    assert gguf.converted_folder(params.llms["smollm2-135m"]) == folder
    assert len(conversions) == 1
    (folder / "model.safetensors").write_text("other")
    gguf.converted_folder(params.llms["smollm2-135m"])
    assert len(conversions) == 2


@pytest.fixture
def manifest(params: Params, llama_folder: Path) -> AdapterManifest:
    return AdapterManifest(
        llm=FolderLlm(source="folder", path=llama_folder, dtype="float32"),
        prompt=params.prompt,
        nouns=params.datasets["ml-100k"].nouns,
        history_length=10,
        projector_hidden=6,
        modes=["text", "hybrid"],
        made_from=LINEAGE,
    )


def test_an_adapter_comes_back_and_plain_peft_reads_it(
    tmp_path: Path, llama: LlamaForCausalLM, item_embeddings: np.ndarray, manifest: AdapterManifest
) -> None:
    adapted = attach_lora(llama, LORA, manifest.llm)
    model = build_hybrid(adapted.get_base_model(), item_embeddings, 6).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05)
    save_adapter(tmp_path, adapted, model.projector, manifest)
    assert {path.name for path in tmp_path.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "projector.safetensors",
        "llara.json",
    }
    batch = {
        "input_ids": torch.tensor([[4, 5, 6, 7]]),
        "attention_mask": torch.ones(1, 4, dtype=torch.long),
        "slot_mask": torch.tensor([[False, True, False, False]]),
        "slot_items": torch.tensor([3]),
        "labels": torch.tensor([[-100, -100, 6, 7]]),
    }
    vocabulary = llama.config.vocab_size
    loaded = load_adapter(tmp_path, read_manifest(tmp_path, LINEAGE), make_llama(vocabulary), item_embeddings)
    assert not any(module.training for module in loaded.modules())
    assert torch.equal(loaded(**batch), model(**batch))
    plain = peft.PeftModel.from_pretrained(make_llama(vocabulary), str(tmp_path))
    assert torch.allclose(plain(batch["input_ids"]).logits, model.llm(batch["input_ids"]).logits)


def test_adapters_of_other_items_or_without_parts_are_refused(
    tmp_path: Path, llama: LlamaForCausalLM, item_embeddings: np.ndarray, manifest: AdapterManifest
) -> None:
    with pytest.raises(ArtifactError, match="llara.json: no such file"):
        read_manifest(tmp_path, LINEAGE)
    adapted = attach_lora(llama, LORA, manifest.llm)
    save_adapter(tmp_path, adapted, build_hybrid(adapted.get_base_model(), item_embeddings, 6).projector, manifest)
    with pytest.raises(ArtifactError, match="llara.json: was made from other embeddings than those at hand"):
        read_manifest(tmp_path, {**LINEAGE, "embeddings": "those of another recommender"})
    with pytest.raises(ArtifactError, match="llara.json: was made from other sequences than those at hand"):
        read_manifest(tmp_path, {**LINEAGE, "sequences": "those of another split"})
    (tmp_path / "projector.safetensors").unlink()
    with pytest.raises(ArtifactError, match="not a usable adapter"):
        load_adapter(tmp_path, manifest, make_llama(llama.config.vocab_size), item_embeddings)


def test_an_adapter_is_asked_in_modes_that_it_knows(manifest: AdapterManifest) -> None:
    known = {modes: manifest.model_copy(update={"modes": list(modes)}) for modes in (("text",), ("hybrid",))}
    known["text", "hybrid"] = manifest
    chosen = {modes: adapter.choose_mode("as_trained") for modes, adapter in known.items()}
    assert chosen == {("text",): "text", ("hybrid",): "hybrid", ("text", "hybrid"): "hybrid"}
    assert {adapter.choose_mode("text") for adapter in known.values()} == {"text"}  # leaves nothing untrained
    assert manifest.choose_mode("hybrid") == "hybrid"
    with pytest.raises(ArtifactError, match="eval.mode must be text or as_trained .* got hybrid: .* are untrained"):
        known["text",].choose_mode("hybrid")


def test_unknown_layers_are_refused(llama: LlamaForCausalLM, manifest: AdapterManifest) -> None:
    with pytest.raises(ParamsError, match=r"lora.targets must name linear layers of the model, got \['nowhere'\]"):
        attach_lora(llama, LORA.model_copy(update={"targets": ["nowhere"]}), manifest.llm)
