"""data/predictions: what every model said to the same candidate sets, from which all metrics can be computed again.

`lists.parquet` holds the candidate sets that were asked about, a row each; `<model>.parquet` one model's answers, row
by row. Each model's table carries the digest of the lists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from llara_core.errors import ArtifactError
from llara_core.tables.candidates import (
    SCHEMA,
    CandidateSets,
    lists_of,
    require_sound_lists,
    rows_of,
    sets_of,
    table_of,
)
from llara_core.tables.items import Items
from llara_core.tables.lineage import Lineage, digest_of, require_lineage
from llara_core.tables.parquet import read_table, write_table

NO_ITEM = 0
LISTS = "lists.parquet"
_CHOSEN_BY = "negatives_chosen_by"
SCORED, WHOLE, INSIDE, NONE = "scored", "whole", "inside", "none"
_MATCHES = (SCORED, WHOLE, INSIDE, NONE)
_LISTS_SCHEMA = SCHEMA.append(pa.field("n_train", pa.list_(pa.int32())))
_ANSWERS_SCHEMA = pa.schema(
    [
        ("answer", pa.string()),
        ("match", pa.string()),
        ("matched_item", pa.int32()),
        ("scores", pa.list_(pa.float32())),
        ("target_rank", pa.int32()),
        ("catalogue_rank", pa.int32()),
        ("top", pa.list_(pa.int32())),
    ]
)


@dataclass(frozen=True)
class Asked:
    """R candidate sets of C items that were asked about, and what slices of them need.

    Attributes:
        sets: of one split.
        n_train: [R, C] training interactions of each candidate.
        chosen_by: digest of the recommender that chose hard negatives; None of others.
    """

    sets: CandidateSets
    n_train: np.ndarray
    chosen_by: str | None = None

    @classmethod
    def of(cls, sets: CandidateSets, items: Items, chosen_by: str | None = None) -> Self:
        """Describe sets about `items`, whose negatives a recommender of this digest may have chosen."""
        return cls(sets, items.popularity[sets.candidates], chosen_by)

    def __len__(self) -> int:
        """Return the number of candidate sets."""
        return len(self.sets)

    @cached_property
    def target_n_train(self) -> np.ndarray:
        """[R] training interactions of each target."""
        return np.take_along_axis(self.n_train, self.sets.target_indices[:, None], axis=1)[:, 0]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return digest_of(pa.array([self.sets.digest]), self.n_train.astype(np.int32))


@dataclass(frozen=True)
class Predictions:
    """One model's answers to R candidate sets of C items.

    Attributes:
        answers: [R] the answer's text.
        matches: [R] how it names a candidate: as the one of the highest score (SCORED), as a title (WHOLE), or by a
            title inside other words (INSIDE); NONE if it names none or several.
        matched_items: [R] the candidate it names, NO_ITEM where none.
        scores: [R, C] float32 by candidate, higher is better; None where the model wrote freely.
        catalogue_ranks: [R] rank of the target among all items, 1 is best; None where the model doesn't rank them.
        top: [R, K] the items that rank first among all, the best first; NO_ITEM where there are no more.
    """

    answers: list[str]
    matches: list[str]
    matched_items: np.ndarray
    scores: np.ndarray | None
    catalogue_ranks: np.ndarray | None = None
    top: np.ndarray | None = None

    def with_ranking(self, ranks: np.ndarray, top: np.ndarray) -> Self:
        """Return the same answers with ranks [R] and the first items [R, K] of the whole catalogue."""
        return replace(self, catalogue_ranks=ranks, top=top)

    def select(self, rows: np.ndarray) -> Self:
        """Return the answers at `rows` (indices)."""
        return type(self)(
            answers=[self.answers[row] for row in rows],
            matches=[self.matches[row] for row in rows],
            matched_items=self.matched_items[rows],
            scores=None if self.scores is None else self.scores[rows],
            catalogue_ranks=None if self.catalogue_ranks is None else self.catalogue_ranks[rows],
            top=None if self.top is None else self.top[rows],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join answers of one model."""
        return cls(
            answers=[answer for part in parts for answer in part.answers],
            matches=[match for part in parts for match in part.matches],
            matched_items=np.concatenate([part.matched_items for part in parts]),
            scores=_joined([part.scores for part in parts]),
            catalogue_ranks=_joined([part.catalogue_ranks for part in parts]),
            top=_joined([part.top for part in parts]),
        )

    def target_ranks(self, sets: CandidateSets) -> np.ndarray | None:
        """[R] rank of each target by score: 1 is best, and ties, and NaN, count against it; None without scores."""
        return None if self.scores is None else sets.ranks(self.scores)


def _joined(parts: list[np.ndarray | None]) -> np.ndarray | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None


@dataclass(frozen=True)
class Answered:
    """The lists, and every model's answers to them by the model's name."""

    asked: Asked
    predictions: Mapping[str, Predictions]


def write_predictions(folder: Path, answered: Answered, made_from: Lineage) -> None:
    """Write lists.parquet, and a table per model, into `folder`."""
    asked = answered.asked
    lists = table_of(asked.sets).append_column(_LISTS_SCHEMA.field("n_train"), lists_of(asked.n_train))
    chosen_by = {} if asked.chosen_by is None else {_CHOSEN_BY: asked.chosen_by}
    write_table(folder / LISTS, lists, {**made_from, **chosen_by})
    for name, predictions in answered.predictions.items():
        write_answers(folder / f"{name}.parquet", predictions, asked.sets, {**made_from, "lists": asked.digest})


def lineage_of_predictions(folder: Path) -> Lineage:
    """Read what the predictions in `folder` were made from.

    Raises:
        ArtifactError: there are none, or the lists are damaged.
    """
    return read_table(folder / LISTS, _LISTS_SCHEMA)[1]


def read_predictions(folder: Path) -> Answered:
    """Read what `write_predictions` wrote.

    Raises:
        ArtifactError: a table is missing or damaged, isn't of these lists, or a list lacks its target or holds an item
            twice.
    """
    asked = _read_lists(folder / LISTS)
    names = sorted(path.stem for path in folder.glob("*.parquet") if path.name != LISTS)
    made_from = {"lists": asked.digest}
    return Answered(asked, {name: read_answers(folder / f"{name}.parquet", asked.sets, made_from) for name in names})


def write_answers(path: Path, predictions: Predictions, sets: CandidateSets, made_from: Lineage) -> None:
    """Write one model's answers to `sets`; made_from must hold a digest of the `lists`."""
    n, ranks = len(sets), predictions.target_ranks(sets)
    columns = [
        pa.array(predictions.answers, pa.string()),
        pa.array(predictions.matches, pa.string()),
        _int32(predictions.matched_items),
        lists_of(np.empty((n, 0)) if predictions.scores is None else predictions.scores, pa.float32()),
        _int32(np.zeros(n) if ranks is None else ranks),
        _int32(np.zeros(n) if predictions.catalogue_ranks is None else predictions.catalogue_ranks),
        lists_of(np.empty((n, 0)) if predictions.top is None else predictions.top),
    ]
    write_table(path, pa.table(columns, schema=_ANSWERS_SCHEMA), made_from)


def _int32(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(np.int32))


def _read_lists(path: Path) -> Asked:
    table, made_from = read_table(path, _LISTS_SCHEMA)
    sets = sets_of(path, table)
    require_sound_lists(path, sets)
    n_train = rows_of(path, table, "n_train")
    if n_train.shape != sets.candidates.shape:
        raise ArtifactError(
            f"{path}: n_train must have a number for each of {sets.candidates.shape[1]} candidates, got "
            f"{n_train.shape[1]}"
        )
    return Asked(sets, n_train, made_from.get(_CHOSEN_BY))


def read_answers(path: Path, sets: CandidateSets, made_from: Lineage) -> Predictions:
    """Read what `write_answers` wrote about `sets`, made from `made_from` or more.

    Raises:
        ArtifactError: it is missing or damaged, was made from something else, or contradicts itself.
    """
    table, found_from = read_table(path, _ANSWERS_SCHEMA)
    require_lineage(path, found_from, made_from)
    if len(table) != len(sets):
        raise ArtifactError(f"{path}: must have a row for each of {len(sets)} lists, got {len(table)}")
    scores, top = rows_of(path, table, "scores"), rows_of(path, table, "top")
    if scores.shape[1] not in (0, sets.candidates.shape[1]):
        raise ArtifactError(
            f"{path}: scores must be of no candidate or of all {sets.candidates.shape[1]}, got {scores.shape[1]}"
        )
    found = Predictions(
        answers=table["answer"].to_pylist(),
        matches=table["match"].to_pylist(),
        matched_items=table["matched_item"].to_numpy(),
        scores=scores if scores.shape[1] else None,
        catalogue_ranks=table["catalogue_rank"].to_numpy() if top.shape[1] else None,
        top=top if top.shape[1] else None,
    )
    _check_matches(path, found, sets)
    ranks = found.target_ranks(sets)
    if not np.array_equal(table["target_rank"].to_numpy(), np.zeros(len(sets)) if ranks is None else ranks):
        raise ArtifactError(f"{path}: target_rank must be the target's rank by scores, or 0 without scores")
    _check_ranking(path, table["catalogue_rank"].to_numpy(), top, sets.targets)
    return found


def _check_matches(path: Path, found: Predictions, sets: CandidateSets) -> None:
    matches, matched = np.array(found.matches), found.matched_items
    if strange := sorted(set(found.matches) - set(_MATCHES)):
        raise ArtifactError(f"{path}: match must be one of {', '.join(_MATCHES)}, got {strange[0]!r}")
    is_named, is_none = sets.candidates == matched[:, None], matches == NONE
    if (wrong := np.where(is_none, matched != NO_ITEM, ~is_named.any(axis=1))).any():
        row = int(np.argmax(wrong))
        raise ArtifactError(
            f"{path}: row {row}: matched_item must be one of the candidates where match isn't {NONE}, and {NO_ITEM} "
            f"where it is, got {matched[row]} with {matches[row]}"
        )
    if (scored := matches == SCORED).any():
        scores = np.full(is_named.shape, np.nan) if found.scores is None else found.scores
        best = np.where(is_named, scores, -np.inf).max(axis=1) >= scores.max(axis=1)  # never of NaN
        if (wrong := scored & ~best).any():
            row = int(np.argmax(wrong))
            raise ArtifactError(f"{path}: row {row}: matched_item must have the best score, got {matched[row]}")


def _check_ranking(path: Path, ranks: np.ndarray, top: np.ndarray, targets: np.ndarray) -> None:
    has_top = top.shape[1] > 0
    if (ranks > 0).any() != has_top or ranks.min(initial=1) < has_top:
        raise ArtifactError(
            f"{path}: catalogue_rank must be ≥ 1 in every row where top holds items, and 0 where none does"
        )
    if not has_top:
        return
    first = np.arange(top.shape[1]) < ranks[:, None]  # ties with the target may stand behind it, and count against it
    is_among = (first & (top == targets[:, None])).any(axis=1)
    if (wrong := (ranks <= top.shape[1]) & ~is_among).any():
        row = int(np.argmax(wrong))
        raise ArtifactError(
            f"{path}: row {row}: the target, {targets[row]}, must be among the first catalogue_rank items of top, got "
            f"{ranks[row]} and {top[row].tolist()}"
        )
