from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llara_core.errors import DataError, ParamsError
from llara_core.hybrid.batching import IGNORED
from llara_core.objectives.step_plan import StepSettings
from llara_core.objectives.stream.chunks import Chunk, Chunker, ChunkPlan, ShownChunk, encode_chunk, training_spans
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.sequences.random_words import random_words
from llara_core.tables.sequences import Sequences
from tests.conftest import TITLES
from tests.factories import make_curriculum, make_sequences

LENGTHS = np.array([0, 2, 3, 5, 2, 4, 3, 2, 2])  # tokens of items 1 to 8


def _chunker(sequences: Sequences, budget: int, max_items: int = 99, min_history: int = 1) -> Chunker:
    return Chunker(sequences.item_ids, training_spans(sequences, min_history), LENGTHS, budget, max_items)


@settings(deadline=None)
@given(
    lists=st.lists(st.lists(st.integers(1, 8), min_size=1, max_size=30), min_size=1, max_size=5),
    budget=st.integers(5, 40),
    max_items=st.integers(1, 12),
    min_history=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_chunks_keep_to_their_user_budget_and_training_part(
    lists: list[list[int]], budget: int, max_items: int, min_history: int, seed: int
) -> None:
    made = make_sequences([*lists, [1, 2, 3, 4, 5]], ["train"] * len(lists) + ["train"])
    ends = made.train_end - (made.lengths > 4)  # what is held out isn't read
    sequences = replace(made, train_end=ends.astype(np.int32))
    chunker = _chunker(sequences, budget, max_items, min_history)
    chosen = np.arange(len(chunker))
    for chunk in chunker.cut(chosen, random_words(seed, chosen)):
        user = int(np.searchsorted(sequences.offsets, chunk.start, side="right")) - 1
        first, end = int(sequences.offsets[user]), int(sequences.offsets[user] + ends[user])
        assert first <= chunk.start < chunk.end < end  # the item behind the last input trains too
        items = sequences.item_ids[chunk.start : chunk.end]
        assert LENGTHS[items].sum() == chunker.tokens_of(chunk.places) <= budget
        assert len(items) <= max_items
        assert chunk.first_target == first + min_history
        assert chunk.end >= chunk.first_asked  # something is asked
        could_grow = chunk.end < end - 1 and len(items) < max_items
        if could_grow:  # it ends where the budget does
            assert LENGTHS[sequences.item_ids[chunk.start : chunk.end + 1]].sum() > budget or chunk.start > first


def test_chunks_cover_a_history_about_evenly_whatever_the_seed() -> None:
    sequences = make_sequences([[1, 2, 4, 6, 7, 8] * 20], ["train"])
    chunker = _chunker(sequences, 28)
    n_tokens = LENGTHS[sequences.item_ids[:-1]].sum()
    assert len(chunker) == round(n_tokens / 28)
    read: Counter[int] = Counter()
    for seed in range(400):
        chosen = np.arange(len(chunker))
        for chunk in chunker.cut(chosen, random_words(seed, chosen)):
            read.update(range(chunk.start, chunk.end))
    counts = np.array([read[place] for place in range(12, 96)])  # the last chunk's items are in two
    assert counts.min() > 0.8 * counts.mean()
    assert counts.max() < 1.2 * counts.mean()


def test_a_short_history_is_read_whole_and_longer_ones_more_often() -> None:
    sequences = make_sequences([[1, 2, 4], [1, 2, 4, 6, 7, 8] * 10], ["train", "train"])
    chunker = _chunker(sequences, 30)
    [chunk] = chunker.cut(np.array([0]), random_words(0, np.array([0])))
    assert chunk == Chunk(0, 2, 1)
    assert len(chunker) == 1 + round(LENGTHS[sequences.item_ids[3:-1]].sum() / 30)


def test_a_title_longer_than_the_budget_is_refused() -> None:
    sequences = make_sequences([[1, 2, 3]], ["train"])
    with pytest.raises(
        ParamsError, match=r"objectives.stream.chunk_tokens must be ≥ 5, the tokens of the longest title"
    ):
        _chunker(sequences, 4)
    assert len(_chunker(sequences, 5)) == 1


def test_without_training_targets_nothing_is_planned() -> None:
    with pytest.raises(DataError, match="split.min_history must leave training targets, got none with 3 items before"):
        training_spans(make_sequences([[1, 2, 3]], ["train"]), 3)
    with pytest.raises(DataError, match="got none"):
        training_spans(make_sequences([[1, 2, 3]], ["test"]), 1)


@pytest.fixture
def histories(encoder: PromptEncoder) -> HistoryEncoder:
    return HistoryEncoder(encoder, TITLES, "append")


def test_every_item_is_asked_for_by_the_one_before(histories: HistoryEncoder) -> None:
    items = np.array([5, 3, 8, 1, 2])
    chunk = encode_chunk(items, ShownChunk(Chunk(1, 4, 3), np.array([1, 2, 3])), histories, "hybrid", step=7)
    assert (chunk.items, chunk.following, chunk.step) == ([3, 8, 1], [IGNORED, 1, 2], 7)
    part = encode_chunk(items, ShownChunk(Chunk(1, 4, 3), np.array([1, 3])), histories, "hybrid", step=7)
    assert (part.items, part.following) == ([3, 1], [IGNORED, 2])
    assert chunk.history.prompt.slot_items == [3, 8, 1]


def test_a_plan_shows_each_chunk_once_a_pass_and_the_shortest_of_a_step_first(histories: HistoryEncoder) -> None:
    sequences = make_sequences([[1, 2, 3, 4, 5, 6, 7, 8] * 3, [8, 7, 6, 5]], ["train", "train"])
    chunker = Chunker(sequences.item_ids, training_spans(sequences, 1), histories.lengths, 40, 99)
    n = len(chunker)
    settings = StepSettings(seed=3, curriculum=make_curriculum("linear"), shown="hybrid", n_steps=2, batch_size=n)
    plan = ChunkPlan(sequences.item_ids, chunker, histories, settings, 0.0)
    passes = [[plan[step * n + place] for place in range(n)] for step in range(2)]
    for step, examples in enumerate(passes, start=1):
        lengths = [len(example.history.prompt.input_ids) for example in examples]
        assert lengths == sorted(lengths)
        assert {example.step for example in examples} == {step}
        assert any(example.items == [8, 7, 6] for example in examples)
        assert all(
            bool(example.history.prompt.slot_items) == (plan.modes_of(step)[0] == "hybrid") for example in examples
        )
    assert sorted(e.items for e in passes[0]) != sorted(e.items for e in passes[1])  # cut anew
    again = ChunkPlan(sequences.item_ids, chunker, histories, settings, 0.0)
    assert [again[i] for i in range(2 * n)] == [plan[i] for i in range(2 * n)]


def test_items_that_are_not_shown_are_drawn_by_step_and_place(histories: HistoryEncoder) -> None:
    """All items differ, so that an item names its place."""
    users = [list(range(1, 9)), list(range(8, 0, -1))]
    sequences = make_sequences(users, ["train", "train"])
    chunker = Chunker(sequences.item_ids, training_spans(sequences, 1), histories.lengths, 999, 99)
    assert len(chunker) == 2
    settings = StepSettings(
        seed=3, curriculum=make_curriculum("hybrid_only"), shown="hybrid", n_steps=400, batch_size=2
    )
    whole, part, again = (ChunkPlan(sequences.item_ids, chunker, histories, settings, p) for p in (0.0, 0.4, 0.4))
    shown, asked, seen, places = 0, 0, set(), dict[int, list[list[int]]]()
    for i in range(800):
        example = part[i]
        user = users[0] if example.items == sorted(example.items) and len(example.items) > 1 else users[1]
        user = user if example.following[-1] == user[-1] else users[1 - users.index(user)]
        assert example.following == [user[user.index(item) + 1] for item in example.items]
        assert example.items[-1] == user[-2]
        assert example.history.prompt.slot_items == example.items
        shown, asked = shown + len(example.items) - 1, asked + 6
        seen.add(tuple(example.items))
        places.setdefault(example.step, []).append([user.index(item) for item in example.items])
    assert shown / asked == pytest.approx(0.6, abs=4 * (0.24 / asked) ** 0.5)
    assert len(seen) > 60  # of 2 × 64
    assert sum(one == other for one, other in places.values()) < 30  # of 400: by chance 0.52 ** 6 of them
    assert [again[i] for i in (799, 3, 400)] == [part[i] for i in (799, 3, 400)]
    assert all(len(whole[i].items) == 7 for i in range(40))
    lengths = [[len(part[2 * step + k].history.prompt.input_ids) for k in (0, 1)] for step in range(50)]
    assert all(first <= second for first, second in lengths)
