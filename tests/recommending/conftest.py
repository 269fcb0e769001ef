"""A tiny repository for each objective, made once, and its service."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llara_core.params.params import Params
from llara_core.recommending.loading import load_service
from llara_core.recommending.service import RecommendationService
from tests.recommending.tiny import make_repository, tiny_params


@pytest.fixture(scope="session")
def repository_of(
    params: Params, llama_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, Params]]:
    made: dict[str, tuple[Path, Params]] = {}

    def of(objective: str) -> tuple[Path, Params]:
        if objective not in made:
            root = tmp_path_factory.mktemp(objective)
            own = tiny_params(params, llama_folder, objective, template=1)
            make_repository(root, own)
            made[objective] = root, own
        return made[objective]

    return of


@pytest.fixture(scope="session")
def service_of(
    repository_of: Callable[[str], tuple[Path, Params]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], RecommendationService]:
    made: dict[str, RecommendationService] = {}

    def of(objective: str) -> RecommendationService:
        if objective not in made:
            root, own = repository_of(objective)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(tmp_path_factory.mktemp("state"))  # where the calibration is kept
                made[objective] = load_service(own, root)
        return made[objective]

    return of


@pytest.fixture
def service(service_of: Callable[[str], RecommendationService]) -> RecommendationService:
    return service_of("stream")
