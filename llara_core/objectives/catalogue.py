"""Answering by scores of the whole catalogue: candidate lists and full ranking from one pass over each history."""

import numpy as np
import torch

from llara_core.objectives.asking import best_of
from llara_core.objectives.numbers import require_finite
from llara_core.recommenders.ranking import RankingTask, Scorer, score_and_rank
from llara_core.sequences.windows import items_before, of_candidate_sets, targets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import Predictions
from llara_core.tables.processed import Processed


def answer_by_catalogue(
    score: Scorer, tables: Processed, sets: CandidateSets, shown: np.ndarray, example: np.ndarray, *, exclude_seen: bool
) -> Predictions:
    """Choose the candidate of the highest score, and rank each target among all items.

    Args:
        score: of all items after histories.
        tables: catalogue and sequences.
        sets: R candidate sets.
        shown: [E, L] histories of their distinct examples, in the order of example ids.
        example: [R] which of them each set has.
        exclude_seen: leave items that the user has had before out of the full ranking, but for the target.

    Raises:
        ModelError: a score isn't a finite number.
    """
    first = np.unique(sets.example_ids, return_index=True)[1]
    asked = of_candidate_sets(tables.sequences, sets.select(first))
    seen = items_before(tables.sequences, asked) if exclude_seen else None
    task = RankingTask(shown, targets(tables.sequences, asked), seen)
    scores, ranking = score_and_rank(score, task, example, sets.candidates, len(tables.items))
    require_finite(torch.from_numpy(scores))
    chosen = best_of(sets.candidates, scores, tables.items.titles_by_id)
    return chosen.with_ranking(ranking.ranks[example], ranking.top[example])
