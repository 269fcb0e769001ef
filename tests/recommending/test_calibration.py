"""Temperatures against a slow search that scores one list at a time."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor

from llara_core.evaluation.recorded import recorded_metrics
from llara_core.objectives.asking import Advance, CatalogueRespondent, ignore
from llara_core.params.params import Params
from llara_core.prompting.segments import Item
from llara_core.recommending import calibration, loading
from llara_core.recommending.calibration import Calibration, calibration_lists, fit_calibration, kept_calibration
from llara_core.recommending.loading import load_service, read_weight
from llara_core.recommending.requests import Request
from llara_core.recommending.service import RecommendationService
from llara_core.runtime.files import write_json
from llara_core.runtime.paths import METRICS
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import Predictions
from tests.recommending.tiny import LENGTH, LISTS, N_ITEMS

FITTED = Calibration(catalogue={"llara": 0.5}, lists={"llara": 2.0}, n_examples=1, n_lists=2)


def _cross_entropies(lists: list[tuple[list[float], int]], temperatures: np.ndarray) -> np.ndarray:
    """[T] of lists of scores, each with the place of its target, by temperature."""
    columns = temperatures[:, None]
    parts = [log_softmax(np.array(scores)[None] / columns, axis=1)[:, place] for scores, place in lists]
    return -np.mean(parts, axis=0)


@pytest.mark.parametrize("objective", ["stream", "choice"])
def test_temperatures_are_those_of_the_validation_lists(
    service_of: Callable[[str], RecommendationService], objective: str
) -> None:
    """Asked one by one: every user's validation item, after what was before it."""
    service = service_of(objective)
    sets = service.tuned.tables.sets
    asked = sets.of("validation", "all") if objective == "stream" else sets.of("validation", "last", 1)
    assert service.calibration.n_lists == len(asked)
    found: dict[tuple[str, str], list[tuple[list[float], int]]] = {}

    def ask(kind: str, target: int, request: Request) -> None:
        for name, ranked in service.recommend(request).rankings.items():
            place = [entry.item_id for entry in ranked].index(target)
            found.setdefault((kind, name), []).append(([entry.score for entry in ranked], place))

    columns = (asked.user_ids, asked.positions, asked.targets, asked.candidates)
    for user, position, target, row in zip(*columns, strict=True):
        ask("lists", target, Request(tuple(LISTS[user - 1][:position]), tuple(row.tolist())))
    for example in np.unique(asked.example_ids) if objective == "stream" else []:
        row = int(np.argmax(asked.example_ids == example))
        before = tuple(LISTS[asked.user_ids[row] - 1][: asked.positions[row]])
        ask("catalogue", asked.targets[row], Request(before, top=N_ITEMS))
    fitted = {("lists", name): value for name, value in service.calibration.lists.items()}
    fitted |= {("catalogue", name): value for name, value in service.calibration.catalogue.items()}
    assert {kind for kind, _ in fitted} == ({"lists", "catalogue"} if objective == "stream" else {"lists"})
    assert fitted.keys() == found.keys()
    for key, lists in found.items():
        # By what it reaches within its bounds: where scores say nothing, the highest temperature is best.
        spread = np.mean([max(scores) - min(scores) for scores, _ in lists])
        lowest = _cross_entropies(lists, spread * np.logspace(-3, 3, 6001)).min()
        assert _cross_entropies(lists, np.array([fitted[key]]))[0] <= lowest + 1e-6, key


class _Clairvoyant(CatalogueRespondent):
    """Knows what comes next, not too well, and would rather have what was had once more."""

    def choose(self, sets: CandidateSets) -> CandidateSets:
        return sets

    def answer(self, sets: CandidateSets, advance: Advance = ignore) -> Predictions:
        raise NotImplementedError

    def score_catalogue(self, histories: Sequence[Sequence[Item]], advance: Advance = ignore) -> Tensor:
        rows = []
        for history in histories:
            items = next(items for items in LISTS if items[:-2][-len(history) :] == list(history))
            row = torch.from_numpy(np.random.default_rng(len(items) + items[0]).normal(size=N_ITEMS + 1))
            row[items[-2]] += 1.5
            row[list(history)] += 6
            row[0] = -torch.inf
            rows.append(row.float())
        return torch.stack(rows)


def test_what_was_had_before_is_no_part_of_the_catalogue(service: RecommendationService) -> None:
    """By the slow way: what a model says of unseen items alone decides its temperature."""
    models = replace(service.models, respondent=_Clairvoyant())
    sets = calibration_lists(models, service.tuned.tables.sets, N_ITEMS)
    fitted = fit_calibration(models, service.tuned.tables, sets).catalogue["llara"]
    lists = []
    for items in LISTS:
        row = _Clairvoyant().score_catalogue([items[:-2][-LENGTH:]])[0].numpy()
        unseen = [item for item in range(1, N_ITEMS + 1) if item not in items[:-2]]
        lists.append((row[unseen].tolist(), unseen.index(items[-2])))
    grid = np.logspace(-2, 2, 8001)
    assert fitted == pytest.approx(grid[np.argmin(_cross_entropies(lists, grid))], rel=2e-3)
    assert 0.1 < fitted < 5  # not at a bound


def test_positions_are_spread_where_a_catalogue_makes_them_dear(
    service: RecommendationService, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, n_users = service.tuned.tables.sets, len(LISTS)
    every = calibration_lists(service.models, stored, N_ITEMS)
    assert len(np.unique(every.example_ids)) == n_users
    monkeypatch.setattr(calibration, "_EXAMPLES", 2)
    few = calibration_lists(service.models, stored, N_ITEMS)
    assert np.unique(few.user_ids).tolist() == [1, n_users]
    assert len(few) == 2 * 2  # draws of each
    monkeypatch.setattr(calibration, "_EXAMPLES", 300)
    monkeypatch.setattr(calibration, "_FEWEST", 3)
    assert len(np.unique(calibration_lists(service.models, stored, 1 << 24).example_ids)) == 3
    last = stored.select(stored.scopes == "last")  # lists of all positions may not be stored
    assert set(calibration_lists(service.models, last, N_ITEMS).scopes) == {"last"}


def test_a_calibration_is_fitted_once_and_again_where_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fits = []

    def fit() -> Calibration:
        fits.append(1)
        return FITTED

    assert [kept_calibration("a", fit) for _ in range(3)] == [FITTED] * 3
    assert len(fits) == 1
    kept_calibration("b", fit)
    assert len(fits) == 2
    path = tmp_path / ".llara/calibration/a.json"
    for damage in ("{", "[]", json.dumps({**FITTED.model_dump(), "lists": {"llara": -1}})):
        path.write_text(damage)
        assert kept_calibration("a", fit) == FITTED
    assert len(fits) == 5


def test_a_service_loads_with_the_calibration_that_is_kept(
    repository_of: Callable[[str], tuple[Path, Params]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, params = repository_of("stream")
    monkeypatch.chdir(tmp_path)
    fits, real = [], fit_calibration
    monkeypatch.setattr(loading, "fit_calibration", lambda *a: fits.append(1) or real(*a))
    first, second = (load_service(params, root).calibration for _ in range(2))
    assert first == second
    assert len(fits) == 1
    load_service(params.model_copy(update={"eval": params.eval.model_copy(update={"mode": "hybrid"})}), root)
    assert len(fits) == 2


def test_the_weight_is_that_of_this_model_s_evaluation(
    repository_of: Callable[[str], tuple[Path, Params]],
    service: RecommendationService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, _ = repository_of("stream")
    metrics = json.loads((root / METRICS / "evaluate.json").read_text())
    artifacts = type("Artifacts", (), {"lineage": service.lineage})()
    assert read_weight(root, artifacts) == metrics["llara_with_recommender"]["weight"] == service.models.weight
    other = type("Artifacts", (), {"lineage": service.lineage | {"adapter": "another"}})()
    assert read_weight(root, other) is None
    assert read_weight(tmp_path, artifacts) is None


@pytest.mark.parametrize(("row", "number"), [("llara_with_recommender", "weight"), ("llara", "hit_ratio_at_1")])
def test_metrics_of_another_commit_beside_these_predictions_give_no_weight(
    repository_of: Callable[[str], tuple[Path, Params]],
    service: RecommendationService,
    tmp_path: Path,
    row: str,
    number: str,
) -> None:
    root, _ = repository_of("stream")  # `git checkout` brings metrics of its commit, and leaves data as they are
    (tmp_path / "data").symlink_to(root / "data")
    metrics = json.loads((root / METRICS / "evaluate.json").read_text())
    artifacts = type("Artifacts", (), {"lineage": service.lineage})()
    write_json(tmp_path / METRICS / "evaluate.json", metrics)
    assert read_weight(tmp_path, artifacts) == service.models.weight
    metrics[row][number] += -0.05 if metrics[row][number] > 0.5 else 0.05
    write_json(tmp_path / METRICS / "evaluate.json", metrics)
    assert read_weight(tmp_path, artifacts) is None
    assert recorded_metrics(tmp_path, service.lineage) is None
