from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from llara_core.params.params import Params
from llara_core.pretraining import pretraining
from llara_core.pretraining.pretraining import pretrain_recommender, pretraining_fingerprint
from llara_core.pretraining.tasks import last_item_task, training_sequences, validation_task
from llara_core.recommenders.model import SequentialRecommender
from llara_core.recommenders.progress import Progress
from llara_core.tables.items import Items
from llara_core.tables.sequences import Sequences
from tests.factories import make_sequences
from tests.recommenders.recipes import tiny

N_ITEMS = 9


@pytest.fixture
def sequences() -> Sequences:
    """Items up to 4 train, 5 to 6 validate, 7 to 9 test; one user is in all splits, one in training alone."""
    made = make_sequences([[1, 2, 3, 4, 5, 6, 7, 8], [4, 3, 2, 1], [1, 2, 9]], ["train"] * 3)
    return replace(made, train_end=np.array([4, 4, 2], np.int32), validation_end=np.array([6, 4, 2], np.int32))


@pytest.fixture
def small(params: Params) -> Params:
    pretrain = params.pretrain.model_copy(update={"exclude_seen": True, "validation_examples": None, "max_epochs": 1})
    split = params.split.model_copy(update={"min_history": 2, "history_length": 3})
    recommenders = {"sasrec": tiny("sasrec")}
    return params.model_copy(update={"pretrain": pretrain, "split": split, "recommenders": recommenders})


def test_what_trains_ends_where_training_ends(sequences: Sequences) -> None:
    training = training_sequences(sequences, N_ITEMS)
    parts = [training.item_ids[a:b].tolist() for a, b in zip(training.starts, training.ends, strict=True)]
    assert parts == [[1, 2, 3, 4], [4, 3, 2, 1], [1, 2]]


def test_validation_asks_for_validation_positions_alone(small: Params, sequences: Sequences) -> None:
    task = validation_task(small, sequences)
    assert task.targets.tolist() == [5, 6]
    assert task.histories.tolist() == [[2, 3, 4], [3, 4, 5]]
    assert task.seen is not None
    assert [task.seen(example).tolist() for example in range(2)] == [[1, 2, 3, 4], [1, 2, 3, 4, 5]]
    fewer = small.pretrain.model_copy(update={"validation_examples": 1, "exclude_seen": False})
    task = validation_task(small.model_copy(update={"pretrain": fewer}), sequences)
    assert task.targets.tolist() == [5]
    assert task.seen is None


def test_the_report_asks_for_each_user_s_last_item_of_a_split(small: Params, sequences: Sequences) -> None:
    assert last_item_task(small, sequences, "validation").targets.tolist() == [6]
    task = last_item_task(small, sequences, "test")
    assert task.targets.tolist() == [8, 9]
    assert task.histories.tolist() == [[5, 6, 7], [0, 1, 2]]


def _items() -> Items:
    names = pa.array([f"item {i}" for i in range(1, N_ITEMS + 1)])
    return Items(names, names, np.array([2, 3, 2, 2, 0, 0, 0, 0, 0], np.int32))


def test_training_is_given_the_training_part_and_the_validation_task(
    small: Params, sequences: Sequences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {}

    def watch(objective, training, validate, recipe, checkpoints) -> Progress:
        given.update(training=training, recipe=recipe, checkpoints=checkpoints, quality=validate(objective.model))
        return Progress()

    asked = []

    def score(model: SequentialRecommender):
        def scores(histories: np.ndarray):
            asked.append(histories.tolist())
            return real(model)(histories)

        return scores

    real = pretraining.neural_scorer
    monkeypatch.setattr(pretraining, "neural_scorer", score)
    monkeypatch.setattr(pretraining, "train_recommender", watch)
    pretrain_recommender(small, _items(), sequences, tmp_path)
    training = given["training"]
    assert training.ends.tolist() == [4, 12, 14]
    assert training.starts.tolist() == [0, 8, 12]
    assert asked == [[[2, 3, 4], [3, 4, 5]]]
    assert 0 <= given["quality"] <= 1
    assert given["recipe"].recommender == small.recommenders["sasrec"]
    assert given["recipe"].seed == small.seed
    assert given["checkpoints"] == tmp_path


def test_the_same_seed_gives_the_same_recommender(
    small: Params, sequences: Sequences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = []
    for place, seed in enumerate((3, 3, 4)):
        (tmp_path / str(place)).mkdir()
        params = small.model_copy(update={"seed": seed})
        weights.append(pretrain_recommender(params, _items(), sequences, tmp_path / str(place)).model.items.weight)
    assert (weights[0] == weights[1]).all()
    assert (weights[0] != weights[2]).any()


def test_the_fingerprint_follows_every_param_that_decides_weights(small: Params, tmp_path: Path) -> None:
    (tmp_path / "items").write_text("items")
    changes = [
        {"seed": 7},
        {"recommenders": {"sasrec": tiny("sasrec", lr=0.5)}},
        {"pretrain": small.pretrain.model_copy(update={"precision": "bfloat16"})},
        {"split": small.split.model_copy(update={"history_length": 2})},
    ]
    found = {
        pretraining_fingerprint(small.model_copy(update=change), [tmp_path / "items"]) for change in ({}, *changes)
    }
    assert len(found) == 1 + len(changes)
    (tmp_path / "items").write_text("other")
    assert pretraining_fingerprint(small, [tmp_path / "items"]) not in found
