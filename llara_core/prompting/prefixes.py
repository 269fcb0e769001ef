"""Tokenizers for a prompt's beginning, and for the texts behind it, which get no space that isn't in them."""

import json
import re
from typing import Any

from tokenizers import Tokenizer

_CONTROL_MARK = re.compile(r"[\s▁]*(<.+>|\[.+\])[\s▁]*", re.DOTALL)


def opening_and_going_on(tokenizer: Tokenizer) -> tuple[Tokenizer, Tokenizer]:
    """Copy a tokenizer twice: as it is, and without the space that it puts before every text.

    SentencePiece puts that space through a normalizer (Prepend, as older Llama-2 files do) or a pre-tokenizer
    (Metaspace, as transformers 5 does), byte-level tokenizers through their pre-tokenizer.

    Inside a text, special tokens are encoded as the words that they are. So are added tokens that look like a control
    mark, `<…>` (and so `<|…|>`) or `[…]`, but aren't flagged as special, as `<think>` and `<tool_call>` in some models.
    All other added tokens stay: runs of spaces and whole words are how such a tokenizer writes ordinary text, and how
    its model has read it.
    """
    parts = json.loads(tokenizer.to_str())
    for token in parts["added_tokens"]:
        token["special"] |= (
            _CONTROL_MARK.fullmatch(token["content"]) is not None
        )  # so that encode_special_tokens counts
    plain = {name: parts[name] and _without_prefix(parts[name]) for name in ("normalizer", "pre_tokenizer")}
    opening, going_on = (Tokenizer.from_str(json.dumps(copy)) for copy in (parts, {**parts, **plain}))
    for copy in (opening, going_on):
        copy.no_truncation()
        copy.no_padding()
        copy.encode_special_tokens = True
    return opening, going_on


def _without_prefix(part: dict[str, Any]) -> dict[str, Any] | None:
    """Return a normalizer's or pre-tokenizer's description without what adds a space; None where nothing is left."""
    match part:
        case {"type": "Prepend"}:
            return None
        case {"type": "Metaspace"}:
            return {**part, "prepend_scheme": "never"}
        case {"type": "ByteLevel", "add_prefix_space": _}:
            return {**part, "add_prefix_space": False}
        case {"type": "Sequence"}:
            [name] = set(part) - {"type"}  # "normalizers" or "pretokenizers"
            return {**part, name: [kept for inner in part[name] if (kept := _without_prefix(inner)) is not None]}
    return part
