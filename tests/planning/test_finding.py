"""Where shapes come from, and that it is said where they don't."""

import json
from pathlib import Path

import gguf
import pytest

from llara_core.errors import ModelError
from llara_core.params.params import Params
from llara_core.params.sections import HubLlm, PackagedLlm
from llara_core.planning.finding import find_llm
from llara_core.runtime.files import sha256_of
from tests.factories import folder_llm
from tests.planning.conftest import TINY

UNKNOWN = "0" * 40


@pytest.fixture(autouse=True)
def _nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLARA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LLARA_RAW_DIR", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: None)


def _packaged(params: Params, **changes: str) -> PackagedLlm:
    entry = params.llms["smollm2-135m"]
    assert isinstance(entry, PackagedLlm)
    return entry.model_copy(update=changes)


def test_every_pinned_model_of_params_yaml_is_known(params: Params) -> None:
    counts = {  # as the hub and others publish them
        "smollm2-135m": 134_515_008,
        "smollm2-135m-hub": 134_515_008,
        "llama-2-7b": 6_738_415_616,
        "smollm2-1.7b": 1_711_376_384,
        "qwen3-1.7b": 1_720_574_976,
        "mistral-7b": 7_241_732_096,
        "gemma-3-1b": 999_885_952,
        "gemma-2-2b": 2_614_341_888,
    }
    assert set(counts) | {"llama-2-7b-qlora"} == set(params.llms)
    for name, entry in params.llms.items():
        found = find_llm(entry)
        assert found.origin == "llara_core/planning/architectures.json"
        assert found.folder is None
        assert found.download > 0
        if name in counts:
            assert found.shape.parameters == counts[name]


def test_a_download_is_as_large_as_its_numbers(params: Params) -> None:
    assert find_llm(params.llms["llama-2-7b"]).download == 2 * 6_738_415_616
    assert find_llm(params.llms["smollm2-135m"]).download == 98_362_432
    # Its vocabulary's head is the embedding, and is stored once more.
    assert find_llm(params.llms["qwen3-1.7b"]).download == 2 * (1_720_574_976 + 151_936 * 2048)


def test_a_folder_s_config_json_is_read(llama_folder: Path) -> None:
    found = find_llm(folder_llm(llama_folder))
    assert (found.shape.hidden, found.shape.layers, found.download, found.folder) == (16, 2, 0, llama_folder)


def test_the_converted_copy_comes_before_the_pinned_list(params: Params, tmp_path: Path) -> None:
    entry = _packaged(params)
    folder = tmp_path / "cache" / f"{Path(entry.file).stem}-{entry.sha256[:12]}-deadbeef"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(TINY))
    found = find_llm(entry)
    assert (found.shape.hidden, found.origin, found.download, found.folder) == (8, "the converted copy", 0, None)
    (folder / "tokenizer.json").write_text("{}")
    assert find_llm(entry).folder == folder


def test_a_gguf_header_is_read(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(20)
    writer.add_block_count(3)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_context_length(64)
    writer.add_vocab_size(50)
    writer.add_tensor("output.weight", np.zeros((50, 8), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    found = find_llm(_packaged(params, file="tiny.gguf", sha256=sha256_of(path)))
    assert found.shape.parameters == 2872
    assert (found.shape.context, found.shape.tied) == (64, False)
    assert found.origin == f"the header of {path}"


def test_a_model_of_which_nothing_is_known_is_refused_with_what_would_help(params: Params) -> None:
    hub = HubLlm(source="huggingface", id="some/model", revision=UNKNOWN, dtype="bfloat16", attention="sdpa")
    with pytest.raises(
        ModelError, match=f"some/model: its shape isn't known: .*hf download some/model config.json .*{UNKNOWN}"
    ):
        find_llm(hub)
    with pytest.raises(ModelError, match=f"no other.gguf of SHA-256 {'1' * 64} in .LLARA_RAW_DIR"):
        find_llm(_packaged(params, file="other.gguf", sha256="1" * 64))


def test_the_hub_s_cache_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**TINY, "torch_dtype": "float16"}))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: str(tmp_path / "config.json"))
    hub = HubLlm(source="huggingface", id="some/model", revision=UNKNOWN, dtype="bfloat16", attention="sdpa")
    found = find_llm(hub)
    assert (found.shape.hidden, found.download, found.origin) == (8, 2 * 2872, "config.json in the hub's cache")
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert find_llm(hub).download == 0


@pytest.mark.parametrize(
    ("content", "message"), [("{", "not readable JSON"), ("[]", "must hold a model's configuration, got list")]
)
def test_a_broken_config_json_is_named(tmp_path: Path, content: str, message: str) -> None:
    entry = folder_llm(tmp_path)
    with pytest.raises(ModelError, match=r"llms.\*.path: .*config.json: no such file"):
        find_llm(entry)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError, match=f"config.json: {message}"):
        find_llm(entry)
