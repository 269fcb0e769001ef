"""Command experiments: the runs that answer a question of experiments.yaml, and their comparison."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llara_core.errors import ArtifactError, ParamsError
from llara_core.evaluation.per_list import metric as metric_of
from llara_core.experiments.journal import Journal
from llara_core.experiments.records import Cache
from llara_core.experiments.runs import n_examples
from llara_core.experiments.suites import Suite, choose_suite, load_suites
from stages.checkouts import Checkouts, git
from stages.command import run
from stages.grid import Grid, in_words, prepare, run_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llara_core.evaluation.comparison_report import Variant
    from llara_core.experiments.outcome import Beside

SUITES = Path("experiments.yaml")
_TABLE_WIDTH = 120  # where no terminal tells, rich would break the labels
_BOOTSTRAP_SEED, _DASH = 0, "–"


def experiments(
    name: Annotated[
        str, typer.Argument(metavar="SUITE", help="A suite of experiments.yaml; without one, all are listed.")
    ] = "",
    seeds: Annotated[
        int, typer.Option(min=1, help="Seeds 0, 1, … of every arm; fewer than 3 hardly show their spread.")
    ] = 3,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Of tuning for each run, by which its number of examples is scaled.", show_default="the suite's"
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 1,
    only_plan: Annotated[
        bool, typer.Option("--plan", help="Print runs, what each computes, and how long; start nothing.")
    ] = False,
    metric: Annotated[str, typer.Option(help="What is compared, a value a list.")] = "hit_ratio_at_1",
    model: Annotated[str, typer.Option(help="Whose predictions are compared.")] = "llara",
) -> None:
    """Run what answers a question, and compare: the arms of a suite of experiments.yaml, each with several seeds.

    Every run is an experiment of DVC (`dvc exp show`), made in a clone of its own: your checkout stays as it is. Arms
    differ in their own overrides alone and are tuned on equal numbers of examples. Stages that are alike are computed
    once.

    Killed? Repeat the command: finished runs are kept, and the others go on from their checkpoints. A run that fails is
    named with the end of its log, and the others go on.

    Afterwards every arm is compared with the suite's baseline as `python -m stages.compare` does it, with Holm's
    correction. docs/experiments.md says what may be concluded.
    """
    suites = load_suites(SUITES)
    if not name:
        _list_suites(suites)
        return
    suite = choose_suite(suites, name)
    metric_of(metric)  # before anything runs
    if minutes is not None and not 0 < minutes < math.inf:
        raise ParamsError(f"--minutes must be a number > 0, got {minutes:g}")
    minutes = suite.minutes if minutes is None else minutes
    checkouts, cache = open_repository()
    if only_plan:
        _print_plan(suite, prepare(name, suite, seeds, minutes, checkouts, cache), minutes)
        return
    with checkouts.locked() as lock:
        checkouts.collect()
        grid = prepare(name, suite, seeds, minutes, checkouts, cache)
        journal = Journal(checkouts.state)
        journal.begin(name, suite, minutes, grid.runs, grid.commits)
        done, failed = run_all(grid, checkouts, cache, journal, jobs, lock, _say)
    print(f"{name}: {suite.question}")
    unread = _compare(suite, grid, done, metric, model)
    _name(failed, "FAILED")
    _name(unread, "NOT COMPARED")
    if failed or unread:
        raise typer.Exit(1)


def _list_suites(suites: dict[str, Suite]) -> None:
    table = Table("suite", "question", "arms", "minutes")
    for name, suite in suites.items():
        table.add_row(name, Text(suite.question), Text(", ".join(suite.arms)), f"{suite.minutes:g}")
    _console().print(table)


def open_repository() -> tuple[Checkouts, Cache]:
    """Return what runs experiments here, and DVC's cache.

    Raises:
        ParamsError: the working directory is no root of a repository of git and DVC.
    """
    # Not at the top: DVC takes a second to import, and a mistake in experiments.yaml shouldn't wait for it.
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            folder, top = Path(repo.cache.local_cache_dir), Path(git("rev-parse", "--show-toplevel"))
            if top.resolve() != Path.cwd():
                raise ParamsError(f"the command must be run in the repository's root {top}, got {Path.cwd()}")
    except DvcException as error:
        raise ParamsError(f"the command must be run in a repository of git and DVC: {error}") from error
    return Checkouts(Path(), folder), Cache(folder)


def _say(line: str) -> None:
    print(line, flush=True)


def _console() -> Console:
    return Console(emoji=False, width=max(Console().width, _TABLE_WIDTH), highlight=False)


def _print_plan(suite: Suite, grid: Grid, minutes: float) -> None:
    examples = n_examples(grid.runs[0].params)
    print(suite.question)
    print(f"Every arm is tuned on {examples} examples ({minutes:g} minutes, by the suite's measure).")
    table, planned = Table("run", "computes", "time"), {entry.run.name: entry for entry in grid.planned}
    times = []
    for entry in grid.runs:
        if entry.name in grid.commits:
            table.add_row(entry.name, "nothing: it is done", _DASH)
            continue
        times.append(grid.speeds.seconds(planned[entry.name]))
        shown = "unknown" if times[-1] is None else in_words(times[-1])
        table.add_row(entry.name, ", ".join(planned[entry.name].reruns) or "nothing: all is in DVC's cache", shown)
    _console().print(table)
    print("What isn't named is in DVC's cache already, or will be by then: a run before it computes it.")
    known = [seconds for seconds in times if seconds is not None]
    if len(known) < len(times):
        print(
            "Times are unknown where the workspace's last run has measured none (metrics/pretrain_timing.json, "
            "data/curves/finetune.csv), or for another objective or language model."
        )
    if known:
        print(f"{in_words(sum(known))} for {len(known)} runs of pretraining and finetuning alone, one after the other.")


def _compare(suite: Suite, grid: Grid, done: dict[str, str], metric: str, model: str) -> dict[str, str]:
    """Print the arms that have finished runs beside the baseline; return why an arm can't be read, by its name."""
    # Not at the top: --help and --plan need none of it.
    from llara_core.evaluation.comparison import RESAMPLES
    from llara_core.experiments.comparison_tables import print_report
    from llara_core.experiments.outcome import compare_arms

    arms, unread = [], {}
    for arm in dict.fromkeys(entry.arm for entry in grid.runs if entry.name in done):
        try:
            arms.append(_read_arm(arm, grid, done, metric, model))
        except ArtifactError as error:  # its seeds were asked about different lists, or the metric needs what it lacks
            unread[arm] = str(error)
    outcome = compare_arms(arms, suite.baseline, metric, _BOOTSTRAP_SEED, RESAMPLES)
    if outcome.compared:
        print_report(outcome.compared)
    if outcome.beside:
        print_beside(outcome.beside, metric)
    return unread


def print_beside(entries: "Sequence[Beside]", metric: str) -> None:
    """Print arms that have no paired difference, and why."""
    from llara_core.experiments.comparison_tables import own_interval

    table = Table("arm", metric, "95 % interval", "seeds", title="Beside the baseline, without a paired difference")
    for entry in entries:
        own = entry.own
        seeds = " ".join(f"{mean:.4f}" for mean in own.seed_means)
        table.add_row(Text(own.name), f"{own.mean:.4f}", own_interval(own), seeds)
    _console().print(table)
    for entry in entries:
        print(f"{entry.own.name}: {entry.why}")


def _read_arm(arm: str, grid: Grid, done: dict[str, str], metric: str, model: str) -> "Variant":
    """Read the finished runs of an arm, of which there is one at least."""
    from llara_core.experiments.variants import Named, read_source, read_variant

    runs = [entry for entry in grid.runs if entry.arm == arm and entry.name in done]
    named = Named(arm, tuple(entry.name for entry in runs), model)
    variant = read_variant(named, [read_source(done[entry.name]) for entry in runs], metric)
    return replace(variant, seeds=tuple(entry.seed for entry in runs))


def _name(left_out: dict[str, str], how: str) -> None:
    for name, why in left_out.items():
        print(f"{how} {name}")
        for line in why.splitlines():
            print(f"    {line}")


if __name__ == "__main__":
    run(experiments)
