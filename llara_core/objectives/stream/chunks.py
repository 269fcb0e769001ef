"""Chunks of the training users' histories, at random places, by a budget of tokens."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from llara_core.errors import DataError, ParamsError
from llara_core.hybrid.batching import IGNORED
from llara_core.objectives.step_plan import Planned, StepPlan, StepSettings
from llara_core.prompting.histories import EncodedHistory, HistoryEncoder
from llara_core.prompting.segments import Mode
from llara_core.sequences.random_words import random_shares, random_words
from llara_core.tables.sequences import Sequences

_PLACE, _DROPOUT = 0x506C6163, 0x49746D44  # "Plac", "ItmD": streams of random words


class Chunk(NamedTuple):
    """Places in the flat items: inputs from `start` to before `end`, and the first place that may be a target."""

    start: int
    end: int
    first_target: int

    @property
    def places(self) -> np.ndarray:
        """[T] of its items."""
        return np.arange(self.start, self.end)

    @property
    def first_asked(self) -> int:
        """The first place whose item is asked for."""
        return max(self.first_target, self.start + 1)


class ShownChunk(NamedTuple):
    """A chunk, and the places [T] of those of its items that are shown, in order."""

    chunk: Chunk
    places: np.ndarray


@dataclass(frozen=True)
class Spans:
    """U users' parts of the flat items that may be read and predicted.

    Attributes:
        starts: [U] where each begins.
        ends: [U] where each ends.
        min_history: a target has at least so many items of its user before it.
    """

    starts: np.ndarray
    ends: np.ndarray
    min_history: int


def training_spans(sequences: Sequences, min_history: int) -> Spans:
    """Return what stands before train_end, of users who have a target there.

    Raises:
        DataError: nobody has.
    """
    rows = np.flatnonzero(sequences.train_end > min_history)
    if not len(rows):
        raise DataError(f"split.min_history must leave training targets, got none with {min_history} items before them")
    starts = sequences.offsets[rows]
    return Spans(starts, starts + sequences.train_end[rows], min_history)


class Chunker:
    """Cuts chunks out of spans: as many for a user as its tokens fill."""

    def __init__(self, item_ids: np.ndarray, spans: Spans, lengths: np.ndarray, budget: int, max_items: int) -> None:
        """Prepare chunks of up to `budget` tokens and `max_items` items.

        Args:
            item_ids: [N] of all interactions, flat.
            spans: what to cut.
            lengths: [n + 1] tokens of each item.
            budget: tokens of a chunk.
            max_items: that the recommender, who teaches, can read.

        Raises:
            ParamsError: an item is longer.
        """
        if (longest := int(lengths.max())) > budget:
            raise ParamsError(
                f"objectives.stream.chunk_tokens must be ≥ {longest}, the tokens of the longest title, got {budget}"
            )
        self._spans, self._budget, self._max_items = spans, budget, max_items
        self._tokens = np.concatenate([[0], np.cumsum(lengths[item_ids])])  # before each place
        filled = self._tokens[spans.ends - 1] - self._tokens[spans.starts]  # the last item is only a target
        self._counts = np.maximum(1, np.rint(filled / budget).astype(np.int64))
        self._first = np.cumsum(self._counts) - self._counts

    def __len__(self) -> int:
        """Return the number of chunks that cover the spans about once."""
        return int(self._counts.sum())

    def cut(self, chosen: np.ndarray, words: np.ndarray) -> list[Chunk]:
        """Cut chunks `chosen` [B] at the places that random `words` [B] say.

        A user's k-th of m chunks has its anchor in the k-th m-th of the history. From there it grows forwards, and
        where the history ends sooner than the budget, backwards too; so all but the shortest histories fill it, and a
        user's latest items are read up to twice as often as those in the middle.
        """
        users = np.searchsorted(self._first, chosen, side="right") - 1
        starts, ends = self._spans.starts[users], self._spans.ends[users] - 1
        share = (chosen - self._first[users] + random_shares(words)) / self._counts[users]
        lowest = starts + self._spans.min_history - 1  # the first input whose successor counts
        anchors = lowest + np.minimum((share * (ends - lowest)).astype(np.int64), ends - lowest - 1)
        reached = np.searchsorted(self._tokens, self._tokens[anchors] + self._budget, side="right") - 1
        stops = np.minimum(np.minimum(reached, anchors + self._max_items), ends)
        begun = np.searchsorted(self._tokens, self._tokens[stops] - self._budget, side="left")
        begun = np.maximum(begun, stops - self._max_items)
        begins = np.where(anchors == lowest, np.maximum(starts, begun), np.clip(begun, starts, anchors))
        return [Chunk(*row) for row in np.stack([begins, stops, lowest + 1], axis=1).tolist()]

    def tokens_of(self, places: np.ndarray) -> int:
        """Tokens of the items at `places`."""
        return int((self._tokens[places + 1] - self._tokens[places]).sum())


@dataclass(frozen=True)
class EncodedChunk:
    """A chunk of T items.

    Attributes:
        history: its tokens.
        items: [T] ids.
        following: [T] the item after each, IGNORED where it doesn't count.
        places: [T] where in all histories they stand.
        step: of the plan, which decides what is drawn for it.
    """

    history: EncodedHistory
    items: list[int]
    following: list[int]
    places: list[int]
    step: int


class ChunkPlan(StepPlan[ShownChunk, EncodedChunk]):
    """Chunks, cut anew in every pass over the data, of whose items a random share isn't shown."""

    def __init__(
        self, item_ids: np.ndarray, chunker: Chunker, encoder: HistoryEncoder, settings: StepSettings, dropout: float
    ) -> None:
        """Plan over the chunks of `chunker`, whose places are those of item_ids [N]; `dropout` is that share."""
        super().__init__(len(chunker), settings)
        self._item_ids, self._chunker, self._encoder, self._dropout = item_ids, chunker, encoder, dropout

    def _draw_step(self, step: int) -> list[Planned[ShownChunk]]:
        passes, chosen = self._choose(step)
        chunks = self._chunker.cut(chosen, random_words(self.settings.seed, _PLACE, passes, chosen))
        shown = [ShownChunk(chunk, self._shown(chunk, step)) for chunk in chunks]
        planned = [Planned(*pair) for pair in zip(shown, self.modes_of(step), strict=True)]
        return sorted(planned, key=lambda example: self._chunker.tokens_of(example.drawn.places))

    def _shown(self, chunk: Chunk, step: int) -> np.ndarray:
        words = random_words(self.settings.seed, _DROPOUT, step, chunk.places)
        stays = random_shares(words) >= self._dropout
        stays[-1] = True  # so that something is shown, and something asked for
        return chunk.places[stays]

    def _encode(self, drawn: ShownChunk, mode: Mode, step: int) -> EncodedChunk:
        return encode_chunk(self._item_ids, drawn, self._encoder, mode, step)


def encode_chunk(
    item_ids: np.ndarray, shown: ShownChunk, encoder: HistoryEncoder, mode: Mode, step: int
) -> EncodedChunk:
    """Put what a chunk of item_ids [N] shows into tokens; each item is asked what came right after it."""
    items = item_ids[shown.places].tolist()
    following = shown.places + 1
    asked = np.where(following >= shown.chunk.first_target, item_ids[following], IGNORED).tolist()
    return EncodedChunk(encoder.encode(items, mode), items, asked, shown.places.tolist(), step)
