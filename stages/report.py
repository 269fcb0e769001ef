"""Command report: a page with what every suite of runs, and the workspace's own evaluation, allow to conclude."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llara_core.errors import ArtifactError
from llara_core.experiments.journal import Journal
from llara_core.experiments.suites import Suite, choose_suite, load_suites
from llara_core.runtime.program import print_json
from stages.checkouts import git
from stages.command import run
from stages.experiments import SUITES, open_repository

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llara_core.reporting.results import SuiteResults
    from llara_core.reporting.section import Section
    from stages.results import Wanted

_PACKAGES = ("llara", "numpy", "scipy", "python")  # whose versions can move a last digit of the report
_WORKSPACE = "This checkout"


def report(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SUITE]…", help="Suites of experiments.yaml; else all with runs.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder that is written.")] = Path("report"),
    metric: Annotated[str, typer.Option(help="What is reported, a value a list.")] = "hit_ratio_at_1",
    model: Annotated[str, typer.Option(help="Whose predictions stand for an arm.")] = "llara",
    pictures: Annotated[bool, typer.Option("--png", help="Also every plot as PNG.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Also the first table of each section, for booktabs.")] = False,
    resamples: Annotated[int | None, typer.Option(min=100, help="Resamples of the bootstrap.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was concluded as JSON.")] = False,
) -> None:
    """Write report/index.html: for every suite with runs its question, table, plots, and what may be concluded.

    The page is one file, opens without a network, and has every number as CSV beside it. It shows each suite as the
    last `python -m stages.experiments SUITE` has run it, failed runs too, and first the evaluation in the workspace.
    Equal runs give equal bytes.
    """
    suites = load_suites(SUITES)
    chosen = {name: choose_suite(suites, name) for name in names} if names else suites
    # Not at the top: a mistake shouldn't wait for the libraries, nor --help.
    from llara_core.evaluation.comparison import RESAMPLES
    from llara_core.evaluation.per_list import metric as metric_of
    from llara_core.reporting.names import metric_name
    from llara_core.reporting.page import Contents
    from llara_core.reporting.section import make_section
    from llara_core.reporting.writing import require_own_folder, write_report
    from stages.results import Wanted, workspace_results

    metric_of(metric)
    require_own_folder(out)
    wanted = Wanted(metric, model)
    found = _read_suites(chosen, wanted)
    _require_runs(names or (), found)
    titled = {} if names or not (own := workspace_results(wanted)) else {_WORKSPACE: own}
    titled |= {name: results for name, results in found.items() if results}
    if not titled:
        raise ArtifactError(
            f"a report needs results, got none: `dvc repro` makes those of the workspace, and "
            f"`python -m stages.experiments SUITE` those of a suite ({', '.join(suites)})"
        )
    sections = [make_section(title, results, metric, resamples or RESAMPLES) for title, results in titled.items()]
    waiting = {name: suites[name].question for name, results in found.items() if not results}
    files = write_report(
        out, Contents(sections, waiting, _origin(), metric_name(metric)), pictures=pictures, latex=latex
    )
    _print(sections, files, as_json=as_json)


def _print(sections: "Sequence[Section]", files: "Sequence[Path]", *, as_json: bool) -> None:
    """Print what was concluded, and what was written."""
    if as_json:
        told = [
            {
                "title": section.title,
                "conclusion": section.conclusion,
                "without_result": [name for names in section.failures.values() for name in names],
            }
            for section in sections
        ]
        print_json({"sections": told, "files": [file.as_posix() for file in files]})
        return
    for section in sections:
        print(f"{section.title}: {section.conclusion}")
        for without in section.failures.values():
            print(f"    without a result: {', '.join(without)}")
    print(f"{files[0]} and {len(files) - 1} files beside it")


def _read_suites(suites: dict[str, Suite], wanted: "Wanted") -> "dict[str, SuiteResults | None]":
    from stages.results import suite_results

    checkouts, cache = open_repository()
    journal = Journal(checkouts.state)
    return {name: suite_results(name, suite, journal, checkouts, cache, wanted) for name, suite in suites.items()}


def _require_runs(names: "Sequence[str]", found: "dict[str, SuiteResults | None]") -> None:
    if missing := [name for name in names if found[name] is None]:
        raise ArtifactError(
            f"{missing[0]}: a suite must have runs to be reported, got none; `python -m stages.experiments "
            f"{missing[0]}` makes them"
        )


def _origin() -> dict[str, str]:
    """What the report itself was made from."""
    from llara_core.experiments.machine import describe_machine

    machine, changed = describe_machine(), git("status", "--porcelain", "--untracked-files=no")
    return {
        "checkout": git("rev-parse", "HEAD") + (", with changes since" if changed else ""),
        "versions": ", ".join(f"{name} {machine[name]}" for name in _PACKAGES if name in machine),
    }


if __name__ == "__main__":
    run(report)
