"""From segments to token ids, a slot mask, and the slots' item ids, all made together so that counts agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from llara_core.errors import ModelError
from llara_core.prompting.segments import ItemSlot, Segment, Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt of S tokens with K slots.

    Attributes:
        input_ids: [S]; a slot holds the filler token.
        slot_mask: [S] True where a behavioural token goes.
        slot_items: [K] item ids, in the order of the slots.
    """

    input_ids: list[int]
    slot_mask: list[bool]
    slot_items: list[int]


class PromptEncoder:
    """Encodes segments with a tokenizer, whose vocabulary stays as it is."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", max_length: int) -> None:
        """Take the tokenizer and the longest prompt (tokens) that the model can read.

        Raises:
            ModelError: the tokenizer has no end-of-text token, or no token that can fill a slot.
        """
        self._tokenizer = tokenizer
        self._max_length = max_length
        self.filler_id = _filler_token(tokenizer)
        if tokenizer.eos_token_id is None:
            raise ModelError(f"{tokenizer.name_or_path}: the tokenizer must have an end-of-text token, got none")
        self.eos_id = int(tokenizer.eos_token_id)
        newline = tokenizer("\n", add_special_tokens=False).input_ids
        self.stop_ids = [self.eos_id, *(newline if len(newline) == 1 else [])]
        self._bos = [tokenizer.bos_token_id] if _starts_with_bos(tokenizer) else []
        # SentencePiece tokenizers put a space before every text: a text that starts with one would get two.
        self._adds_space = tokenizer.convert_ids_to_tokens(self._ids("a"))[0].startswith("▁")
        self._piece = lru_cache(maxsize=1 << 16)(self._encode_piece)

    def encode(self, segments: Sequence[Segment]) -> EncodedPrompt:
        """Encode a prompt.

        Raises:
            ModelError: it is longer than the model can read.
        """
        ids, mask, items = list(self._bos), [False] * len(self._bos), []
        for segment in segments:
            if isinstance(segment, ItemSlot):
                ids.append(self.filler_id)
                mask.append(True)
                items.append(segment.item_id)
            else:
                piece = self._piece(segment.text)
                ids += piece
                mask += [False] * len(piece)
        if len(ids) > self._max_length:
            raise ModelError(f"a prompt must have ≤ {self._max_length} tokens for this model, got {len(ids)}")
        return EncodedPrompt(ids, mask, items)

    def encode_answer(self, answer: Text) -> list[int]:
        """Token ids of an answer with the end-of-text token that closes it."""
        return [*self._piece(answer.text), self.eos_id]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of generated tokens up to the first that ends an answer, without surrounding space."""
        end = next((place for place, token in enumerate(ids) if token in self.stop_ids), len(ids))
        return str(self._tokenizer.decode(list(ids[:end]), skip_special_tokens=True)).strip()

    def _encode_piece(self, text: str) -> tuple[int, ...]:
        return tuple(self._ids(text.removeprefix(" ") if self._adds_space else text))

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False).input_ids


def _filler_token(tokenizer: "PreTrainedTokenizerBase") -> int:
    """Return any existing token; its embedding is never used, for slots are found through the mask."""
    for token_id in (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.eos_token_id):
        if token_id is not None and 0 <= token_id < len(tokenizer):
            return int(token_id)
    raise ModelError(
        f"{tokenizer.name_or_path}: the tokenizer must have a pad, unk or eos token to fill slots, got none"
    )


def _starts_with_bos(tokenizer: "PreTrainedTokenizerBase") -> bool:
    return tokenizer.bos_token_id is not None and tokenizer("a").input_ids[0] == tokenizer.bos_token_id
