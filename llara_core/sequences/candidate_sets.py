"""The candidate sets of validation and test, drawn once and stored: for users' last positions, and for all."""

from collections.abc import Iterator

import numpy as np

from llara_core.errors import DataError
from llara_core.params.sections import Candidates
from llara_core.sequences.negatives import draw_candidates, items_never_negative, negative_weights
from llara_core.sequences.random_words import random_permutation
from llara_core.sequences.windows import Examples, all_positions, last_positions, targets
from llara_core.tables.candidates import CandidateSets, Scope
from llara_core.tables.sequences import SPLITS, Sequences

_ALL = 0x416C6C50  # "AllP": keeps words of these lists apart from all others


def build_candidate_sets(
    sequences: Sequences, n_items: int, params: Candidates, history_length: int, min_history: int
) -> CandidateSets:
    """Draw the sets of validation and test: of every user's last position, and of a sample of all positions.

    The former are seeded by (seed, split, example, draw), the latter by (seed, split, user's row, position, draw), so
    that a smaller sample has the same lists. Hard negatives need a recommender and are drawn later
    (`evaluation.hard_lists`): until then the lists are those of `outside_history`.

    Args:
        sequences: of all users.
        n_items: ids run from 1 to n_items.
        params: how to draw.
        history_length: the latest items that a model is shown.
        min_history: a position counts if so many items stand before it; a user's last one if one does.

    Raises:
        DataError: nobody in a split can be asked about.
    """
    weights = negative_weights(sequences, n_items, params.negatives, params.popularity.smoothing)
    parts: list[CandidateSets] = []
    first_example = 0
    for split, scope, examples, n_draws in _asked(sequences, params, min_history):
        within = np.repeat(np.arange(len(examples)), n_draws)
        draws = np.tile(np.arange(n_draws), len(examples))
        everywhere = (np.full_like(within, _ALL), examples.rows[within], examples.positions[within])
        places = (within,) if scope == "last" else everywhere
        excluded = items_never_negative(sequences, examples, split, params.negatives, history_length)
        goals = targets(sequences, examples)[within]
        keys = (np.full_like(within, SPLITS.index(split)), *places, draws)
        banned = [excluded[i] for i in within]
        candidates = draw_candidates(params.seed, keys, goals, banned, n_items, params.size, weights)
        parts.append(
            CandidateSets(
                example_ids=first_example + within,
                draws=draws,
                user_ids=sequences.user_ids[examples.rows][within],
                splits=np.full(len(within), split, dtype=object),
                scopes=np.full(len(within), scope, dtype=object),
                positions=examples.positions[within],
                targets=goals,
                candidates=candidates,
            )
        )
        first_example += len(examples)
    return CandidateSets.concatenate(parts)


def _asked(sequences: Sequences, params: Candidates, min_history: int) -> Iterator[tuple[str, Scope, Examples, int]]:
    """Yield each collection's split, scope, examples and draws."""
    for split, n_draws in (("validation", params.draws.validation), ("test", params.draws.test)):
        examples = last_positions(sequences, split)
        if not len(examples):
            raise DataError(f"split.{split} must hold a user with an item before the last one, got none: too few users")
        yield split, "last", examples, n_draws
    for split in ("validation", "test"):
        everything = all_positions(sequences, split, min_history)
        if n_draws := params.all_positions.draws:
            yield split, "all", _sample(everything, params.all_positions.limit, params.seed, split), n_draws


def _sample(examples: Examples, limit: int, seed: int, split: str) -> Examples:
    """Choose up to `limit` examples, in their order."""
    order = random_permutation(seed, _ALL + SPLITS.index(split), len(examples))
    chosen = np.sort(order[:limit])
    return Examples(examples.rows[chosen], examples.positions[chosen])
