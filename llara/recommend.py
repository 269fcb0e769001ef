"""Command recommend: what comes next after a few titles, or after each history of a Parquet file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llara_core.errors import RequestError
from llara_core.params.loading import load_params
from llara_core.runtime.paths import PROCESSED
from llara_core.runtime.program import print_json
from llara_core.tables.items import read_items
from llara_core.tables.processed import ITEMS

if TYPE_CHECKING:
    from llara_core.params.params import Params


def recommend(
    titles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TITLE]…",
            help="What was consumed, the latest last. `id:12` is an item by its id, `text:Some Title` a title outside "
            "the catalogue.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many items each ranking has.")] = 10,
    candidates: Annotated[
        Path | None, typer.Option(help="A text file with a title on each line: choose among these alone.")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Begin with all that this user of the data has had (its id in the raw files)."),
    ] = None,
    why: Annotated[bool, typer.Option(help="Also what each title contributed; asks once more for each.")] = True,
    histories: Annotated[
        Path | None, typer.Option(metavar="PARQUET", help="Rank after each history of this file; needs --out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="PARQUET", help="Where the rankings of --histories go.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what an interrupted run of --histories did.")] = False,
    params_path: Annotated[Path, typer.Option("--params", help="How to ask: its section eval.")] = Path("params.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Recommend what comes next: by LLaRA, by its recommender, and by both together.

    Titles are matched whatever their case, accents, articles and year, and with a typo or two, which is said. One that
    may mean several ends the command with status 3 and the choices: nothing is guessed silently. One that the catalogue
    doesn't have is read as text, without a behavioural token.

    Probabilities are calibrated on validation users. What a title contributed is the score with it less the score
    without it.

        llara recommend "Toy Story" "Heat" "Fargo"
        llara recommend --user 196 --candidates tonight.txt --json
        llara recommend --histories in.parquet --out out.parquet
        accelerate launch --cpu --num_processes 2 -m llara recommend --histories in.parquet --out out.parquet

    docs/recommending.md has the files' schemas and what the numbers mean.
    """
    params = load_params(params_path)
    _check_usage(titles, user, candidates, histories, out)
    if histories is not None and out is not None:
        _recommend_many(params, histories, out, top, fresh=fresh, as_json=as_json)
    else:
        _recommend_one(params, titles or [], user, candidates, top, why=why, as_json=as_json)


def _check_usage(
    titles: list[str] | None, user: str | None, candidates: Path | None, histories: Path | None, out: Path | None
) -> None:
    if (histories is None) != (out is None):
        raise typer.BadParameter("--histories and --out belong together: one names the input, the other the output")
    if histories is not None:
        if out is not None and (out.is_dir() or out.resolve() == histories.resolve()):
            raise RequestError(f"--out must be a file, and another one than --histories, got {out}")
        if titles or user is not None or candidates is not None:
            raise typer.BadParameter(
                "--histories brings its own titles and candidates; leave TITLE, --user, --candidates"
            )
    elif not titles and user is None:
        raise RequestError("a history must have at least one title, got none: name some, or a --user of the data")


def _recommend_one(
    params: "Params",
    titles: list[str],
    user: str | None,
    candidates: Path | None,
    top: int,
    *,
    why: bool,
    as_json: bool,
) -> None:
    # Not at the top: --help, and mistakes like the above, shouldn't wait for the libraries.
    from llara.recommendation_tables import print_recommendation
    from llara_core.recommending.reading import known_items, read_candidates_file, read_titles
    from llara_core.recommending.requests import Request
    from llara_core.recommending.titles import TitleIndex

    index = TitleIndex(read_items(PROCESSED / ITEMS))  # before the model: a question shouldn't wait for it
    read = read_titles(index, titles)
    listed = None if candidates is None else read_candidates_file(index, candidates)
    from llara_core.recommending.loading import load_service

    service = load_service(params)
    had = () if user is None else service.history_of(user)
    request = Request((*had, *read.items), None if listed is None else known_items(listed.items), top=top, why=why)
    answer = service.recommend(request)
    notes = (*read.notes, *(() if listed is None else listed.notes), *answer.notes)
    names = service.items.titles_by_id
    if as_json:
        found = {**answer.as_json(names), "notes": list(notes)}
        found["calibration"] = service.calibration.model_dump()
        found["weight"] = service.models.weight
        print_json(found)
        return
    print_recommendation(answer, names)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _recommend_many(params: "Params", histories: Path, out: Path, top: int, *, fresh: bool, as_json: bool) -> None:
    from llara_core.recommending.reading import read_requests
    from llara_core.recommending.titles import TitleIndex

    requests = read_requests(TitleIndex(read_items(PROCESSED / ITEMS)), histories, top)
    from llara_core.recommending.batch import recommend_batch
    from llara_core.recommending.loading import load_service
    from llara_core.runtime.processes import is_main_process

    n_rows = len(requests)
    recommend_batch(load_service(params), requests, histories, out, fresh=fresh)
    if not is_main_process():
        return
    if as_json:
        print_json({"histories": n_rows, "out": str(out)})
    else:
        print(f"{out}: rankings after {n_rows} histories")
