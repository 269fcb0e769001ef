"""Many histories at once: divided among processes, kept in pieces, so that a killed run goes on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from tqdm import tqdm

from llara_core.errors import ArtifactError
from llara_core.recommending.requests import Recommendation, Request
from llara_core.recommending.service import RecommendationService
from llara_core.runtime.checkpoints import locked_checkpoints
from llara_core.runtime.compute import wait_for_all
from llara_core.runtime.files import sha256_of
from llara_core.runtime.fingerprint import experiment_fingerprint
from llara_core.runtime.processes import is_main_process, n_processes, process_index
from llara_core.tables.rankings import RankingRow, kept_rankings, rankings_table, write_rankings

_PIECE = 64  # histories, whatever the number of processes: what is read together decides the last digits of scores
_INPUT, _RUN = "histories", "run"


def recommend_batch(
    service: RecommendationService, named: Mapping[str, Request], source: Path, goal: Path, *, fresh: bool = False
) -> None:
    """Answer many requests, and write the rankings to `goal` when all are there.

    Several processes share the work, and the main one writes. Its bytes are those of one process alone.

    Args:
        service: what ranks.
        named: requests by name, all with as many items at the top.
        source: the file that they come from.
        goal: as `tables.rankings` has it.
        fresh: forget what an interrupted run has done.
    """
    rows = list(named.items())
    settings = {
        "eval": service.tuned.params.model_dump(mode="json"),
        "made_from": service.lineage,
        "calibration": service.calibration.model_dump(),
        "weight": service.models.weight,
        "top": [request.top for request in named.values()][:1],
    }
    fingerprint = experiment_fingerprint(settings, [source], by_processes=False)
    with locked_checkpoints("recommend", fingerprint, fresh=fresh) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        wait_for_all()  # the main process may have emptied the folder
        pieces = [(folder / f"{start}.parquet", slice(start, start + _PIECE)) for start in range(0, len(rows), _PIECE)]
        _work(service, rows, pieces[process_index() :: n_processes()], {_RUN: fingerprint})
        wait_for_all()
        if is_main_process():
            table = pa.concat_tables([_collect(path, {_RUN: fingerprint}) for path, _ in pieces])
            write_rankings(goal, table, {**service.lineage, _INPUT: sha256_of(source)})


def _work(
    service: RecommendationService,
    rows: Sequence[tuple[str, Request]],
    pieces: Sequence[tuple[Path, slice]],
    made_from: dict[str, str],
) -> None:
    """Answer pieces that an earlier run hasn't."""
    left = [(path, part) for path, part in pieces if kept_rankings(path, made_from) is None]
    n_own, n_left = (sum(len(rows[part]) for _, part in entries) for entries in (pieces, left))
    with tqdm(total=n_own, initial=n_own - n_left, desc="recommend", unit="history") as bar:
        for path, part in left:
            answers = service.recommend_many([request for _, request in rows[part]])
            pairs = zip(rows[part], answers, strict=True)
            found = [entry for (name, _), answer in pairs for entry in _rankings(name, answer)]
            write_rankings(path, rankings_table(found), made_from)
            bar.update(len(answers))


def _rankings(name: str, answer: Recommendation) -> list[RankingRow]:
    strangers = [item for item in answer.shown if isinstance(item, str)]
    return [
        RankingRow(
            name,
            model,
            [entry.item_id for entry in ranked],
            [entry.title for entry in ranked],
            [entry.score for entry in ranked],
            [entry.probability for entry in ranked],
            strangers,
        )
        for model, ranked in answer.rankings.items()
    ]


def _collect(path: Path, made_from: dict[str, str]) -> pa.Table:
    if (table := kept_rankings(path, made_from)) is None:
        raise ArtifactError(f"{path}: must hold rankings, but was removed or damaged meanwhile; run it again")
    return table
