"""Recommenders and counting baselines, judged on the candidate sets that the language model is asked about."""

import numpy as np

from llara_core.evaluation.metrics import answer_metrics
from llara_core.evaluation.statistics import mean_with_interval
from llara_core.recommenders.ranking import Scorer, gains, rank_candidates
from llara_core.sequences.windows import histories, of_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.sequences import Sequences


def unique_histories(sets: CandidateSets, sequences: Sequences, length: int) -> tuple[np.ndarray, np.ndarray]:
    """[E, length] histories of the distinct examples, and [R] which of them each candidate set has."""
    _, first, inverse = np.unique(sets.example_ids, return_index=True, return_inverse=True)
    return histories(sequences, of_candidate_sets(sequences, sets.select(first)), length), inverse


def candidate_metrics(
    score: Scorer, sequences: Sequences, sets: CandidateSets, history_length: int
) -> dict[str, float | int]:
    """HitRatio@1 and NDCG@10 of choosing among candidates by score, with 95 % intervals; a tie counts as a miss.

    Args:
        score: of all items.
        sequences: whose histories the sets refer to.
        sets: R candidate sets.
        history_length: the latest items that are shown.
    """
    shown, example = unique_histories(sets, sequences, history_length)
    rank = rank_candidates(score, shown, example, sets.candidates, sets.target_indices)
    mean, low, high = mean_with_interval(gains(rank, 10), sets.user_ids)
    return {
        **answer_metrics(rank == 1, np.ones(len(sets), dtype=bool), sets.user_ids),
        "ndcg_at_10": mean,
        "ndcg_at_10_low": low,
        "ndcg_at_10_high": high,
    }
