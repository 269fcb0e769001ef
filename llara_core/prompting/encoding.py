"""From segments to token ids, a slot mask, and the slots' item ids, all made together so that counts agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from llara_core.errors import ModelError, PromptTooLongError
from llara_core.prompting.chat import STRANGE_MESSAGE, ChatFrame
from llara_core.prompting.prefixes import opening_and_going_on
from llara_core.prompting.segments import FusedTitle, ItemSlot, LineEnd, Segment, Text, merge_texts

if TYPE_CHECKING:
    from tokenizers import Encoding
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


@dataclass(frozen=True)
class _Surroundings:
    """What stands around each prompt: ids, and spaces with which its first text begins.

    Attributes:
        opens: the first text is encoded as the tokenizer begins a text.
    """

    before: list[int]
    lead: str
    after: list[int]
    opens: bool


class PromptEncoder:
    """Encodes segments with a tokenizer, whose vocabulary stays as it is.

    A prompt's first text is encoded as the tokenizer does it, and so as the model was trained. Every later one goes on
    where another text or a slot ended: it gets neither the space that SentencePiece tokenizers put before a text, nor
    special tokens. Words in a text that look like a control token are only words.

    In a chat the frame's special tokens are some, and the first text has the ids that the tokenizer gives it there.

    Attributes:
        frame: of a chat, in which every prompt stands; None: prompts stand alone.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", max_length: int, frame: ChatFrame | None = None) -> None:
        """Take the tokenizer, the longest prompt (tokens) that the model can read, and a chat's frame.

        Raises:
            ModelError: the tokenizer isn't one of the `tokenizers` library, has no end-of-text token, or no token that
                can fill a slot; or a message in the frame would have other ids than the tokenizer gives them together.
        """
        if not tokenizer.is_fast:
            raise ModelError(
                f"{tokenizer.name_or_path}: the tokenizer must be one of the tokenizers library (tokenizer.json), "
                f"got {type(tokenizer).__name__}"
            )
        self._tokenizer = tokenizer
        self.max_length = max_length
        self.filler_id = _filler_token(tokenizer)
        if tokenizer.eos_token_id is None:
            raise ModelError(f"{tokenizer.name_or_path}: the tokenizer must have an end-of-text token, got none")
        self.eos_id = int(tokenizer.eos_token_id)
        self.stop_ids = [self.eos_id, *_line_ends(tokenizer)]
        self.frame = frame
        self._opening, self._going_on = opening_and_going_on(tokenizer.backend_tokenizer)
        self._around = self._surroundings(frame)
        self._piece = lru_cache(maxsize=1 << 16)(self._ids)
        self._fused_piece = lru_cache(maxsize=1 << 16)(self._fused)

    def encode(self, segments: Sequence[Segment], name: str = "a prompt") -> EncodedPrompt:
        """Encode a prompt, which `name` names in errors.

        Raises:
            ModelError: it is longer than the model can read.
        """
        return self.encode_marked(segments, name)[0]

    def encode_marked(self, segments: Sequence[Segment], name: str = "a prompt") -> tuple[EncodedPrompt, list[int]]:
        """Encode a prompt, and return the places of its single slots and line ends too, at which it can be asked.

        Raises:
            ModelError: it is longer than the model can read, or the tokenizer has no token for a line's end.
        """
        # Between slots stand a title and words of a template, which come again; a whole prompt doesn't.
        ids_of = self._piece if len(segments) > 1 else self._ids
        around = self._around
        ids, mask, items, marks = list(around.before), [False] * len(around.before), list[int](), list[int]()
        for segment in merge_texts([Text(around.lead), *segments]) if around.lead else segments:
            opens = around.opens and len(ids) == len(around.before)
            match segment:
                case Text():
                    piece = ids_of(segment.text, opens)
                    ids += piece
                    mask += [False] * len(piece)
                case FusedTitle():
                    piece, is_title = self._fused_piece(segment.text, segment.start, opens)
                    ids += piece
                    mask += is_title
                    items += [segment.item_id] * sum(is_title)
                case ItemSlot():
                    marks.append(len(ids))
                    ids.append(self.filler_id)
                    mask.append(True)
                    items.append(segment.item_id)
                case LineEnd():
                    marks.append(len(ids))
                    ids.append(self._line_end())
                    mask.append(False)
        ids += around.after
        mask += [False] * len(around.after)
        if len(ids) > self.max_length:
            raise PromptTooLongError(
                f"{name} must have ≤ {self.max_length} tokens for this model, got {len(ids)}; lower "
                "split.history_length or candidates.size, or shorten prompt.templates"
            )
        return EncodedPrompt(ids, mask, items), marks

    def _line_end(self) -> int:
        line_end = self._piece("\n", False)
        if not line_end:
            raise ModelError(
                f"{self._tokenizer.name_or_path}: the tokenizer must have a token for a line's end, got none"
            )
        return line_end[-1]

    def encode_answer(self, answer: Text) -> list[int]:
        """Token ids of an answer, which goes on behind a prompt, with the end-of-text token that closes it.

        Its first space is left out where a chat's frame ends in one, or in a line's end, already.
        """
        has_space = self.frame is not None and self.frame.after[-1:].isspace()
        text = answer.text.removeprefix(" ") if has_space else answer.text
        return [*self._piece(text, False), self.eos_id]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the first line of generated tokens up to the end-of-text token, without surrounding space."""
        end = next((place for place, token in enumerate(ids) if token == self.eos_id), len(ids))
        text = self._tokenizer.decode(list(ids[:end]), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text).partition("\n")[0].strip()

    def _ids(self, text: str, opens: bool) -> tuple[int, ...]:
        return tuple(self._encoded(text, opens).ids)

    def _fused(self, text: str, start: int, opens: bool) -> tuple[tuple[int, ...], tuple[bool, ...]]:
        """Ids of a text, and which of them hold any of what begins at character `start`."""
        encoded = self._encoded(text, opens)
        # A space that is the tokenizer's own, and a token of its own, has the offsets of the letter behind it.
        is_own_space = opens and encoded.ids[1:] == self._encoded(text, False).ids
        is_title = (end > start and not (is_own_space and not place) for place, (_, end) in enumerate(encoded.offsets))
        return tuple(encoded.ids), tuple(is_title)

    def _encoded(self, text: str, opens: bool) -> "Encoding":
        return (self._opening if opens else self._going_on).encode(text, add_special_tokens=False)

    def _surroundings(self, frame: ChatFrame | None) -> _Surroundings:
        if frame is None:
            beginning = [self._tokenizer.bos_token_id] if _starts_with_bos(self._tokenizer) else []
            return _Surroundings(beginning, "", [], opens=True)
        words = frame.before.rstrip(" ")  # a space belongs to the word behind it
        lead = frame.before[len(words) :]
        before, up_to_after, whole = (
            list(self._tokenizer(text, add_special_tokens=False, verbose=False).input_ids)
            for text in (words, frame.before + STRANGE_MESSAGE, frame.before + STRANGE_MESSAGE + frame.after)
        )
        after = whole[len(up_to_after) :]
        # Some SentencePiece tokenizers begin a text anew behind a special token.
        for opens in (False, True):
            if whole == [*before, *self._ids(lead + STRANGE_MESSAGE, opens), *after]:
                return _Surroundings(before, lead, after, opens)
        raise ModelError(
            f"{self._tokenizer.name_or_path}: a message in the chat template must have the token ids that the "
            "tokenizer gives the whole conversation, got others (words join those around it); set prompt.form to raw"
        )


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


def _line_ends(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Ids of all tokens with a line's end in them: alone, after a full stop, twice, or as SentencePiece's <0x0A>."""
    marks = ("\n", "Ċ", "<0x0A>")  # as itself, as a byte-level token, as a byte to which SentencePiece falls back
    ids = [token_id for token, token_id in tokenizer.get_vocab().items() if any(mark in token for mark in marks)]
    return sorted(token_id for token_id in ids if "\n" in tokenizer.decode([token_id]))
