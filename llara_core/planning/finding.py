"""Where a language model's shape comes from while its weights aren't here: nothing is downloaded for it.

In this order: config.json of what is here already (a folder, the converted copy of a package's file, the hub's cache),
the header of a GGUF file in $LLARA_RAW_DIR, and architectures.json, whose entries are pinned as params.yaml's are, by
the commit of a hub's model or the SHA-256 of a package's file.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from llara_core.errors import ModelError
from llara_core.params.sections import FolderLlm, HubLlm, Llm, PackagedLlm
from llara_core.planning.shapes import Shape
from llara_core.runtime.files import cache_directory, sha256_of

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Of a number, by its type's name."""
_ARCHITECTURES = Path(__file__).with_name("architectures.json")
_GGUF_SIZES = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "max_position_embeddings": "context_length",
    "vocab_size": "vocab_size",
}


@dataclass(frozen=True)
class Found:
    """A language model as far as it is known before it is loaded.

    Attributes:
        name: its file, hub id or folder.
        shape: of the whole.
        config: the fields of config.json, from which transformers can build one of random weights.
        origin: where these are from, in words.
        folder: with its tokenizer, if that is here.
        download: bytes still to be fetched.
    """

    name: str
    shape: Shape
    config: Mapping[str, Any]
    origin: str
    folder: Path | None
    download: int


def find_llm(llm: Llm) -> Found:
    """Find the shape of an entry of params.yaml's `llms`.

    Raises:
        ModelError: it is known nowhere, unreadable, or of a family that isn't planned for.
    """
    match llm:
        case FolderLlm():
            return _in_folder(llm)
        case PackagedLlm():
            return _packaged(llm)
        case HubLlm():
            return _on_the_hub(llm)


def _in_folder(llm: FolderLlm) -> Found:
    if not (llm.path / "config.json").is_file():
        raise ModelError(f"llms.*.path: {llm.path / 'config.json'}: no such file")
    config = _read(llm.path / "config.json")
    name = str(llm.path)
    return Found(name, Shape.of(config, name), config, f"{llm.path / 'config.json'}", _with_tokenizer(llm.path), 0)


def _packaged(llm: PackagedLlm) -> Found:
    # By any converter, whose version is the end of the name: the shape is the same.
    pattern = f"{Path(llm.file).stem}-{llm.sha256[:12]}-*/config.json"
    for path in sorted(cache_directory().glob(pattern)):
        config = _read(path)
        return Found(
            llm.file, Shape.of(config, llm.file), config, "the converted copy", _with_tokenizer(path.parent), 0
        )
    placed = Path(os.environ.get("LLARA_RAW_DIR") or "/nonexistent") / llm.file
    if placed.is_file() and sha256_of(placed) == llm.sha256:
        config = _gguf_config(placed)
        return Found(llm.file, Shape.of(config, llm.file), config, f"the header of {placed}", None, 0)
    entry = _known(llm.sha256)
    if entry is None:
        raise ModelError(
            f"{llm.file}: its shape isn't known: there is no converted copy in {cache_directory()}, no {llm.file} of "
            f"SHA-256 {llm.sha256} in $LLARA_RAW_DIR, and no such pin in llara_core/planning/architectures.json"
        )
    return Found(
        llm.file, Shape.of(entry["config"], llm.file), entry["config"], _PINNED, None, int(entry["download_bytes"])
    )


def _on_the_hub(llm: HubLlm) -> Found:
    # Not at the top: a quarter of a second.
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(llm.id, "config.json", revision=llm.revision)
    entry = _known(llm.revision)
    if isinstance(cached, str):
        config, origin, folder = _read(Path(cached)), "config.json in the hub's cache", Path(cached).parent
    elif entry is not None:
        config, origin, folder = entry["config"], _PINNED, None
    else:
        raise ModelError(
            f"{llm.id}: its shape isn't known: config.json of {llm.revision} isn't in the hub's cache (`hf download "
            f"{llm.id} config.json --revision {llm.revision}` puts it there, a thousand bytes), and there is no such "
            "pin in llara_core/planning/architectures.json"
        )
    shape = Shape.of(config, llm.id)
    has_weights = folder is not None and any(folder.glob("*.safetensors"))
    stored = BYTES.get(str(config.get("dtype") or config.get("torch_dtype")), 4)
    size = int((entry or {}).get("download_bytes", shape.parameters * stored))  # some store a tied head a second time
    download = 0 if has_weights else size
    return Found(llm.id, shape, config, origin, None if folder is None else _with_tokenizer(folder), download)


_PINNED = "llara_core/planning/architectures.json"


@lru_cache(maxsize=1)
def _architectures() -> dict[str, dict[str, Any]]:
    models = json.loads(_ARCHITECTURES.read_text(encoding="utf-8"))["models"]
    return {entry["pin"]: entry for entry in models}


def _known(pin: str) -> dict[str, Any] | None:
    return _architectures().get(pin)


def _with_tokenizer(folder: Path) -> Path | None:
    return folder if (folder / "tokenizer.json").is_file() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable JSON: {str(error).splitlines()[0]}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: must hold a model's configuration, got {type(config).__name__}")
    return config


def _gguf_config(path: Path) -> dict[str, Any]:
    """Read a GGUF file's header as config.json's fields.

    Raises:
        ModelError: it has none that can be read.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items() if "tokenizer" not in name}
    except Exception as error:  # of the library, about a file of others
        raise ModelError(f"{path}: not a readable GGUF file: {str(error).splitlines()[0]}") from error
    kind = fields.get("general.architecture")
    sizes = {name: fields.get(f"{kind}.{key}") for name, key in _GGUF_SIZES.items()}
    tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
    return {"model_type": kind, "tie_word_embeddings": tied, "dtype": "float32", **sizes}
