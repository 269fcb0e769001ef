"""Under which licences base models stand, which whatever is made of them inherits."""

from dataclasses import dataclass

from llara_core.hybrid.base_llm import name_of
from llara_core.params.sections import FolderLlm, Llm


@dataclass(frozen=True)
class BaseLicence:
    """Terms of a base model.

    Attributes:
        name: as people write it.
        tag: as model cards of the Hugging Face hub have it (`license:`).
        terms: an address of the text; empty where none is known.
        notice: what has to be said by all who hand on what is made of it; may be empty.
    """

    name: str
    tag: str
    terms: str = ""
    notice: str = ""


_APACHE = BaseLicence("Apache-2.0", "apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")
_GEMMA = BaseLicence(
    "Gemma Terms of Use",
    "gemma",
    "https://ai.google.dev/gemma/terms",
    "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
)
_KNOWN = {
    "SmolLM2-135M-Instruct.Q4_1.gguf": _APACHE,
    "HuggingFaceTB/SmolLM2-135M-Instruct": _APACHE,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": _APACHE,
    "Qwen/Qwen3-1.7B": _APACHE,
    "mistralai/Mistral-7B-v0.1": _APACHE,
    "google/gemma-3-1b-pt": _GEMMA,
    "google/gemma-2-2b": _GEMMA,
    "meta-llama/Llama-2-7b-hf": BaseLicence(
        "Llama 2 Community License",
        "llama2",
        "https://ai.meta.com/llama/license/",
        "Llama 2 is licensed under the LLAMA 2 Community License, Copyright (c) Meta Platforms, Inc. All Rights "
        "Reserved.",
    ),
}
UNKNOWN = BaseLicence("not known to this program; look it up where the base model comes from", "other")


def licence_of(llm: Llm) -> BaseLicence:
    """Return a base model's licence; `UNKNOWN` where only its maker can say it, such as of a local folder."""
    return UNKNOWN if isinstance(llm, FolderLlm) else _KNOWN.get(name_of(llm), UNKNOWN)
