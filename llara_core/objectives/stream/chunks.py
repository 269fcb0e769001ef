"""Chunks of the training users' histories, at random places, by a budget of tokens."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from llara_core.errors import DataError, ParamsError
from llara_core.hybrid.batching import IGNORED
from llara_core.objectives.step_plan import StepPlan, StepSettings
from llara_core.prompting.histories import EncodedHistory, HistoryEncoder
from llara_core.prompting.segments import Mode
from llara_core.sequences.random_words import random_words
from llara_core.tables.sequences import Sequences

_PLACE = 0x506C6163  # "Plac": a stream of random words


class Chunk(NamedTuple):
    """Places in the flat items: inputs from `start` to before `end`, and the first place that may be a target."""

    start: int
    end: int
    first_target: int

    @property
    def first_asked(self) -> int:
        """The first place whose item is asked for."""
        return max(self.first_target, self.start + 1)


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
        share = (chosen - self._first[users] + (words >> np.uint64(11)) / 2**53) / self._counts[users]
        lowest = starts + self._spans.min_history - 1  # the first input whose successor counts
        anchors = lowest + np.minimum((share * (ends - lowest)).astype(np.int64), ends - lowest - 1)
        reached = np.searchsorted(self._tokens, self._tokens[anchors] + self._budget, side="right") - 1
        stops = np.minimum(np.minimum(reached, anchors + self._max_items), ends)
        begun = np.searchsorted(self._tokens, self._tokens[stops] - self._budget, side="left")
        begun = np.maximum(begun, stops - self._max_items)
        begins = np.where(anchors == lowest, np.maximum(starts, begun), np.clip(begun, starts, anchors))
        return [Chunk(*row) for row in np.stack([begins, stops, lowest + 1], axis=1).tolist()]

    def tokens_of(self, chunk: Chunk) -> int:
        """Tokens of a chunk's inputs."""
        return int(self._tokens[chunk.end] - self._tokens[chunk.start])


@dataclass(frozen=True)
class EncodedChunk:
    """A chunk of T items.

    Attributes:
        history: its tokens.
        items: [T] ids.
        following: [T] the item after each, IGNORED where it doesn't count.
        step: of the plan, which decides what is drawn for it.
    """

    history: EncodedHistory
    items: list[int]
    following: list[int]
    step: int


class ChunkPlan(StepPlan[Chunk, EncodedChunk]):
    """Chunks, cut anew in every pass over the data."""

    def __init__(self, item_ids: np.ndarray, chunker: Chunker, encoder: HistoryEncoder, settings: StepSettings) -> None:
        """Plan over the chunks of `chunker`, whose places are those of item_ids [N]."""
        super().__init__(len(chunker), settings)
        self._item_ids, self._chunker, self._encoder = item_ids, chunker, encoder

    def _draw_step(self, step: int) -> list[Chunk]:
        passes, chosen = self._choose(step)
        chunks = self._chunker.cut(chosen, random_words(self.settings.seed, _PLACE, passes, chosen))
        return sorted(chunks, key=self._chunker.tokens_of)

    def _encode(self, drawn: Chunk, step: int) -> EncodedChunk:
        return encode_chunk(self._item_ids, drawn, self._encoder, self.mode(step), step)


def encode_chunk(item_ids: np.ndarray, chunk: Chunk, encoder: HistoryEncoder, mode: Mode, step: int) -> EncodedChunk:
    """Put a chunk of item_ids [N] into tokens."""
    items = item_ids[chunk.start : chunk.end].tolist()
    places = np.arange(chunk.start + 1, chunk.end + 1)
    following = np.where(places >= chunk.first_target, item_ids[places], IGNORED).tolist()
    return EncodedChunk(encoder.encode(items, mode), items, following, step)
