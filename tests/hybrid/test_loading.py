import hashlib
import json
import re
import shutil
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import huggingface_hub
import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM, PreTrainedModel

from llara_core.errors import ArtifactError, ModelError, ParamsError, SourceError
from llara_core.hybrid import base_llm, gguf
from llara_core.hybrid.adapter import (
    AdapterManifest,
    attach_lora,
    build_hybrid,
    load_adapter,
    read_manifest,
    save_adapter,
)
from llara_core.hybrid.base_llm import load_base_llm, load_tokenizer
from llara_core.params.params import Params
from llara_core.params.sections import FolderLlm, HubLlm, Lora
from tests.conftest import make_llama
from tests.factories import APPEND, PROJECTOR, folder_llm

LINEAGE = {"items": "a", "sequences": "b", "embeddings": "c"}
CPU = torch.device("cpu")
LORA = Lora(rank=2, alpha=4, dropout=0.0, targets="all-linear")


def test_a_local_folder_is_loaded_frozen(llama_folder: Path, llama: LlamaForCausalLM) -> None:
    model = load_base_llm(folder_llm(llama_folder), CPU)
    tokenizer, max_length = load_tokenizer(folder_llm(llama_folder))
    assert max_length == 1024
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
        load_base_llm(folder_llm(tmp_path / "llm"), CPU)


def _cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def _index(file: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").rename(folder / "part.safetensors")
        index = {"metadata": {}, "weight_map": dict.fromkeys(weights, file)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return write


def _configure(**changes: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return write


def _adapt(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "/elsewhere"}')


def _drop_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _make_bert(*, class_name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
        bert = getattr(transformers, class_name)(transformers.BertConfig(vocab_size=300, **size))
        bert.save_pretrained(folder)

    return write


_FACTORS = {"factor": 2.0, "short_factor": [1.0] * 2, "long_factor": [2.0] * 2, "original_max_position_embeddings": 99}
_BY_LAYER = {
    "full_attention": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}
_CODE = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_cut, r"llm/model.safetensors: must be a complete safetensors file: .* file not fully covered"),
        (_drop_a_weight, r"must hold all weights of its config.json, lacks 1: model.layers.1.mlp.up_proj.weight"),
        (_configure(vocab_size=10), r"lm_head.weight must have shape \(10, 16\) by config.json, got \(\d+, 16\)"),
        (_configure(hidden_size="x"), r"config.json: not a usable configuration: .*'hidden_size'"),
        (_configure(model_type="new", auto_map=_CODE), r"config.json: not a usable configuration: .* custom code"),
        (_configure(attn_implementation="some/kernels"), r"an attention of transformers' own, got 'some/kernels'"),
        (_configure(quantization_config={"quant_method": "awq"}), "not a usable language model: "),
        (_adapt, r"must hold a whole model, found an adapter \(adapter_config.json\)"),
        (_index("../other/model.safetensors"), r"index.json: must name \*.safetensors files beside it, got '../other"),
        (_index("/abs/model.safetensors"), r"index.json: must name \*.safetensors files beside it, got '/abs/"),
        (_index("pytorch_model.bin"), r"index.json: must name \*.safetensors files beside it, got 'pytorch_model.bin'"),
        (_make_bert(class_name="BertForMaskedLM"), r"config.json: must be of a causal .*'bert' with BertForMaskedLM"),
        (_make_bert(class_name="BertLMHeadModel"), r"config.json: must be of a causal .*'bert' with BertLMHeadModel"),
        (_make_bert(class_name="BertModel"), r"config.json: must be of a causal .*'bert' with BertModel"),
        (
            _configure(model_type="gemma3_text", use_bidirectional_attention=True, architectures=["Gemma3ForCausalLM"]),
            r"config.json: must be of a causal .*'gemma3_text' with Gemma3ForCausalLM",
        ),
        (
            _configure(model_type="granite", architectures=["GraniteForCausalLM"]),
            r"config.json: model_type must be one of llama, .*, got granite",
        ),
        (
            _configure(rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
            r"config.json: rope_type must be one whose positions are the same in every batch, got dynamic",
        ),
        (
            _configure(rope_parameters={"rope_type": "longrope", "rope_theta": 1e4, **_FACTORS}),
            r"config.json: rope_type must be one whose positions are the same in every batch, got longrope",
        ),
        (
            _configure(model_type="gemma3_text", architectures=["Gemma3ForCausalLM"], rope_parameters=_BY_LAYER),
            r"config.json: rope_type must be one whose positions are the same in every batch, got dynamic",
        ),
        (
            _configure(model_type="t5", architectures=["T5Model"]),
            r"config.json: must be of a causal .*'t5' with T5Model",
        ),
    ],
)
def test_folders_that_are_no_whole_causal_language_model_are_refused_in_one_line(
    llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], expected: str
) -> None:
    def ask(*_: object) -> str:
        raise AssertionError("transformers asked whether to run code")

    monkeypatch.setattr("builtins.input", ask)
    shutil.copytree(llama_folder, tmp_path / "llm")
    shutil.copytree(llama_folder, tmp_path / "other")
    change(tmp_path / "llm")
    with pytest.raises(ModelError, match=expected) as caught:
        load_base_llm(folder_llm(tmp_path / "llm"), CPU)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_too_large_is_not_called_unusable(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def used_up(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")

    monkeypatch.setattr(base_llm.AutoModelForCausalLM, "from_pretrained", used_up)
    with pytest.raises(
        ModelError, match=r"its weights don't fit into .* \(CUDA out of memory.* 2.00 GiB.\); `llara plan`"
    ):
        load_base_llm(folder_llm(llama_folder), CPU)


def test_a_bert_is_refused_before_its_weights_are_read(
    llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(llama_folder, tmp_path / "llm")
    _make_bert(class_name="BertForMaskedLM")(tmp_path / "llm")
    monkeypatch.setattr(base_llm.AutoModelForCausalLM, "from_pretrained", None)
    with pytest.raises(ModelError, match="must be of a causal language model"):
        load_base_llm(folder_llm(tmp_path / "llm"), CPU)


@pytest.mark.parametrize("change", [_index("part.safetensors"), _configure(is_decoder=False)])
def test_weights_in_parts_and_decoders_that_do_not_say_so_are_read(
    llama_folder: Path, llama: LlamaForCausalLM, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    shutil.copytree(llama_folder, tmp_path / "llm")
    change(tmp_path / "llm")
    model = load_base_llm(folder_llm(tmp_path / "llm"), CPU)
    assert torch.equal(model.lm_head.weight, llama.lm_head.weight)


def test_a_hub_model_is_pinned_to_its_commit_and_brings_no_pickles(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def snapshot(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(llama_folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    load_base_llm(
        HubLlm(source="huggingface", id="some/llama", revision="a" * 40, dtype="float32", attention="sdpa"), CPU
    )
    assert (asked["name"], asked["revision"]) == ("some/llama", "a" * 40)
    assert not any(fnmatch("pytorch_model.bin", pattern) for pattern in asked["allow_patterns"])


def test_an_unreachable_hub_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ModelError, match=r"some/llama: could not be downloaded \(no route\); if it is gated.*HF_TOKEN"):
        load_base_llm(
            HubLlm(source="huggingface", id="some/llama", revision="a" * 40, dtype="float32", attention="sdpa"), CPU
        )


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must be a folder, and isn't there"):
        load_base_llm(folder_llm(tmp_path / "none"), CPU)


def test_a_converted_model_that_changed_is_converted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params
) -> None:
    conversions = []

    def save(_: Path, file: str, converted: Path) -> None:
        conversions.append(file)
        (converted / "model.safetensors").write_text("weights")

    monkeypatch.setenv("LLARA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gguf, "obtain", lambda *_, **__: "test")
    monkeypatch.setattr(gguf, "_save_as_safetensors", save)
    llm = params.llms["smollm2-135m"]
    folder = gguf.converted_folder(llm)
    assert gguf.converted_folder(llm) == folder
    assert len(conversions) == 1
    for count, change in enumerate(
        (
            lambda: (folder / "model.safetensors").write_text("other"),
            lambda: (folder / "adapter_config.json").write_text("{}"),
            lambda: (folder / "sha256.json").write_text("{"),
        ),
        start=2,
    ):
        change()
        assert gguf.converted_folder(llm) == folder
        assert len(conversions) == count
        assert sorted(path.name for path in folder.iterdir()) == ["model.safetensors", "sha256.json"]


@pytest.mark.parametrize("converter", ["gguf", "tokenizers", "torch", "transformers", "code"])
def test_environments_that_convert_in_other_ways_share_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params, converter: str
) -> None:
    monkeypatch.setenv("LLARA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gguf, "obtain", lambda *_, **__: "test")
    monkeypatch.setattr(gguf, "_save_as_safetensors", lambda _, file, to: (to / "model.safetensors").write_text(file))
    llm, installed, digest = params.llms["smollm2-135m"], gguf.version, gguf.sha256_of
    before = gguf.converted_folder(llm)
    monkeypatch.setattr(gguf, "version", lambda name: "0.0" if name == converter else installed(name))
    if converter == "code":
        monkeypatch.setattr(gguf, "sha256_of", lambda path: "0" if path.name == "gguf.py" else digest(path))
    after = gguf.converted_folder(llm)
    assert after != before
    assert (before / "model.safetensors").is_file()

    def fail(*_: object, **__: object) -> str:
        raise SourceError("offline")

    monkeypatch.setattr(gguf, "obtain", fail)
    assert gguf.converted_folder(llm) == after  # nothing to be had again
    (after / "model.safetensors").write_text("damaged")
    with pytest.raises(SourceError, match="offline"):
        gguf.converted_folder(llm)
    assert (after / "model.safetensors").read_text() == "damaged"  # what there was stays until there is better


def test_a_file_that_is_no_gguf_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: Params) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03")
    digest = hashlib.sha256(b"GGUF\x03").hexdigest()
    monkeypatch.setenv("LLARA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    llm = params.llms["smollm2-135m"].model_copy(update={"file": "broken.gguf", "sha256": digest})
    with pytest.raises(ModelError, match="broken.gguf: must be a language model that transformers can read: "):
        load_base_llm(llm, CPU)


@pytest.fixture
def manifest(params: Params, llama_folder: Path) -> AdapterManifest:
    return AdapterManifest(
        llm=folder_llm(llama_folder),
        objective="answer",
        layers=None,
        prompt=params.prompt,
        chat=None,
        nouns=params.datasets["ml-100k"].nouns,
        history_length=10,
        projector=PROJECTOR,
        fusion=APPEND,
        modes=["text", "hybrid"],
        made_from=LINEAGE,
    )


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "lm_head"], ["q_proj", "embed_tokens"]])
@pytest.mark.parametrize("source", ["folder", "package"])
def test_an_adapter_comes_back_and_plain_peft_reads_it(
    tmp_path: Path,
    llama: LlamaForCausalLM,
    item_embeddings: np.ndarray,
    manifest: AdapterManifest,
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
    targets: Literal["all-linear"] | list[str],
    source: str,
) -> None:
    def ask(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.getaddrinfo", ask)
    if source == "package":
        manifest = manifest.model_copy(update={"llm": params.llms["smollm2-135m"]})
    adapted = attach_lora(llama, LORA.model_copy(update={"targets": targets}), manifest.llm)
    model = build_hybrid(adapted.get_base_model(), item_embeddings, PROJECTOR, APPEND).eval()
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
        "sha256.json",
    }
    batch = {
        "input_ids": torch.tensor([[4, 5, 6, 7]]),
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
    save_adapter(
        tmp_path,
        adapted,
        build_hybrid(adapted.get_base_model(), item_embeddings, PROJECTOR, APPEND).projector,
        manifest,
    )
    with pytest.raises(ArtifactError, match="llara.json: was made from other embeddings than those at hand"):
        read_manifest(tmp_path, {**LINEAGE, "embeddings": "those of another recommender"})
    with pytest.raises(ArtifactError, match="llara.json: was made from other sequences than those at hand"):
        read_manifest(tmp_path, {**LINEAGE, "sequences": "those of another split"})
    for name in ("projector.safetensors", "adapter_config.json", "adapter_model.safetensors"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content + b" ")
        with pytest.raises(ArtifactError, match=f"{name}: must be the file that was written with the others"):
            read_manifest(tmp_path, LINEAGE)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "projector.safetensors").unlink()
    with pytest.raises(ArtifactError, match="not a usable adapter"):
        load_adapter(tmp_path, manifest, make_llama(llama.config.vocab_size), item_embeddings)


def test_an_adapter_with_gaps_is_refused(
    tmp_path: Path, llama: LlamaForCausalLM, item_embeddings: np.ndarray, manifest: AdapterManifest
) -> None:
    adapted = attach_lora(llama, LORA, manifest.llm)
    save_adapter(
        tmp_path,
        adapted,
        build_hybrid(adapted.get_base_model(), item_embeddings, PROJECTOR, APPEND).projector,
        manifest,
    )
    weights = load_file(tmp_path / "adapter_model.safetensors")
    missing = sorted(weights)[3]
    del weights[missing]
    save_file(weights, tmp_path / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match=f"must hold exactly the adapter's weights, differs in {missing}"):
        load_adapter(tmp_path, manifest, make_llama(llama.config.vocab_size), item_embeddings)
    surplus = {**weights, missing: torch.zeros(32, 2), f"{missing}.more": torch.zeros(1)}
    save_file(surplus, tmp_path / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match=f"must hold exactly the adapter's weights, differs in {missing}.more"):
        load_adapter(tmp_path, manifest, make_llama(llama.config.vocab_size), item_embeddings)


def test_an_adapter_is_asked_in_modes_that_it_knows(manifest: AdapterManifest) -> None:
    known = {modes: manifest.model_copy(update={"modes": list(modes)}) for modes in (("text",), ("hybrid",))}
    known["text", "hybrid"] = manifest
    chosen = {modes: adapter.choose_mode("as_trained") for modes, adapter in known.items()}
    assert chosen == {("text",): "text", ("hybrid",): "hybrid", ("text", "hybrid"): "hybrid"}
    assert {adapter.choose_mode("text") for adapter in known.values()} == {"text"}  # leaves nothing untrained
    assert manifest.choose_mode("hybrid") == "hybrid"
    with pytest.raises(ArtifactError, match="eval.mode must be as_trained or text, .* got hybrid"):
        known["text",].choose_mode("hybrid")


@pytest.mark.parametrize("field", ["file", "package", "version"])
def test_an_adapter_may_not_name_a_path(tmp_path: Path, manifest: AdapterManifest, params: Params, field: str) -> None:
    llm = params.llms["smollm2-135m"].model_dump(mode="json")
    content = manifest.model_dump(mode="json") | {"llm": llm | {field: "/home/victim/.bashrc"}}
    (tmp_path / "llara.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=rf"llara.json: not a readable manifest: llm.*{field} must match"):
        read_manifest(tmp_path, LINEAGE)


def test_an_adapter_without_its_weights_is_not_looked_for_elsewhere(
    tmp_path: Path, llama: LlamaForCausalLM, item_embeddings: np.ndarray, manifest: AdapterManifest
) -> None:
    adapted = attach_lora(llama, LORA, manifest.llm)
    save_adapter(
        tmp_path,
        adapted,
        build_hybrid(adapted.get_base_model(), item_embeddings, PROJECTOR, APPEND).projector,
        manifest,
    )
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(ArtifactError, match="adapter_model.safetensors: no such file"):
        load_adapter(tmp_path, manifest, make_llama(llama.config.vocab_size), item_embeddings)


@pytest.mark.parametrize("layers", [None, 1])
@pytest.mark.parametrize("targets", [["nowhere"], ["mlp"], ["q_proj", "self_attn.v_proj", "nowhere", "proj"]])
def test_unknown_layers_are_refused(
    llama: LlamaForCausalLM, manifest: AdapterManifest, targets: list[str], layers: int | None
) -> None:
    """Also beside known ones: no name is left out silently."""
    unknown = re.escape(str([name for name in targets if "_proj" not in name]))
    expected = rf"lora.targets must name linear layers of the model \(down_proj, .*, v_proj\), got {unknown}"
    with pytest.raises(ParamsError, match=expected):
        attach_lora(llama, LORA.model_copy(update={"targets": targets}), manifest.llm, layers)


@pytest.mark.parametrize("inside", [[], ["q_proj"]])
def test_embeddings_are_refused_beside_a_choice_of_layers(
    llama: LlamaForCausalLM, manifest: AdapterManifest, inside: list[str]
) -> None:
    """There peft leaves them out; without a choice it adapts them."""
    lora = LORA.model_copy(update={"targets": [*inside, "embed_tokens"]})
    adapted = attach_lora(make_llama(llama.config.vocab_size), lora, manifest.llm)
    trained = {name.split(".lora_")[0].rsplit(".", 1)[1] for name, _ in adapted.named_parameters() if ".lora_" in name}
    assert trained == {*inside, "embed_tokens"}
    with pytest.raises(ParamsError, match=r"lora.targets must name linear layers .*, got \['embed_tokens'\]"):
        attach_lora(llama, lora, manifest.llm, layers=1)


@pytest.mark.every_family
def test_only_the_lower_layers_are_read(llm_entry: FolderLlm, llm: PreTrainedModel) -> None:
    lower = load_base_llm(llm_entry, CPU, layers=1)
    ids = torch.tensor([[4, 5, 6, 7, 8, 9, 10]])
    with torch.no_grad():
        first = llm.model(ids, output_hidden_states=True).hidden_states[1]
        torch.testing.assert_close(lower.model(ids).last_hidden_state, llm.model.norm(first))
    kinds = getattr(llm.config, "layer_types", None)
    assert getattr(lower.config, "layer_types", None) == (kinds and kinds[:1])
    with pytest.raises(ModelError, match=r"has 2 layers, got objectives.\*.layers 3"):
        load_base_llm(llm_entry, CPU, layers=3)


def test_an_adapter_of_the_lower_layers_fits_the_whole_model_and_leaves_the_rest_alone(
    tmp_path: Path, llama_folder: Path, llama: LlamaForCausalLM, item_embeddings: np.ndarray, manifest: AdapterManifest
) -> None:
    lower = load_base_llm(manifest.llm, CPU, layers=1)
    adapted = attach_lora(lower, LORA, manifest.llm, layers=1)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    model = build_hybrid(adapted.get_base_model(), item_embeddings, PROJECTOR, APPEND)
    save_adapter(tmp_path, adapted, model.projector, manifest, head={"weight": torch.ones(2, 2)})
    assert load_file(tmp_path / "head.safetensors")["weight"].tolist() == [[1, 1], [1, 1]]
    weights = load_file(tmp_path / "adapter_model.safetensors")
    assert {name.split("layers.")[1][0] for name in weights} == {"0"}
    kinds = {name.split(".lora_")[0].rsplit(".", 1)[1] for name in weights}
    assert kinds == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    again = load_base_llm(manifest.llm, CPU, layers=1)
    reloaded = load_adapter(tmp_path, read_manifest(tmp_path, LINEAGE), again, item_embeddings)
    ids = torch.tensor([[4, 5, 6, 7]])
    with torch.no_grad():
        expected = lower.model(ids).last_hidden_state
        torch.testing.assert_close(reloaded.llm.model(ids).last_hidden_state, expected)
        plain = peft.PeftModel.from_pretrained(make_llama(llama.config.vocab_size), str(tmp_path))
        found = plain.model.model(ids, output_hidden_states=True).hidden_states[1]
        torch.testing.assert_close(llama.model.norm(found), expected)


@pytest.mark.filterwarnings("ignore:fan_in_fan_out")
def test_all_linear_means_the_same_with_a_number_of_layers_for_models_of_gpt_2_s_kind(
    manifest: AdapterManifest,
) -> None:
    config = transformers.GPT2Config(vocab_size=20, n_embd=8, n_layer=2, n_head=2)

    def names(layers: int | None) -> set[str]:
        adapted = attach_lora(transformers.GPT2LMHeadModel(config), LORA, manifest.llm, layers)
        return {name.split(".lora_")[0] for name, _ in adapted.named_parameters() if ".lora_" in name}

    assert names(1) == {name for name in names(None) if ".h.0." in name} != set()
