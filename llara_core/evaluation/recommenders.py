"""Recommenders and counting baselines, judged on the candidate sets that the language model is asked about."""

import numpy as np

from llara_core.evaluation.metrics import answer_metrics, named_mean
from llara_core.recommenders.rank_metrics import gains
from llara_core.recommenders.ranking import Scorer, score_candidates
from llara_core.sequences.windows import unique_histories
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.sequences import Sequences


def list_scores(score: Scorer, sequences: Sequences, sets: CandidateSets, history_length: int) -> np.ndarray:
    """[R, C] scores of the candidates of R sets; arguments as in `candidate_metrics`."""
    shown, example = unique_histories(sequences, sets, history_length)
    return score_candidates(score, shown, example, sets.candidates)


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
    return rank_metrics(sets.ranks(list_scores(score, sequences, sets, history_length)), sets.user_ids)


def rank_metrics(rank: np.ndarray, users: np.ndarray) -> dict[str, float | int]:
    """HitRatio@1 and NDCG@10 of targets' ranks [R], with 95 % intervals over users [R]."""
    return {
        **answer_metrics(rank == 1, np.ones(len(rank), dtype=bool), users),
        **named_mean("ndcg_at_10", gains(rank, 10), users),
    }
