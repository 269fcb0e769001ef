"""Command ask-api: another language model's answers to the stored lists, by an OpenAI-compatible endpoint."""

import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from llara_core.errors import EndpointError, RequestError
from llara_core.params.loading import load_params
from llara_core.runtime.paths import OUTSIDE
from llara_core.runtime.program import print_json

if TYPE_CHECKING:
    from llara_core.outside_judge.budget import Budget
    from llara_core.outside_judge.endpoint import Endpoint
    from llara_core.outside_judge.session import Session


def ask_api(
    base_url: Annotated[str, typer.Option(envvar="OPENAI_BASE_URL", help="Address of the API, as https://…/v1.")],
    model: Annotated[str, typer.Option(help="The model, as the endpoint calls it.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Lists at most, drawn; a smaller one is a part.")] = None,
    draws: Annotated[int, typer.Option(min=1, help="Stored lists of each position.")] = 1,
    positions: Annotated[
        Literal["last", "all"] | None, typer.Option(help="Whose lists; as eval.positions, if not given.")
    ] = None,
    max_requests: Annotated[int | None, typer.Option(min=1, help="Requests that this call may send.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens that this call may spend, prompts and replies together.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Send all prompts without any limit.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say how many prompts and tokens; sends nothing.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at once.")] = 4,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="Of replies; 0 is greedy.")] = 0.0,
    reply_tokens: Annotated[int, typer.Option(min=1, help="Tokens that a reply may have.")] = 64,
    system: Annotated[str | None, typer.Option(help="A system message before each prompt.")] = None,
    limit_field: Annotated[
        Literal["max_tokens", "max_completion_tokens"], typer.Option(help="What the endpoint calls --reply-tokens.")
    ] = "max_tokens",
    timeout: Annotated[float, typer.Option(min=0.05, help="Seconds that a request may take.")] = 60.0,
    key_name: Annotated[
        str, typer.Option("--key-from", metavar="VARIABLE", help="Environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    name: Annotated[str | None, typer.Option(help="Of the row and its folder; by default after the model.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="By which lists are drawn.")] = 0,
    params_path: Annotated[Path, typer.Option("--params", help="Words of the prompts.")] = Path("params.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask another language model about the stored lists, and judge its answers as all others are.

    Prompts are those of objective `answer` in text mode. They hold titles of your dataset, which so go to the endpoint:
    see docs/outside_judge.md for what its licence has to say.

    Nothing is sent without --limit, --max-requests, --max-tokens or --yes, or your consent in a terminal. Every answer
    is stored in .llara/answers as it comes, and never asked for twice: the same command goes on after a limit, a kill
    or an error. When all are there, rows go to data/outside/NAME, for `llara compare`.

        llara ask-api --base-url https://api.openai.com/v1 --model gpt-4o-mini --plan
        llara ask-api --base-url https://api.openai.com/v1 --model gpt-4o-mini --max-requests 100 --max-tokens 40000
        llara compare judge=data/outside/gpt-4o-mini#gpt-4o-mini llara=data/outside/gpt-4o-mini#llara
    """
    params = load_params(params_path)
    # Not at the top: --help, and a mistake in params.yaml, shouldn't wait for the libraries.
    from llara_core.outside_judge.budget import Budget
    from llara_core.outside_judge.session import Sample, open_session
    from llara_core.outside_judge.settings import Settings, require_name

    if name is not None:
        require_name(name)
    settings = Settings.of(
        base_url=base_url, model=model, temperature=temperature, reply_tokens=reply_tokens, system=system
    )
    session = open_session(params, settings, Sample(positions or params.eval.positions, draws, limit, seed), name)
    for note in session.notes:
        print(f"note: {note}", file=sys.stderr)
    if plan:
        _print_plan(session, as_json=as_json)
        return
    budget, left = Budget(max_requests, max_tokens), session.left()
    if left:
        has_limit = any(bound is not None for bound in (limit, max_requests, max_tokens))
        session.require_room(max_tokens, left)
        _require_consent(session, is_given=has_limit or yes, can_ask=not as_json)
        from llara_core.outside_judge.endpoint import Endpoint

        with closing(Endpoint(settings, key_name, timeout, limit_field)) as endpoint:
            _ask(session, left, endpoint, budget, concurrency)
    _finish(session, budget, as_json=as_json)


def _ask(session: "Session", left: list[str], endpoint: "Endpoint", budget: "Budget", concurrency: int) -> None:
    """Ask about what is left; however that ends early, say how far it is."""
    try:
        session.ask(left, endpoint, budget, concurrency)
    except EndpointError as error:
        raise EndpointError(f"{error}; {_standing(session, budget)}") from error
    except KeyboardInterrupt:
        print(f"interrupted: {_standing(session, budget)}", file=sys.stderr)
        raise


def _finish(session: "Session", budget: "Budget", *, as_json: bool) -> None:
    """Judge and write if all answers are there; say how far it is in any case."""
    from llara_core.evaluation.rows_table import print_rows
    from llara_core.outside_judge.judging import write_verdict

    verdict, folder = session.conclude(), OUTSIDE / session.row
    if verdict is not None:
        write_verdict(folder, verdict, session.lineage)
    left = len(session.left())
    if as_json:
        found: dict[str, Any] = {
            **_identity(session),
            "left": left,
            "first": session.n_first(),
            "sent": {"requests": budget.requests, "tokens": budget.tokens},
            "predictions": None if verdict is None else str(folder),
            "metrics": None if verdict is None else verdict.metrics,
            "notes": session.notes + ([] if verdict is None else verdict.remarks),
        }
        print_json(found)
    elif verdict is None:
        print(f"limit reached: {_standing(session, budget)}")
    else:
        print_rows(verdict.metrics["models"], verdict.metrics["lists"], verdict.remarks)
        print(f"{budget.requests} requests and {budget.tokens} tokens this time; answers and metrics are in {folder}")


def _standing(session: "Session", budget: "Budget") -> str:
    """How far it is, and how it goes on."""
    left, first = len(session.left()), session.n_first()
    said = (
        f"{left} of {len(session.asked)} lists are left, after {budget.requests} requests and {budget.tokens} tokens "
        "this time; all answers are stored, and the same command goes on"
    )
    return said + (f", or --limit {first} judges the first {first} of them" if first else "")


def _require_consent(session: "Session", *, is_given: bool, can_ask: bool) -> None:
    """Say what would be sent, and have the user agree to it, by an option or in the terminal.

    Raises:
        RequestError: he hasn't.
    """
    if not is_given and not (can_ask and sys.stdin.isatty()):
        raise RequestError(
            f"nothing is sent without --limit, --max-requests, --max-tokens or --yes; {_describe(session)}"
        )
    print(_describe(session), file=sys.stderr)
    if not is_given and not typer.confirm("Send them all?", err=True):
        raise RequestError("nothing was sent")


def _describe(session: "Session") -> str:
    """What would be sent, to whom."""
    found, settings = session.estimate(), session.settings
    return (
        f"{settings.model} at {settings.host}: {found.prompts} prompts of {len(session.asked)} lists to send, about "
        f"{found.prompt_tokens:,} tokens, with replies at most {found.most_tokens:,}; they hold titles of "
        f"{session.dataset}"
    )


def _identity(session: "Session") -> dict[str, Any]:
    settings = session.settings.model_dump()
    return {"row": session.row, "dataset": session.dataset, "settings": settings, "lists": len(session.asked)}


def _print_plan(session: "Session", *, as_json: bool) -> None:
    if as_json:
        print_json({**_identity(session), **asdict(session.estimate()), "notes": session.notes})
    else:
        print(_describe(session))
