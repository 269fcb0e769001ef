"""The candidate sets of validation and test, drawn once and stored."""

import numpy as np

from llara_core.errors import DataError
from llara_core.params.sections import Candidates
from llara_core.sequences.negatives import draw_candidates, items_never_negative
from llara_core.sequences.windows import last_positions, targets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.sequences import SPLITS, Sequences


def build_candidate_sets(
    sequences: Sequences, n_items: int, params: Candidates, history_length: int, seed: int
) -> CandidateSets:
    """Draw the sets of every user's last validation and last test item, seeded by (seed, split, example, draw).

    Raises:
        DataError: nobody in a split can be asked about.
    """
    parts: list[CandidateSets] = []
    first_example = 0
    for split, n_draws in (("validation", params.draws.validation), ("test", params.draws.test)):
        examples = last_positions(sequences, split)
        if not len(examples):
            raise DataError(f"split.{split} must hold a user with an item before the last one, got none: too few users")
        excluded = items_never_negative(sequences, examples, split, params.negatives, history_length)
        within = np.repeat(np.arange(len(examples)), n_draws)
        draws = np.tile(np.arange(n_draws), len(examples))
        goals = targets(sequences, examples)[within]
        keys = (np.full(len(within), SPLITS.index(split)), within, draws)
        candidates = draw_candidates(seed, keys, goals, [excluded[i] for i in within], n_items, params.size)
        parts.append(
            CandidateSets(
                example_ids=first_example + within,
                draws=draws,
                user_ids=sequences.user_ids[examples.rows][within],
                splits=np.full(len(within), split, dtype=object),
                positions=examples.positions[within],
                targets=goals,
                candidates=candidates,
            )
        )
        first_example += len(examples)
    return CandidateSets.concatenate(parts)
