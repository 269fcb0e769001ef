import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llara_core.params.params import Params
from llara_core.params.sections import Baselines
from llara_core.recommenders.counting import count_successors, markov_scorer, popularity_scorer
from llara_core.recommenders.windows import TrainingSequences


def training(sequences: list[list[int]], n_items: int) -> TrainingSequences:
    ends = np.cumsum([len(items) for items in sequences])
    starts = ends - [len(items) for items in sequences]
    return TrainingSequences(np.concatenate(sequences), starts, ends, n_items)


@given(st.lists(st.lists(st.integers(1, 5), min_size=2, max_size=6), min_size=1, max_size=6), st.integers(1, 4))
@settings(deadline=None)
def test_successors_are_counted_as_in_a_loop(sequences: list[list[int]], reach: int) -> None:
    expected = np.zeros((6, 6))
    for items in sequences:
        for i, item in enumerate(items):
            for later in items[i + 1 : i + 1 + reach]:
                expected[item, later] += 1
    assert count_successors(training(sequences, 5), reach).toarray().tolist() == expected.tolist()


def test_markov_by_hand() -> None:
    # Successors within one step: 1→2 twice, 1→3 once, 2→3 twice; so popularity as a successor is 2: 2/5, 3: 3/5.
    sequences = training([[1, 2, 3], [1, 2, 3], [1, 3]], 4)
    params = Baselines(context=2, reach=1, decay=0.5, smoothing=2.0)
    score = markov_scorer(sequences, params)
    from_1 = np.array([0, (2 + 2 * 0.4) / 5, (1 + 2 * 0.6) / 5, 0])
    from_2 = np.array([0, 2 * 0.4 / 4, (2 + 2 * 0.6) / 4, 0])
    from_4 = np.array([0, 0.4, 0.6, 0])  # never had a successor: backs off to popularity alone
    scores = score(np.array([[0, 0, 1], [3, 1, 2], [0, 0, 4]]))
    assert np.isneginf(scores[:, 0].numpy()).all()
    assert scores[0, 1:].numpy() == pytest.approx(from_1)
    assert scores[1, 1:].numpy() == pytest.approx((from_2 + 0.5 * from_1) / 1.5)
    assert scores[2, 1:].numpy() == pytest.approx(from_4)


def test_the_shipped_chain_gives_probabilities(params: Params) -> None:
    rng = np.random.default_rng(0)
    sequences = training([rng.integers(1, 10, size=12).tolist() for _ in range(8)], 9)
    scores = markov_scorer(sequences, params.baselines)(rng.integers(1, 10, size=(4, 10)))
    assert scores[:, 1:].sum(dim=1).tolist() == pytest.approx([1.0] * 4)
    assert scores[:, 1:].min() >= 0


def test_popularity_never_names_padding() -> None:
    scores = popularity_scorer(np.array([0, 5, 2]))(np.array([[1], [2]]))
    assert scores.shape == (2, 3)
    assert np.isneginf(scores[:, 0].numpy()).all()
    assert scores[1, 1:].tolist() == [5, 2]
