"""The grid on a pipeline of two quick stages under real DVC: kills, failures, jobs, changes meanwhile."""

import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stages.grids import Repository, wait_until
from tests.stages.quick_pipeline import PIPELINE, SUITES, WORK, make_repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return make_repository(tmp_path)


def _journal(repository: Repository) -> list[str]:
    path = Path(repository.extra["JOURNAL"])
    return path.read_text().splitlines() if path.exists() else []


def test_a_failing_arm_is_named_and_the_others_are_compared(repository: Repository) -> None:
    dirty = "what isn't committed stays\n"
    (repository.folder / "notes.txt").write_text(dirty)
    output = repository.run("unlucky", "--seeds", "1", status=1)
    names = {name.rsplit("-s0-", 1)[0]: name for name in repository.experiments()}
    assert set(names) == {"unlucky-linear", "unlucky-other-lists"}
    failed = re.findall(r"^FAILED (\S+)$", output, re.MULTILINE)
    assert [name.rsplit("-s0-", 1)[0] for name in failed] == ["unlucky-reverse"]
    assert re.search(
        r"^\[2/3\] unlucky-reverse-s0-\w+: failed after .*: error: no luck with this schedule; ", output, re.MULTILINE
    )
    assert "Beside the baseline, without a paired difference" in output
    assert "must have been asked about the same lists, got user_id 0 and 1" in output
    assert "0.5000" in output  # the arm with other lists
    assert (repository.folder / "notes.txt").read_text() == dirty
    assert repository.git("status", "--short") == "M notes.txt"
    # Repeated, only what has failed runs again.
    before = _journal(repository)
    assert ": started" in (again := repository.run("unlucky", "--seeds", "1", status=1))
    assert again.count(": started") == 1
    assert _journal(repository)[len(before) :] == ["train reverse 0"]


def test_runs_have_what_is_not_committed_and_are_paired_by_seed(repository: Repository) -> None:
    """Edited, added and removed files; where a seed of an arm has failed, that of the baseline is left out."""
    (repository.folder / "old.py").write_text("")
    (repository.folder / "dvc.yaml").write_text(PIPELINE.replace("deps: [work.py]", "deps: [work.py, old.py]"))
    repository.commit()
    (repository.folder / "dvc.yaml").write_text(PIPELINE.replace("deps: [work.py]", "deps: [work.py, more.py]"))
    (repository.folder / "more.py").write_text("HITS = {0: 5, 1: 10}\n")
    edited = WORK.replace("else:\n", "else:\n    from more import HITS\n", 1)
    edited = edited.replace('"linear": 10', '"linear": HITS[params["seed"]]')
    (repository.folder / "work.py").write_text(edited)
    (repository.folder / "old.py").unlink()
    repository.git("add", "more.py")
    before = repository.git("status", "--short")
    unlucky = replace(repository, extra=repository.extra | {"FAIL": "cosine 0"})
    output = unlucky.run("courses", "--seeds", "2", "--metric", "mrr", status=1)
    assert repository.git("status", "--short") == before
    runs = {name.rsplit("-", 1)[0]: commit for name, commit in repository.experiments().items()}
    assert sorted(runs) == ["courses-cosine-s1", "courses-linear-s0", "courses-linear-s1"]
    for commit in runs.values():
        files = repository.git("ls-tree", "--name-only", commit).split()
        assert ("more.py" in files, "old.py" in files) == (True, False)
        assert repository.git("show", f"{commit}:work.py") == edited.strip()
    assert "cosine and linear are compared by one common seed, 1: another may differ by more" in output
    # Targets stand first or last of three: 30 of 40 less 10 of 40 first are 20 / 40 · 2 / 3 more.
    assert "cosine is better than linear by 0.3333" in output
    assert "mrr on 40 lists" in output


def test_runs_are_those_of_their_content(repository: Repository) -> None:
    """Commits that change nothing for the pipeline change no run; what DVC has lost, or code that changed, reruns."""
    (repository.state / "checkouts" / "killed-while-cloned" / ".git").mkdir(parents=True)
    first = repository.run("courses", "--seeds", "1")
    assert not repository.clones()
    assert "cosine is better than linear by 0.5000" in first
    assert "Holm" not in first  # one comparison
    unread = repository.run("courses", "--seeds", "1", "--model", "nobody", status=1)
    assert "NOT COMPARED linear" in unread
    assert "model must be one of llara, got 'nobody'" in unread
    (repository.folder / "notes.txt").write_text("a commit that concerns no stage\n")
    repository.commit()
    repository.git("mv", "notes.txt", "renamed.txt")
    again = repository.run("courses", "--seeds", "1")
    assert "2 of 2 runs are done already" in again
    assert ": started" not in again
    seconds = repository.run("courses", "--seeds", "1", "--minutes", "5", "--plan")
    assert "32 examples" in seconds
    assert "it is done" not in seconds
    name = next(name for name in repository.experiments() if "cosine" in name)
    predictions = re.search(
        r"data/predictions\n *hash: md5\n *md5: (\w\w)(\w+)",
        repository.git("show", f"{repository.experiments()[name]}:dvc.lock"),
    )
    assert predictions
    cached = repository.folder / ".dvc/cache/files/md5" / predictions[1] / f"{predictions[2]}.dir"
    cached.chmod(0o644)
    cached.unlink()
    lost = repository.run("courses", "--seeds", "1")
    assert lost.count(": started") == 1
    assert f"{name}: done" in lost
    (repository.folder / "work.py").write_text(WORK + "# other code\n")
    changed = repository.run("courses", "--seeds", "1", "--plan")
    assert changed.count("prepare, train, evaluate") == 1
    assert "it is done" not in changed


@pytest.mark.parametrize("kind", ["command alone", "all at once", "asked to end"])
def test_a_killed_grid_loses_no_finished_run_and_repeats_none(repository: Repository, kind: str) -> None:
    holding = replace(repository, extra=repository.extra | {"HOLD": "cosine 0", "SECONDS": "12"})
    grid = holding.start("courses", "--seeds", "1")
    wait_until(lambda: "train cosine 0" in _journal(repository), grid)
    finished = repository.experiments()
    assert len(finished) == 1
    if kind == "asked to end":
        grid.terminate()
        assert grid.wait() == 130
    else:
        grid.kill()
        grid.wait()
    if kind == "all at once":
        _kill_all_below(repository.state)
    output = repository.run("courses", "--seeds", "1")
    found = repository.experiments()
    assert finished.items() <= found.items()
    assert len(found) == 2
    assert not repository.clones()
    # What outlived its command was waited for; what didn't began again.
    outlives = kind == "command alone"
    trained = ["train linear 0", "train cosine 0", *([] if outlives else ["train cosine 0"])]
    assert [line for line in _journal(repository) if line.startswith("train ")] == trained
    assert output.count(": started") == (not outlives)
    assert ("waiting for another run" in output) == outlives


def _processes_below(folder: Path) -> dict[int, list[str]]:
    """Command lines of the processes that work in a folder's clones."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "cwd").startswith(str(folder)):
                found[int(entry.name)] = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue
    return found


def _kill_all_below(folder: Path) -> None:
    """As the end of a session does."""
    for process in _processes_below(folder):
        os.kill(process, signal.SIGKILL)


def test_where_dvc_alone_is_killed_its_stage_ends_too(repository: Repository) -> None:
    """Or it would go on beside the run that takes its place."""
    holding = replace(repository, extra=repository.extra | {"HOLD": "linear 0", "SECONDS": "120"})
    grid = holding.start("courses", "--seeds", "1")
    wait_until(lambda: "train linear 0" in _journal(repository), grid)
    [dvc] = [process for process, words in _processes_below(repository.state).items() if "dvc" in words]
    os.kill(dvc, signal.SIGKILL)
    assert grid.wait(60) == 1  # this run is named as failed
    assert len(finished := repository.experiments()) == 1
    assert not _processes_below(repository.state)
    repository.run("courses", "--seeds", "1")
    assert finished.items() <= repository.experiments().items()
    trained = [line for line in _journal(repository) if line.startswith("train ")]
    assert trained == ["train linear 0", "train cosine 0", "train linear 0"]


def test_jobs_run_side_by_side_and_compute_nothing_twice(repository: Repository) -> None:
    repository.run("courses", "--seeds", "2", "--jobs", "2")
    assert sorted(_journal(repository)) == sorted(
        [f"prepare linear {seed}" for seed in (0, 1)]
        + [
            f"{stage} {arm} {seed}"
            for stage in ("train", "evaluate")
            for arm in ("linear", "cosine")
            for seed in (0, 1)
        ]
    )
    assert len(repository.experiments()) == 4


def test_an_unfinished_experiment_of_the_same_name_hides_no_finished_one(repository: Repository) -> None:
    """As one of a colleague's whose results aren't in this cache, pulled without them."""
    repository.run("courses", "--seeds", "1")
    finished = repository.experiments()
    for name in finished:
        for first in ("00", "ff"):  # before and behind the finished one
            repository.git("update-ref", f"refs/exps/{first}/{'0' * 38}/{name}", "HEAD")
    again = repository.run("courses", "--seeds", "1")
    assert "2 of 2 runs are done already" in again
    assert ": started" not in again
    kept = set(repository.git("for-each-ref", "--format=%(objectname)", "refs/exps/*/*/*").split())
    assert set(finished.values()) <= kept


def test_a_plan_starts_nothing(repository: Repository) -> None:
    plan = repository.run("courses", "--plan")
    assert "64 examples" in plan
    assert plan.count("│ prepare, train, evaluate ") == 3  # one for each seed
    assert plan.count("│ train, evaluate ") == 3
    assert "Times are unknown" in plan
    assert not repository.state.exists()
    assert not repository.experiments()
    assert not _journal(repository)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["course"], "SUITE must be one of courses, unlucky, broken, got 'course' (did you mean courses?)"),
        (
            ["broken"],
            "broken.typo: curriculum.epochz is no param (did you mean curriculum.epochs?), got -S curriculum.epochz=2",
        ),
        (["courses", "--minutes", "0"], "--minutes must be a number > 0, got 0"),
        (["courses", "--minutes", "nan"], "--minutes must be a number > 0, got nan"),
        (["courses", "--minutes", "inf"], "--minutes must be a number > 0, got inf"),
        (["courses", "--metric", "mr"], "did you mean mrr?"),
    ],
)
def test_mistakes_are_one_line_before_anything_starts(
    repository: Repository, arguments: list[str], message: str
) -> None:
    output = repository.run(*arguments, status=1)
    assert output.startswith("error: ")
    assert message in output
    assert output.count("\n") == 1
    assert not repository.experiments()


def test_files_that_no_experiment_would_see_are_refused(repository: Repository) -> None:
    (repository.folder / "dvc.yaml").write_text(PIPELINE.replace("deps: [work.py]", "deps: [work.py, more]"))
    (repository.folder / "more").mkdir()
    (repository.folder / "more" / "new.py").write_text("")
    assert "error: more/new.py must be in git" in repository.run("courses", "--plan", status=1)


def test_files_of_the_user_s_own_must_be_where_every_checkout_finds_them(repository: Repository) -> None:
    """A path that leads on from the checkout leads nowhere from a run's own, unless git brings the files along."""
    entry = "llms.own={source: folder, path: models/own, dtype: float32, attention: sdpa}"
    suites = SUITES.replace("everywhere: []", f"everywhere: ['+{entry}', llm.name=own]", 1)
    (repository.folder / "experiments.yaml").write_text(suites)
    (repository.folder / "models" / "own").mkdir(parents=True)
    (repository.folder / "models" / "own" / "config.json").write_text("{}")
    with (repository.folder / ".gitignore").open("a") as ignored:
        ignored.write("/models\n")
    output = repository.run("courses", "--plan", status=1)
    assert output.startswith("error: ")
    assert output.count("\n") == 1
    refusal = "linear: llms.own.path must be absolute, or in git: every run has a checkout of its own, got"
    assert f"{refusal} models/own" in output
    (repository.folder / "experiments.yaml").write_text(suites.replace("models/own", "../models"))
    assert f"{refusal} ../models" in repository.run("courses", "--plan", status=1)
    (repository.folder / "experiments.yaml").write_text(suites)
    repository.git("add", "-f", "models")
    repository.run("courses", "--plan")
    repository.git("rm", "-r", "-q", "--cached", "models")
    (repository.folder / "experiments.yaml").write_text(suites.replace("models/own", f"{repository.folder}/models/own"))
    repository.run("courses", "--plan")


def test_suites_are_listed(repository: Repository) -> None:
    assert "Does the order of prompts matter?" in repository.run()
    help_text = repository.run("--help")
    assert "stages that are alike are computed once" in " ".join(help_text.split()).lower()
