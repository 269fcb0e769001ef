"""Lists with hard negatives: items that the trained recommender likes better than most of the catalogue.

They are drawn when training is over, from lists that preprocessing drew: who is asked, about what, and where the target
stands remain the same.
"""

from dataclasses import dataclass

import numpy as np

from llara_core.recommenders.pools import best_others
from llara_core.recommenders.ranking import RankingTask, Scorer
from llara_core.sequences.negatives import draw_from_pools, items_never_negative, require_enough
from llara_core.sequences.windows import histories, of_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import PADDING_ID
from llara_core.tables.processed import Processed
from llara_core.tables.sequences import SPLITS


@dataclass(frozen=True)
class HardLists:
    """R lists and the pools that their negatives come from.

    Attributes:
        sets: the lists.
        pool_sizes: [R] items in each one's pool.
        targets_in_pool: [R] whether the target would be in the pool, weren't it left out: fewer items than a pool may
            hold have its score or a higher one.
    """

    sets: CandidateSets
    pool_sizes: np.ndarray
    targets_in_pool: np.ndarray


def draw_hard_lists(score: Scorer, tables: Processed, seed: int, pool: int, history_length: int) -> HardLists:
    """Exchange the negatives of stored lists for some of each position's `pool` best items by `score`.

    A list depends on (seed, split, scope, user, position, draw) and its pool alone, and so is the same whatever other
    lists there are. A pool holds none of the user's items, before or after the target, as far as the split reaches.

    Args:
        score: of all items, in float64: see `best_others`.
        tables: catalogue, sequences, and the lists that preprocessing drew.
        seed: of the lists.
        pool: items from which negatives are drawn.
        history_length: the latest items that are shown.

    Raises:
        DataError: a position has fewer possible negatives than its lists need.
        ModelError: a score isn't a finite number.
    """
    stored, sequences, n_items = tables.sets, tables.sequences, len(tables.items)
    _, first, example = np.unique(stored.example_ids, return_index=True, return_inverse=True)
    asked = stored.select(first)
    task = RankingTask(
        histories(sequences, of_candidate_sets(sequences, asked), history_length),
        asked.targets,
        _never_negative(tables, asked, history_length).__getitem__,
    )
    pools = best_others(score, task, n_items, pool)
    sizes, count = (pools.items != PADDING_ID).sum(axis=1), stored.candidates.shape[1] - 1
    require_enough(int(sizes.min()), count, n_items)
    splits = np.array([SPLITS.index(split) for split in stored.splits])
    keys = (splits, stored.scopes == "all", stored.user_ids, stored.positions, stored.draws)
    negatives = draw_from_pools(seed, keys, pools.items, example, count)
    return HardLists(stored.with_negatives(negatives), sizes[example], (pools.n_before < pool)[example])


def _never_negative(tables: Processed, asked: CandidateSets, history_length: int) -> list[np.ndarray]:
    """[R] arrays of what may not be a negative of each list, by the split that it belongs to."""
    excluded: list[np.ndarray] = [np.empty(0, dtype=np.int32)] * len(asked)
    for split in np.unique(asked.splits.astype(str)).tolist():
        rows = np.flatnonzero(asked.splits == split)
        examples = of_candidate_sets(tables.sequences, asked.select(rows))
        found = items_never_negative(tables.sequences, examples, split, "hard", history_length)
        for row, items in zip(rows.tolist(), found, strict=True):
            excluded[row] = items
    return excluded
