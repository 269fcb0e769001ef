"""Many histories at once: divided among processes, kept in pieces, so that a killed run goes on."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from tqdm import tqdm

from llara_core.errors import ArtifactError, RequestError
from llara_core.recommending.reading import read_titles
from llara_core.recommending.requests import Recommendation, Request
from llara_core.recommending.service import RecommendationService
from llara_core.recommending.titles import TitleIndex
from llara_core.runtime.checkpoints import locked_checkpoints
from llara_core.runtime.compute import is_main_process, n_processes, process_index, wait_for_all
from llara_core.runtime.files import sha256_of
from llara_core.runtime.fingerprint import experiment_fingerprint
from llara_core.tables.histories import HistoryRow, read_histories
from llara_core.tables.rankings import RankingRow, kept_rankings, rankings_table, write_rankings

_PIECE = 64  # histories, whatever the number of processes: what is read together decides the last digits of scores
_INPUT, _RUN = "histories", "run"


def recommend_batch(service: RecommendationService, source: Path, goal: Path, top: int, *, fresh: bool = False) -> int:
    """Rank after every history of the Parquet file `source`, and write the rankings to `goal` when all are there.

    Several processes share the work, and the main one writes. Its bytes are those of one process alone.

    Args:
        service: what ranks.
        source: as `read_histories` has it.
        goal: as `tables.rankings` has it.
        top: items of a ranking.
        fresh: forget what an interrupted run has done.

    Returns:
        how many histories there are.

    Raises:
        RequestError: naming file, row and field of what can't be answered.
        AmbiguousTitleError: likewise, of what has to be asked about.
    """
    rows = read_histories(source)
    requests = [read_row(service.titles, source, number, row, top) for number, row in enumerate(rows)]
    settings = {
        "eval": service.tuned.params.model_dump(mode="json"),
        "made_from": service.lineage,
        "calibration": service.calibration.model_dump(),
        "weight": service.models.weight,
        "top": top,
    }
    fingerprint = experiment_fingerprint(settings, [source], by_processes=False)
    with locked_checkpoints("recommend", fingerprint, fresh=fresh) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        wait_for_all()  # the main process may have emptied the folder
        pieces = [(folder / f"{start}.parquet", slice(start, start + _PIECE)) for start in range(0, len(rows), _PIECE)]
        _work(service, rows, requests, pieces[process_index() :: n_processes()], {_RUN: fingerprint})
        wait_for_all()
        if is_main_process():
            table = pa.concat_tables([_collect(path, {_RUN: fingerprint}) for path, _ in pieces])
            write_rankings(goal, table, {**service.lineage, _INPUT: sha256_of(source)})
    return len(rows)


def read_row(index: TitleIndex, path: Path, number: int, row: HistoryRow, top: int) -> Request:
    """Find the items of a row.

    Raises:
        RequestError: an item isn't in the catalogue, where it must be, or candidates aren't two different ones.
        AmbiguousTitleError: a title may mean several.
    """
    where = f"{path}: row {number}"
    read = [
        read_titles(index, [str(item) if isinstance(item, str) else f"id:{item}" for item in items], f"{where}: {name}")
        for name, items in (("history", row.history), ("candidates", row.candidates or ()))
    ]
    history, candidates = (entry.items for entry in read)
    if row.candidates is None:
        return Request(history, top=top)
    known = tuple(item for item in candidates if not isinstance(item, str))
    if len(known) < len(candidates):
        raise RequestError(f"{where}: candidates must be in the catalogue; {read[1].notes[-1]}")
    if len(set(known)) < max(2, len(known)):
        raise RequestError(f"{where}: candidates must be at least 2 different items, got {list(row.candidates)}")
    return Request(history, known, top=top)


def _work(
    service: RecommendationService,
    rows: Sequence[HistoryRow],
    requests: Sequence[Request],
    pieces: Sequence[tuple[Path, slice]],
    made_from: dict[str, str],
) -> None:
    """Answer pieces that an earlier run hasn't."""
    left = [(path, part) for path, part in pieces if kept_rankings(path, made_from) is None]
    n_own, n_left = (sum(len(rows[part]) for _, part in entries) for entries in (pieces, left))
    with tqdm(total=n_own, initial=n_own - n_left, desc="recommend", unit="history") as bar:
        for path, part in left:
            answers = service.recommend_many(requests[part])
            found = [entry for row, answer in zip(rows[part], answers, strict=True) for entry in _rankings(row, answer)]
            write_rankings(path, rankings_table(found), made_from)
            bar.update(len(answers))


def _rankings(row: HistoryRow, answer: Recommendation) -> list[RankingRow]:
    strangers = [item for item in answer.shown if isinstance(item, str)]
    return [
        RankingRow(
            row.name,
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
