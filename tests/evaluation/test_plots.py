from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llara_core.evaluation.plots import PLOTS, pictures, plot_rows
from llara_core.plotting.plot import Plot


def _share(name: str, value: float) -> dict[str, float]:
    return {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}


def _hits(value: float, n_lists: int = 40, n_users: int = 2) -> dict[str, Any]:
    return {**_share("hit_ratio_at_1", value), "n_lists": n_lists, "n_users": n_users}


def _at(place: int, value: float, n_examples: int) -> dict[str, Any]:
    return {"place": place, **_share("hit_ratio_at_1", value), "n_examples": n_examples, "n_users": 3}


def _model(value: float) -> dict[str, Any]:
    return {
        **_share("hit_ratio_at_1", value),
        "mrr": 0.9,
        "by_history_length": {"1–4": _hits(0.1), "100+": _hits(0.3, 1060)},
        "by_target_n_train": {"0 (cold)": _hits(0.2)},
        "by_place": [_at(place, value, 10 * place) for place in range(1, 8)],
        "calibration": {
            "ece": 0.1,
            "bins": [{"confidence": 0.45, "n_examples": 9, "n_users": 4, **_share("accuracy", 0.5)}],
        },
    }


OVERLAP = {"both": 0.4, "only_llara": 0.1, "only_recommender": 0.2, "neither": 0.3, "either": 0.7}


@pytest.fixture
def details() -> dict[str, Any]:
    """Return details of four models, the best of which isn't the first, and two of which are equally good."""
    written = _model(0.25)
    del written["calibration"]
    shuffled = _model(0.5)
    del shuffled["by_place"]
    models = {"llara_text": written, "recommender": _model(0.5), "llara": _model(0.75), "llara_shuffled": shuffled}
    overlap = {key: number for name, value in OVERLAP.items() for key, number in _share(name, value).items()}
    return {"models": models, "overlap": overlap}


def test_models_stand_as_in_the_table_with_their_intervals(details: dict[str, Any]) -> None:
    rows = plot_rows(details)["models"]
    assert [row["model"] for row in rows] == ["llara", "llara_shuffled", "recommender", "llara_text"]
    assert rows[0] == {"model": "llara", **_share("hit_ratio_at_1", 0.75)}


def test_parts_have_their_counts(details: dict[str, Any]) -> None:
    rows = plot_rows(details)
    assert rows["by_history_length"][:2] == [
        {"model": "llara", "history_length": "1–4", **_share("hit_ratio_at_1", 0.1), "n_lists": 40, "n_users": 2},
        {"model": "llara", "history_length": "100+", **_share("hit_ratio_at_1", 0.3), "n_lists": 1060, "n_users": 2},
    ]
    assert len(rows["by_history_length"]) == 2 * 4
    assert {row["target_n_train"] for row in rows["by_target_n_train"]} == {"0 (cold)"}
    assert rows["by_place"][0] == {
        "model": "llara",
        "place": 1,
        **_share("hit_ratio_at_1", 0.75),
        "n_lists": 10,
        "n_users": 3,
    }
    assert [row["model"] for row in rows["by_place"][::7]] == ["llara", "recommender", "llara_text"]


def test_calibration_is_of_models_with_scores(details: dict[str, Any]) -> None:
    rows = plot_rows(details)["calibration"]
    assert [row["model"] for row in rows] == ["llara", "llara_shuffled", "recommender"]
    assert rows[0] == {"model": "llara", "confidence": 0.45, **_share("accuracy", 0.5), "n_lists": 9, "n_users": 4}


def test_overlap_ends_with_its_ceiling(details: dict[str, Any]) -> None:
    rows = plot_rows(details)["overlap"]
    assert [(row["hit_by"], row["share"]) for row in rows] == [
        ("both", 0.4),
        ("only llara", 0.1),
        ("only recommender", 0.2),
        ("neither", 0.3),
        ("either: the ceiling", 0.7),
    ]
    assert rows[-1] == {"hit_by": "either: the ceiling", **_share("share", 0.7)}
    del details["overlap"]
    assert plot_rows(details)["overlap"] == []


def test_each_plot_names_columns_of_its_rows(details: dict[str, Any]) -> None:
    rows = plot_rows(details)
    assert list(rows) == list(PLOTS)
    for name, plot in PLOTS.items():
        assert {plot.x, plot.y} <= set(rows[name][0])


def test_captions_tell_how_many_were_asked(details: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    captions: dict[str, list[str]] = {}

    def draw(self: Plot, rows: object, templates: Path, caption: Sequence[str]) -> bytes:
        captions[self.title] = list(caption)
        return b"drawn"

    monkeypatch.setattr(Plot, "draw", draw)
    del details["overlap"]
    drawn = pictures(plot_rows(details), {"n_lists": 1900, "n_users": 95}, Path("templates"))
    assert set(drawn) == set(PLOTS) - {"overlap"}  # which has no rows
    of_all = "1,900 lists of 95 users"
    assert captions == {
        "HitRatio@1 by model": [of_all],
        "HitRatio@1 by length of the history": [of_all, "lists (users): 1–4: 40 (2), 100+: 1,060 (2)"],
        "HitRatio@1 by popularity of the target": [of_all, "lists (users): 0 (cold): 40 (2)"],
        "HitRatio@1 by place of the target": [of_all, "10 to 70 lists a point"],
        "confidence and accuracy": [of_all],
    }
