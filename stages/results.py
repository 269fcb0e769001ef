"""Reading what a report is made of: the runs of suites from git and DVC's cache, and the workspace's evaluation."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from llara_core.errors import ArtifactError, ParamsError
from llara_core.experiments.journal import Journal, PlannedRun, SuiteEntry
from llara_core.experiments.records import Cache, Record
from llara_core.experiments.runs import n_examples
from llara_core.experiments.suites import Suite
from llara_core.experiments.variants import WORKSPACE, Found, read_source
from llara_core.reporting.evaluation import answers_of, evaluation_results
from llara_core.reporting.results import RunResult, SuiteResults
from llara_core.runtime.paths import CURVES, METRICS, PREDICTIONS, RAW
from llara_core.tables.predictions import LISTS
from stages.checkouts import Checkouts, git
from stages.command import PARAMS
from stages.grid import expand_here, finished

_LOCK = Path("dvc.lock")
_CURVE = CURVES / "finetune.csv"
_TUNING = METRICS / "finetune.json"


@dataclass(frozen=True)
class Wanted:
    """Which numbers of a run are read: a metric of a model."""

    metric: str
    model: str


def suite_results(
    name: str, suite: Suite, journal: Journal, checkouts: Checkouts, cache: Cache, wanted: Wanted
) -> SuiteResults | None:
    """Read a suite as the last command ran it, or else what is done of it by its own minutes; None: nothing is.

    Raises:
        ArtifactError: what was written down of it is damaged.
    """
    entry, notes = journal.suite(name), list[str]()
    if entry is None:
        if (entry := _entry_of_done(name, suite, checkouts, cache)) is None:
            return None
        notes.append("No command has written down here how these runs ended: any that failed are unknown.")
    elif changed := _changed_since(name, suite, entry, checkouts):
        notes.append(changed)
    return SuiteResults(
        name,
        entry.question,
        entry.baseline,
        {arm: tuple(entry.arms[arm]) for arm in dict.fromkeys(run.arm for run in entry.runs)},  # the baseline first
        tuple(entry.everywhere),
        entry.examples,
        [_run_result(planned, journal, checkouts, cache, wanted) for planned in entry.runs],
        notes,
    )


def _entry_of_done(name: str, suite: Suite, checkouts: Checkouts, cache: Cache) -> SuiteEntry | None:
    """The entry that a command would have written, of the seeds that experiments are named after."""
    known = re.compile(rf"{name}-(?:{'|'.join(map(re.escape, suite.arms))})-s(\d+)-[0-9a-f]+")
    seeds = [int(found[1]) for other in checkouts.experiments(f"{name}-*") if (found := known.fullmatch(other))]
    if not seeds:
        return None
    _, runs, code = expand_here(name, suite, max(seeds) + 1, suite.minutes, checkouts)
    if not any(finished(run, code, checkouts, cache) for run in runs):
        return None
    return SuiteEntry(
        question=suite.question,
        baseline=suite.baseline,
        everywhere=suite.everywhere,
        arms=suite.arms,
        minutes=suite.minutes,
        examples=n_examples(runs[0].params),
        runs=[PlannedRun(name=run.name, arm=run.arm, seed=run.seed) for run in runs],
    )


def _changed_since(name: str, suite: Suite, entry: SuiteEntry, checkouts: Checkouts) -> str:
    """Say whether the same command would make other runs now; empty: it wouldn't."""
    n_seeds = len({run.seed for run in entry.runs})
    try:
        _, runs, _ = expand_here(name, suite, n_seeds, entry.minutes, checkouts)
    except ParamsError as error:
        return f"experiments.yaml or params.yaml have changed since, and this suite can't be run as it is: {error}."
    if {run.name for run in runs} == {run.name for run in entry.runs}:
        return ""
    return (
        "Code or params that the pipeline depends on have changed since these runs: the same command would now make "
        "others."
    )


def _run_result(planned: PlannedRun, journal: Journal, checkouts: Checkouts, cache: Cache, wanted: Wanted) -> RunResult:
    """Read a run, whatever has become of it."""
    name, arm, seed = planned.name, planned.arm, planned.seed
    known, commits = journal.run(name), checkouts.commits_of(name)
    seconds, machine = (known.seconds, known.machine) if known else (None, {})
    if known is not None and known.status == "failed":
        return RunResult(name, arm, seed, "failed", known.why, seconds=seconds, machine=machine)
    if not commits:
        return RunResult(name, arm, seed, "not run", ("its experiment was removed",) if known else ())
    done, problems = RunResult(name, arm, seed, "done", seconds=seconds, machine=machine), dict[str, str]()
    for commit in commits:  # a colleague's of the same name may lie beside ours, without its results
        try:
            return replace(done, commit=commit, **_read_commit(commit, cache, wanted))
        except ArtifactError as error:
            problems[commit] = str(error)
    return replace(done, commit=commits[0], why=(problems[commits[0]],))


def _read_commit(commit: str, cache: Cache, wanted: Wanted) -> dict[str, Any]:
    """Read an experiment's answers, params, curve and digests, as fields of a RunResult."""
    yaml = YAML(typ="safe", pure=True)
    lock, params = (yaml.load(git("show", f"{commit}:{file.as_posix()}")) for file in (_LOCK, PARAMS))
    outs = _outs(Record.of(entry) for entry in lock["stages"].values())
    found = read_source(commit)
    curve = cache.read(outs.get(_CURVE.as_posix(), ""))
    return {
        "answers": _answers(found, wanted),
        "params": params,
        "curve": _curve(curve),
        "examples": _examples(_recorded(commit, _TUNING)),
        "digests": _digests(found, outs),
    }


def _answers(found: Found, wanted: Wanted) -> Any:
    if wanted.model not in (predictions := found.answered.predictions):
        raise ArtifactError(f"model must be one of {', '.join(predictions)}, got {wanted.model!r}")
    return answers_of(found.answered, wanted.model, wanted.metric)


def _outs(records: Iterable[Record]) -> dict[str, str]:
    return {path: digest for record in records for path, digest in record.outs.items()}


def _digests(found: Found, outs: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 of lists and artifacts as the answers carry them, and DVC's MD5 of the raw files."""
    raw = outs.get(RAW.as_posix())
    return {"lists": found.answered.asked.digest, **found.made_from, **({"raw (md5)": raw} if raw else {})}


def _curve(content: bytes | None) -> list[dict[str, float | None]]:
    if content is None:
        return []
    rows = csv.DictReader(io.StringIO(content.decode()))
    return [{name: float(value) if value else None for name, value in row.items()} for row in rows]


def workspace_results(wanted: Wanted) -> SuiteResults | None:
    """Read the evaluation that lies in the workspace; None where there is none.

    Raises:
        ArtifactError: it is damaged.
    """
    if not (PREDICTIONS / LISTS).is_file():
        return None
    found = read_source(WORKSPACE)
    stages = YAML(typ="safe", pure=True).load(_text(_LOCK) or "{}").get("stages", {})
    records = {name: Record.of(entry) for name, entry in stages.items()}
    evaluated = records.get("evaluate")
    curve, tuning = (_text(path) for path in (_CURVE, _TUNING))
    return evaluation_results(
        found.answered,
        wanted.metric,
        int(evaluated.params.get("seed", 0)) if evaluated else 0,
        _digests(found, _outs(records.values())),
        _curve(curve.encode() if curve else None),
        _examples(tuning),
    )


def _recorded(commit: str, path: Path) -> str | None:
    """Content of a file in git; None where a commit hasn't got it."""
    try:
        return git("show", f"{commit}:{path.as_posix()}")
    except ArtifactError:
        return None


def _examples(tuning: str | None) -> int | None:
    return int(json.loads(tuning)["examples"]) if tuning else None


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
