"""A suite's grid of arms and seeds: what of it is done, and doing the rest."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ruamel.yaml import YAML

from llara_core.errors import ArtifactError, ParamsError
from llara_core.experiments.journal import Journal
from llara_core.experiments.pipeline import code_digests, stages_of
from llara_core.experiments.plan import Planned, Speeds, plan, startable
from llara_core.experiments.records import Cache, Record, recorded_stages
from llara_core.experiments.runs import Run, expand, own_paths
from llara_core.experiments.suites import Suite
from llara_core.params.loading import load_params, read_plain
from llara_core.params.params import Params
from llara_core.runtime.paths import PREDICTIONS
from stages.checkouts import Checkouts, Job, git, last_lines
from stages.command import PARAMS
from stages.speeds import measured_speeds

_PIPELINE = Path("dvc.yaml")
_LOCK = "dvc.lock"
_POLL = 0.2  # seconds
Say = Callable[[str], None]


@dataclass(frozen=True)
class Grid:
    """A suite's runs.

    Attributes:
        runs: all, in order.
        code: digests of the pipeline's code.
        commits: of the experiments of those that are done, by the runs' names.
        planned: the others.
        speeds: of the workspace's last run.
    """

    runs: list[Run]
    code: dict[str, str]
    commits: dict[str, str]
    planned: list[Planned]
    speeds: Speeds


def prepare(name: str, suite: Suite, n_seeds: int, minutes: float, checkouts: Checkouts, cache: Cache) -> Grid:
    """Expand and check a suite, and see what of it is done.

    Raises:
        ParamsError: an arm is unusable.
    """
    base, runs, code = expand_here(name, suite, n_seeds, minutes, checkouts)
    _require_own_files(runs, checkouts)
    commits = {run.name: commit for run in runs if (commit := finished(run, code, checkouts, cache))}
    waiting = [run for run in runs if run.name not in commits]
    records = cache.records() if waiting else []
    known = {run.name: recorded_stages(run.stages, code, records) for run in waiting}
    return Grid(runs, code, commits, plan(waiting, known), measured_speeds(base))


def expand_here(
    name: str, suite: Suite, n_seeds: int, minutes: float, checkouts: Checkouts
) -> tuple[Params, list[Run], dict[str, str]]:
    """Expand a suite by the params and the code that stand here; returns the params, the runs and the code's digests.

    Raises:
        ParamsError: an arm is unusable.
    """
    base = load_params(PARAMS)
    pipeline, plain = read_plain(_PIPELINE), read_plain(PARAMS)
    code = code_digests(stages_of(pipeline, plain), checkouts.tracked, Path())
    return base, expand(name, suite, n_seeds, minutes, plain, pipeline, code, base), code


def _require_own_files(runs: Sequence[Run], checkouts: Checkouts) -> None:
    """Refuse the user's own files that no run would find: it has another folder, with what is in git alone."""
    for run in runs:
        for name, path in own_paths(run.params):
            if not path.is_absolute() and (".." in path.parts or not checkouts.tracked(str(path))):
                raise ParamsError(
                    f"{run.arm}: {name} must be absolute, or in git: every run has a checkout of its own, got {path}"
                )


def finished(run: Run, code: Mapping[str, str], checkouts: Checkouts, cache: Cache) -> str | None:
    """Commit of the experiment that holds a run's results; None where there is none.

    One of its name, if its dvc.lock records every stage with this run's params and code, and the cache has the
    predictions. There may be others of that name, such as a colleague's whose results aren't here.
    """
    return next((found for found in checkouts.commits_of(run.name) if _holds(found, run, code, cache)), None)


def _holds(commit: str, run: Run, code: Mapping[str, str], cache: Cache) -> bool:
    try:
        content = YAML(typ="safe").load(git("show", f"{commit}:{_LOCK}"))
    except ArtifactError:  # an experiment that somebody else has made has no dvc.lock
        return False
    found = recorded_stages(run.stages, code, [Record.of(entry) for entry in content["stages"].values()])
    if len(found) < len(run.stages):
        return False
    outs = {path: digest for record in found.values() for path, digest in record.outs.items()}
    return cache.holds(outs.get(PREDICTIONS.as_posix(), ""))


@dataclass
class _Progress:
    """What has become of a grid's runs so far."""

    waiting: list[Planned]
    say: Say
    journal: Journal
    n_runs: int
    done: dict[str, str]
    at_work: dict[str, tuple[Planned, Job]] = field(default_factory=dict)
    computed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def report(self, name: str, words: str) -> None:
        """Print a line on a run that has ended."""
        ended = len(self.done) + len(self.failed)
        left = ""
        if self.seconds and (rest := self.n_runs - ended):
            left = f"; {rest} left, some {in_words(rest * sum(self.seconds) / len(self.seconds))} one after the other"
        self.say(f"[{ended}/{self.n_runs}] {name}: {words}{left}")


def run_all(
    grid: Grid, checkouts: Checkouts, cache: Cache, journal: Journal, jobs: int, lock: int, say: Say
) -> tuple[dict[str, str], dict[str, str]]:
    """Run what isn't done, at most `jobs` at once, and nothing that another one is computing already.

    Args:
        grid: what there is to do.
        checkouts: where.
        cache: DVC's.
        journal: where it is written down how each run ended.
        jobs: at once.
        lock: a file that runs keep open.
        say: prints a line.

    Returns:
        Commits of the runs that are done, and why the others aren't, by the runs' names.
    """
    progress = _Progress(list(grid.planned), say, journal, len(grid.runs), dict(grid.commits))
    if grid.commits:
        say(f"{len(grid.commits)} of {len(grid.runs)} runs are done already")
    # However this process is asked to end, it takes along what it has started.
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        while progress.waiting or progress.at_work:
            _start(progress, checkouts, jobs, lock)
            time.sleep(_POLL)
            for planned, job in [*progress.at_work.values()]:
                if job.process.poll() is not None:
                    _end(progress, planned, job, grid, checkouts, cache)
    finally:
        for _, job in progress.at_work.values():
            job.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    return progress.done, progress.failed


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start(progress: _Progress, checkouts: Checkouts, jobs: int, lock: int) -> None:
    while progress.waiting and len(progress.at_work) < jobs:
        busy = [planned for planned, _ in progress.at_work.values()]
        planned = startable(progress.waiting, busy, progress.computed)
        if planned is None:
            return
        progress.waiting.remove(planned)
        name = planned.run.name
        progress.say(f"{name}: started; its log is {checkouts.log_of(name)}")
        progress.at_work[name] = (planned, checkouts.start(name, planned.run.overrides, lock))


def _end(progress: _Progress, planned: Planned, job: Job, grid: Grid, checkouts: Checkouts, cache: Cache) -> None:
    seconds = time.monotonic() - job.started
    job.stop()  # a stage that has outlived its DVC would work on in a folder that is gone
    checkouts.collect(job.name)
    commit = finished(planned.run, grid.code, checkouts, cache)
    del progress.at_work[job.name]
    if job.process.returncode == 0 and commit:
        progress.done[job.name] = commit
        progress.computed |= set(planned.missing.values())
        progress.seconds.append(seconds)
        progress.journal.end(job.name, "done", seconds)
        progress.report(job.name, f"done in {in_words(seconds)}")
        return
    lines = last_lines(job.log)
    if job.process.returncode == 0:
        lines.append("its experiment isn't what was asked for: has the code changed while it started?")
    progress.journal.end(job.name, "failed", seconds, lines)
    progress.failed[job.name] = "\n".join([*lines, f"(the whole log: {job.log})"])
    # DVC's own last line says which stage has failed; the stage's, why.
    reason = next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1] if lines else "")
    progress.report(job.name, f"failed after {in_words(seconds)}: {reason or job.process.returncode}")


def in_words(seconds: float) -> str:
    """`47 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
