"""All metrics of stored answers: the few that matter, and in detail. Needs no model; everything has its interval."""

from typing import Any

import numpy as np

from llara_core.evaluation.beyond_accuracy import list_report
from llara_core.evaluation.calibration import choice_confidence, expected_calibration_error, reliability
from llara_core.evaluation.list_effects import accuracy_by_place, draw_agreement, order_agreement
from llara_core.evaluation.metrics import named_mean
from llara_core.evaluation.per_list import METRICS, metric
from llara_core.evaluation.slices import slices_of
from llara_core.evaluation.statistics import difference_with_interval
from llara_core.recommenders.rank_metrics import gains
from llara_core.tables.items import Items
from llara_core.tables.predictions import WHOLE, Answered, Asked, Predictions

_OF_ANSWERS = ("hit_ratio_at_1", "valid_ratio")
_IN_CATALOGUE = (1, 5, 10, 20)

Metrics = dict[str, Any]


def headline(answered: Answered, weight: float | None) -> Metrics:
    """By model: HitRatio@1 with its 95 % interval, NDCG@5 where it has scores, and ValidRatio; and the number of lists.

    Args:
        answered: the lists and all answers.
        weight: of the language model's scores in `llara_with_recommender`.
    """
    asked = answered.asked
    found: Metrics = {"lists": {"n_lists": len(asked), "n_users": len(np.unique(asked.sets.user_ids))}}
    for name, predictions in answered.predictions.items():
        users = asked.sets.user_ids
        entry = named_mean("hit_ratio_at_1", metric("hit_ratio_at_1")(predictions, asked), users)
        if predictions.scores is not None:
            entry["ndcg_at_5"] = float(metric("ndcg_at_5")(predictions, asked).mean())
        found[name] = {**entry, "valid_ratio": float(metric("valid_ratio")(predictions, asked).mean())}
    if weight is not None:
        found["llara_with_recommender"]["weight"] = weight
    return found


def details(answered: Answered, items: Items, n_training_users: int, vectors: np.ndarray) -> Metrics:
    """By model, all that its answers can tell; by pairs of models, paired differences; overlap of hits.

    Args:
        answered: the lists and all answers.
        items: the catalogue.
        n_training_users: users of whom items' training interactions are.
        vectors: [n + 1, D] by item, whose angles say how unlike two items are.
    """
    found: Metrics = {}
    for name, predictions in answered.predictions.items():
        entry = _among_candidates(predictions, answered.asked)
        if predictions.catalogue_ranks is not None and predictions.top is not None:
            entry["catalogue"] = _in_catalogue(predictions.catalogue_ranks, answered.asked)
        first, recommended = _recommended(predictions, answered.asked)
        entry["recommended"] = list_report(
            recommended,
            answered.asked.sets.targets[first],
            items.popularity,
            len(items),
            answered.asked.sets.user_ids[first],
            vectors if (recommended > 0).sum(axis=1).min() > 1 else None,
            n_training_users,
        )
        found[name] = entry
    if (shuffled := answered.predictions.get("llara_candidates_shuffled")) is not None:
        chosen = answered.predictions["llara"].matched_items
        users = answered.asked.sets.user_ids
        found["llara_candidates_shuffled"]["same_choice"] = order_agreement(chosen, shuffled.matched_items, users)
        del found["llara_candidates_shuffled"]["by_place"]  # by the stored place, which it wasn't shown
    report = {"models": found, "differences": differences(answered)}
    if {"llara", "recommender"} <= answered.predictions.keys():
        report["overlap"] = overlap(answered, "llara", "recommender")
    return report


def differences(answered: Answered) -> Metrics:
    """HitRatio@1 of llara and llara_with_recommender less that of each other model, paired, with 95 % intervals."""
    asked, hits = answered.asked, metric("hit_ratio_at_1")
    values = {name: hits(predictions, asked) for name, predictions in answered.predictions.items()}
    pairs = [(ours, other) for ours in ("llara", "llara_with_recommender") for other in values if ours in values]
    found = {}
    for ours, other in pairs:
        if ours != other:
            mean, low, high = difference_with_interval(values[ours], values[other], asked.sets.user_ids)
            found[f"{ours} - {other}"] = {"difference": mean, "low": max(low, -1.0), "high": min(high, 1.0)}
    return found


def overlap(answered: Answered, first: str, second: str) -> dict[str, float]:
    """Shares of lists, with 95 % intervals over users, where both models hit, only one, or none.

    `either` is what choosing between them can reach.
    """
    hits = metric("hit_ratio_at_1")
    ours, theirs = (hits(answered.predictions[name], answered.asked).astype(bool) for name in (first, second))
    shares = {
        "both": ours & theirs,
        f"only_{first}": ours & ~theirs,
        f"only_{second}": ~ours & theirs,
        "neither": ~ours & ~theirs,
        "either": ours | theirs,
    }
    users, found = answered.asked.sets.user_ids, dict[str, float]()
    for name, values in shares.items():
        found |= named_mean(name, values, users)
    return found


def _among_candidates(predictions: Predictions, asked: Asked) -> Metrics:
    sets, users = asked.sets, asked.sets.user_ids
    names = METRICS if predictions.scores is not None else _OF_ANSWERS
    entry: Metrics = {}
    for name in names:
        entry |= named_mean(name, metric(name)(predictions, asked), users)
    matches = np.array(predictions.matches)
    if predictions.scores is None:
        entry |= named_mean("valid_ratio_exact", matches == WHOLE, users)
    correct = metric("hit_ratio_at_1")(predictions, asked).astype(bool)
    for what, parts in slices_of(asked).items():
        entry[f"by_{what}"] = {label: _slice(correct, users, mask) for label, mask in parts.items()}
    entry["by_place"] = accuracy_by_place(correct, sets.target_indices, users, sets.candidates.shape[1])
    if len(np.unique(sets.example_ids)) < len(sets):
        entry["between_draws"] = draw_agreement(correct, sets.example_ids, users)
    if predictions.scores is not None:
        confidence = choice_confidence(predictions.scores)
        bins = reliability(confidence, correct, users)
        entry["calibration"] = {"ece": expected_calibration_error(confidence, correct), "bins": bins}
    return entry


def _slice(correct: np.ndarray, users: np.ndarray, mask: np.ndarray) -> Metrics:
    counts = {"n_lists": int(mask.sum()), "n_users": len(np.unique(users[mask]))}
    return {**named_mean("hit_ratio_at_1", correct[mask], users[mask]), **counts}


def _in_catalogue(ranks: np.ndarray, asked: Asked) -> Metrics:
    """Of ranks [R] among all items; each example counts once."""
    _, first = np.unique(asked.sets.example_ids, return_index=True)
    ranks, users = ranks[first], asked.sets.user_ids[first]
    entry: Metrics = {"n_examples": len(first)}
    for k in _IN_CATALOGUE:
        entry |= named_mean(f"hit_ratio_at_{k}", ranks <= k, users)
    entry |= named_mean("ndcg_at_10", gains(ranks, 10), users)
    return {**entry, **named_mean("mrr", 1 / ranks, users)}


def _recommended(predictions: Predictions, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """[E] rows, and [E, K] what is recommended there: the catalogue's first items, or the choice from each list."""
    if predictions.top is None:
        return np.arange(len(asked)), predictions.matched_items[:, None]
    _, first = np.unique(asked.sets.example_ids, return_index=True)
    return first, predictions.top[first]
