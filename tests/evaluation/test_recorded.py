"""Metrics are taken from an evaluation of the very artifacts at hand, or not at all."""

from pathlib import Path

import pytest

from llara_core.errors import ArtifactError
from llara_core.evaluation.recorded import EVALUATED, recorded_metrics
from llara_core.runtime.paths import PREDICTIONS
from llara_core.tables.predictions import Answered, write_predictions
from tests.evaluation.stored import make_asked, make_scored

LINEAGE = {"items": "ab" * 32, "adapter": "cd" * 32}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    asked = make_asked([1, 2])
    write_predictions(tmp_path / PREDICTIONS, Answered(asked, {"llara": make_scored(asked, [1, 0])}), LINEAGE)
    (tmp_path / EVALUATED).parent.mkdir()
    (tmp_path / EVALUATED).write_text('{"llara": {"hit_ratio_at_1": 0.5}}')
    return tmp_path


def test_of_these_artifacts(root: Path) -> None:
    assert recorded_metrics(root, LINEAGE) == {"llara": {"hit_ratio_at_1": 0.5}}


def test_not_of_others_nor_of_more(root: Path) -> None:
    assert recorded_metrics(root, LINEAGE | {"adapter": "ef" * 32}) is None
    assert recorded_metrics(root, LINEAGE | {"recommender": "12" * 32}) is None


@pytest.mark.parametrize(
    "content",
    [
        '{"llara": {"hit_ratio_at_1": 0.6}}',
        '{"llara": {"hit_ratio_at_1": 0.5}, "recommender": {"hit_ratio_at_1": 0.5}}',
        '{"recommender": {"hit_ratio_at_1": 0.5}}',
    ],
)
def test_not_of_other_predictions(root: Path, content: str) -> None:
    """As git leaves them that takes back the metrics and not the predictions."""
    (root / EVALUATED).write_text(content)
    assert recorded_metrics(root, LINEAGE) is None


def test_sections_that_are_of_no_model_may_stand_beside(root: Path) -> None:
    (root / EVALUATED).write_text('{"llara": {"hit_ratio_at_1": 0.5}, "lists": {"users": 2}}')
    assert recorded_metrics(root, LINEAGE) is not None


def test_none_where_one_half_is_missing(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert recorded_metrics(tmp_path_factory.mktemp("empty"), LINEAGE) is None
    (root / EVALUATED).unlink()
    assert recorded_metrics(root, LINEAGE) is None


@pytest.mark.parametrize(
    ("content", "words"), [("{", "not readable metrics"), ("[]", "section"), ('{"a": 1}', "section")]
)
def test_damaged_metrics_are_named(root: Path, content: str, words: str) -> None:
    (root / EVALUATED).write_text(content)
    with pytest.raises(ArtifactError, match=f"evaluate.json: .*{words}.*dvc repro evaluate"):
        recorded_metrics(root, LINEAGE)
