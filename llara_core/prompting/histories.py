"""A history as a stream: every title followed by one token at which the model has read the item and can be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from llara_core.errors import ModelError
from llara_core.params.projector import FusionKind
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import Item, Mode, Segment, Text, show_any


@dataclass(frozen=True)
class EncodedHistory:
    """A history of T items in S tokens.

    Attributes:
        prompt: what the model reads.
        readouts: [T] the place of the token behind each title; the state there has read that item and all before.
    """

    prompt: EncodedPrompt
    readouts: list[int]


class HistoryEncoder:
    """Encodes histories of a catalogue, `title ▢ title ▢ …`.

    ▢ is a slot; in text mode, and where titles' tokens are slots themselves, it is the token of a line's end. In id
    mode it stands alone.
    """

    def __init__(self, encoder: PromptEncoder, titles: Sequence[str], fusion: FusionKind) -> None:
        """Take titles by item id, of which index 0 is padding, and how they and behavioural tokens are joined."""
        self._encoder, self._fusion = encoder, fusion
        self._titles = titles
        self.lengths = np.array([0, *(len(encoder.encode_answer(Text(title))) for title in titles[1:])])
        """[n + 1] tokens of an item that isn't the first: its title's, and the one behind it."""

    @cached_property
    def most_before(self) -> int:
        """Tokens that a history may have beyond its items' `lengths`: of a text's beginning, and a first title's."""
        alone = (len(self.encode([item], "hybrid").prompt.input_ids) for item in range(1, len(self._titles)))
        return int(max(whole - length for whole, length in zip(alone, self.lengths[1:], strict=True)))

    def encode(self, items: Sequence[Item], mode: Mode) -> EncodedHistory:
        """Encode items, the latest last; behind one that isn't in the catalogue stands a line's end.

        Raises:
            ModelError: there are none, or more than the model can read.
        """
        if not len(items):
            raise ModelError("a history must have at least one item, got an empty one")
        segments: list[Segment] = []
        for item in items:
            segments += show_any("", item, self._titles, mode, self._fusion, marked=True)
        return EncodedHistory(*self._encoder.encode_marked(segments))
