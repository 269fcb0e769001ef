"""The recommender alone and popularity, judged on the candidate sets that the language model is asked about."""

import numpy as np

from llara_core.evaluation.metrics import answer_metrics
from llara_core.recommenders.ranking import candidate_ranks
from llara_core.sequences.windows import histories, of_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.sequences import Sequences


def unique_histories(sets: CandidateSets, sequences: Sequences, length: int) -> tuple[np.ndarray, np.ndarray]:
    """[E, length] histories of the distinct examples, and [R] which of them each candidate set has."""
    _, first, inverse = np.unique(sets.example_ids, return_index=True, return_inverse=True)
    return histories(sequences, of_candidate_sets(sequences, sets.select(first)), length), inverse


def ranking_metrics(scores: np.ndarray, example: np.ndarray, sets: CandidateSets) -> dict[str, float | int]:
    """Metrics of choosing the best-scored candidate; a tie with the target counts as a miss.

    Args:
        scores: [E, n + 1] of all items, one row per distinct example.
        example: [R] row of `scores` for each set.
        sets: R candidate sets.
    """
    correct = candidate_ranks(scores[example], sets.candidates, sets.target_indices) == 1
    return answer_metrics(correct, np.ones(len(sets), dtype=bool), sets.user_ids)
