"""From the artifacts of the stages to a service that answers."""

from pathlib import Path

from tqdm import tqdm

from llara_core.errors import ArtifactError
from llara_core.evaluation.artifacts import Artifacts, load_tuned, read_artifacts
from llara_core.evaluation.recorded import EVALUATED, recorded_metrics
from llara_core.objectives.asking import Tuned, build_respondent
from llara_core.params.params import Params
from llara_core.recommenders.ranking import neural_scorer
from llara_core.recommending.calibration import Calibration, calibration_lists, fit_calibration, kept_calibration
from llara_core.recommending.requests import TOGETHER
from llara_core.recommending.scoring import Models
from llara_core.recommending.service import RecommendationService
from llara_core.runtime.compute import choose_device, seed_torch, wait_for_all
from llara_core.runtime.fingerprint import experiment_fingerprint
from llara_core.runtime.paths import ADAPTER, CANDIDATES, EMBEDDINGS, PROCESSED, RECOMMENDER
from llara_core.runtime.processes import is_main_process


def load_service(params: Params, root: Path = Path()) -> RecommendationService:
    """Load the tuned model below `root`, its recommender, the weight of both together, and the calibration.

    The calibration is fitted the first time, which takes seconds, or minutes where each list is a prompt. Several
    processes may load at once; the main one fits.

    Args:
        params: how to ask, as evaluation does (`eval.template`, `mode`, `batch_size`, `length_normalized`).
        root: the repository's.

    Raises:
        ArtifactError: an artifact is missing or damaged, or they don't belong together.
        ModelError: the language model can't be loaded.
    """
    seed_torch(params.seed)
    paths = (PROCESSED, RECOMMENDER, EMBEDDINGS, ADAPTER, CANDIDATES)
    artifacts = read_artifacts(*(root / path for path in paths))
    tuned = load_tuned(params.eval.model_copy(update={"method": "scoring"}), artifacts)
    models = Models(
        build_respondent(tuned),
        neural_scorer(artifacts.recommender.to(choose_device())),
        read_weight(root, artifacts),
        artifacts.manifest.history_length,
        len(artifacts.tables.items),
    )
    return RecommendationService(tuned, models, _calibration(tuned, models, artifacts), artifacts.lineage)


def read_weight(root: Path, artifacts: Artifacts) -> float | None:
    """Read the weight of the language model beside the recommender, which evaluation has chosen on validation.

    None where these artifacts haven't been evaluated, or the metrics are another evaluation's, or without scores, which
    alone can be weighed.

    Raises:
        ArtifactError: the evaluation's metrics are damaged.
    """
    metrics = recorded_metrics(root, artifacts.lineage)
    weight = None if metrics is None else metrics.get(TOGETHER, {}).get("weight")
    if weight is None or (isinstance(weight, int | float) and 0 <= weight <= 1):
        return weight
    raise ArtifactError(
        f"{root / EVALUATED}: {TOGETHER}.weight must lie in 0..1, got {weight!r}; run `dvc repro evaluate`"
    )


def _calibration(tuned: Tuned, models: Models, artifacts: Artifacts) -> Calibration:
    settings = {"eval": tuned.params.model_dump(mode="json"), "weight": models.weight, "made_from": artifacts.lineage}
    fingerprint = experiment_fingerprint(settings, [], by_processes=False)

    def fit() -> Calibration:
        tables = artifacts.tables
        sets = calibration_lists(models, tables.sets, len(tables.items))
        if not len(sets):
            raise ArtifactError("data/candidates: must hold lists of validation users to calibrate on, got none")
        n_read = len(set(sets.example_ids.tolist())) if models.ranks_catalogue else len(sets)
        with tqdm(total=n_read, desc="calibrating, once", unit="history") as bar:
            return fit_calibration(models, tables, sets, bar.update)

    if is_main_process():
        kept_calibration(fingerprint, fit)
    wait_for_all()
    return kept_calibration(fingerprint, fit)
