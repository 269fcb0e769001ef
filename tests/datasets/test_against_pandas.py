"""MovieLens-100K and a miniature 1M through our readers and protocol, in file order, and through plain pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llara_core.datasets.log import RawLog
from llara_core.datasets.movielens_1m import read_movielens_1m
from llara_core.datasets.movielens_100k import read_movielens_100k
from llara_core.params.params import Params
from llara_core.sequences.building import group_by_user
from llara_core.sequences.encoding import encode_interactions
from llara_core.sequences.filtering import filter_interactions
from llara_core.sequences.splitting import split_sequences
from llara_core.tables.sequences import Sequences

NAMES = ["user", "item", "rating", "timestamp"]


def _ours(log: RawLog, params: Params) -> Sequences:
    filters = params.datasets["ml-100k"].filters
    kept, _ = filter_interactions(encode_interactions(log.interactions, log.item_ids), filters, seed=0)
    return split_sequences(group_by_user(kept, ties="file_order", unused_items=filters.unused_items), params.split)


def _require_equal(sequences: Sequences, ratings: pd.DataFrame, item_ids: list[int]) -> None:
    kept = ratings[ratings["rating"] >= 3].sort_values(["user", "timestamp"], kind="stable")
    number = {raw: place for place, raw in enumerate(sorted(item_ids), start=1)}
    by_user = kept.groupby("user")
    expected = {str(user): [number[item] for item in rows["item"]] for user, rows in by_user}
    assert {
        user: sequences.items_of(row).tolist() for row, user in enumerate(sequences.raw_user_ids.to_pylist())
    } == expected
    ranking = by_user["timestamp"].min().sort_values(kind="stable").index
    n = len(ranking)
    parts = np.split(ranking.to_numpy(), [n * 8 // 10, n * 9 // 10])
    names = {
        str(user): name for name, users in zip(("train", "validation", "test"), parts, strict=True) for user in users
    }
    assert dict(zip(sequences.raw_user_ids.to_pylist(), sequences.split_names, strict=True)) == names


def test_movielens_100k(movielens: Path, params: Params) -> None:
    ratings = pd.read_csv(movielens / "u.data", sep="\t", names=NAMES)
    _require_equal(_ours(read_movielens_100k(movielens), params), ratings, list(range(1, 1683)))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_miniature_movielens_1m(tmp_path: Path, params: Params, seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows = zip(*(generator.integers(1, high, 3000) for high in (60, 90, 6, 400)), strict=True)
    (tmp_path / "ratings.dat").write_text("\n".join("::".join(map(str, row)) for row in rows) + "\n")
    (tmp_path / "movies.dat").write_text("\n".join(f"{i}::Film {i}: The Movie (1990)::Drama" for i in range(1, 90)))
    ratings = pd.read_csv(tmp_path / "ratings.dat", sep="::", names=NAMES, engine="python")
    _require_equal(_ours(read_movielens_1m(tmp_path), params), ratings, list(range(1, 90)))
