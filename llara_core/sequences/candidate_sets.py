"""The candidate sets of validation and test, drawn once and stored."""

import numpy as np

from llara_core.params.sections import Candidates
from llara_core.sequences.negatives import draw_candidates, items_never_negative
from llara_core.sequences.windows import last_positions, targets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.sequences import SPLITS, Sequences


def build_candidate_sets(
    sequences: Sequences, n_items: int, params: Candidates, history_length: int, seed: int
) -> CandidateSets:
    """Draw the sets of every validation and test user's last item, seeded by (seed, split, example, draw)."""
    parts: list[CandidateSets] = []
    first_example = 0
    for split, draws in (("validation", params.draws.validation), ("test", params.draws.test)):
        parts.append(_of_split(sequences, split, draws, n_items, params, history_length, seed, first_example))
        first_example = int(parts[-1].example_ids[-1]) + 1
    return CandidateSets.concatenate(parts)


def _of_split(
    sequences: Sequences,
    split: str,
    n_draws: int,
    n_items: int,
    params: Candidates,
    history_length: int,
    seed: int,
    first_example: int,
) -> CandidateSets:
    examples = last_positions(sequences, split)
    within = np.repeat(np.arange(len(examples)), n_draws)
    draws = np.tile(np.arange(n_draws), len(examples))
    rows, positions = examples.rows[within], examples.positions[within]
    goals = targets(sequences, examples)[within]
    excluded = items_never_negative(sequences, rows, positions, params.negatives, history_length)
    keys = (np.full(len(rows), SPLITS.index(split)), within, draws)
    return CandidateSets(
        example_ids=first_example + within,
        draws=draws,
        user_ids=sequences.user_ids[rows],
        splits=np.full(len(rows), split, dtype=object),
        positions=positions,
        targets=goals,
        candidates=draw_candidates(seed, keys, goals, excluded, n_items, params.size),
    )
