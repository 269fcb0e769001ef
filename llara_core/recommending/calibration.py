"""From scores to probabilities: a temperature for each model, fitted on validation users once, and kept.

Temperature scaling (Guo et al., ICML 2017, arXiv 1706.04599, section 4.2): probabilities are softmax(scores / T) over
what is ranked, with the T of the lowest cross-entropy of what validation users took next. Of the whole catalogue they
are those of "the next item is this one, if it is one that the user hasn't had"; of a list, "if it is one of these".
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from llara_core.evaluation.calibration import choose_temperature
from llara_core.objectives.asking import Advance, ignore
from llara_core.params.base import PositiveFloat, PositiveInt, Section
from llara_core.recommending.requests import MODELS, PoolKind
from llara_core.recommending.scoring import Asked, Models, Scores
from llara_core.runtime.files import state_directory, write_json
from llara_core.sequences.windows import histories, items_before, of_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import PADDING_ID
from llara_core.tables.processed import Processed

_EXAMPLES, _FEWEST, _SCORES = 300, 50, 1 << 24  # examples at most, and fewer where a catalogue makes them dear


class Calibration(Section):
    """Temperatures by model.

    `catalogue`: of rankings of all unseen items, empty where the language model only chooses from lists; `lists`: of
    those from lists; `n_examples` and `n_lists`: what they were fitted on.
    """

    catalogue: dict[str, PositiveFloat]
    lists: dict[str, PositiveFloat]
    n_examples: PositiveInt
    n_lists: PositiveInt

    def temperatures(self, pool: PoolKind) -> dict[str, PositiveFloat]:
        """Temperatures by model for what is ranked."""
        return self.catalogue if pool == "catalogue" else self.lists


def kept_calibration(fingerprint: str, fit: Callable[[], Calibration]) -> Calibration:
    """Read the calibration of this fingerprint from .llara/calibration, or fit and keep it."""
    path = state_directory() / "calibration" / f"{fingerprint}.json"
    if (found := _read(path)) is None:
        found = fit()
        write_json(path, found.model_dump())
    return found


def fit_calibration(models: Models, tables: Processed, sets: CandidateSets, advance: Advance = ignore) -> Calibration:
    """Fit temperatures on validation lists.

    Args:
        models: what scores.
        tables: catalogue and sequences.
        sets: of the validation users, as `calibration_lists` chooses them.
        advance: is told how many more histories were read.
    """
    examples = of_candidate_sets(tables.sequences, sets)
    shown = histories(tables.sequences, examples, models.history_length)
    asked = [
        Asked(tuple(row[row != PADDING_ID].tolist()), pool)
        for row, pool in zip(shown, sets.candidates.astype(np.int64), strict=True)
    ]
    first = np.unique(sets.example_ids, return_index=True)[1]
    n_lists, targets = len(asked), sets.targets.tolist()
    if models.ranks_catalogue:
        before = items_before(tables.sequences, examples)
        for row in first:
            unseen = np.setdiff1d(np.arange(1, models.n_items + 1), before(row))
            asked.append(Asked(asked[row].history, np.union1d(unseen, [targets[row]])))
            targets.append(targets[row])
    scores = models.score(asked, advance)
    fitted = [
        _temperatures(scores[part], [entry.pool for entry in asked[part]], targets[part])
        for part in (slice(n_lists), slice(n_lists, None))
    ]
    return Calibration(lists=fitted[0], catalogue=fitted[1], n_examples=len(first), n_lists=n_lists)


def calibration_lists(models: Models, stored: CandidateSets, n_items: int) -> CandidateSets:
    """Choose validation lists to calibrate on, spread evenly over the users.

    Where a pass over a history scores all items, that is some hundred positions, of all positions if there are lists
    of them, with all their lists; where each list is a prompt, each user's last position, once.
    """
    last = stored.of("validation", "last")
    if not models.ranks_catalogue:
        return last.of("validation", "last", 1)
    sets = every if len(every := stored.of("validation", "all")) else last
    ids = np.unique(sets.example_ids)
    n_examples = min(len(ids), _EXAMPLES, max(_FEWEST, _SCORES // n_items))
    chosen = ids[np.linspace(0, len(ids) - 1, n_examples).round().astype(int)]
    return sets.select(np.isin(sets.example_ids, chosen))


def _temperatures(scores: Sequence[Scores], pools: Sequence[np.ndarray], targets: Sequence[int]) -> dict[str, float]:
    """Fit each model's temperature on pools of differing sizes."""
    if not scores:
        return {}
    sizes = np.array([len(pool) for pool in pools])
    listed = np.arange(sizes.max()) < sizes[:, None]
    places = np.array([int(np.flatnonzero(pool == target)[0]) for pool, target in zip(pools, targets, strict=True)])
    found = {}
    for name in MODELS:
        if all(name in entry for entry in scores):
            table = np.zeros(listed.shape, dtype=np.float32)
            table[listed] = np.concatenate([entry[name] for entry in scores])
            found[name] = choose_temperature(table, places, listed)
    return found


def _read(path: Path) -> Calibration | None:
    """Read a calibration; None if there is none that is whole."""
    try:
        return Calibration.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None
