"""The command `report` on a repository whose stages learn nothing: what it reads, refuses, and never drops."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from llara_core.tables.predictions import Answered, write_predictions
from tests.evaluation.stored import make_asked, make_scored
from tests.reporting.reading import read_page
from tests.stages.grids import Repository
from tests.stages.quick_pipeline import WORK, make_repository

REPORT = "stages.report"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """With finished and failed runs, which later tests take away."""
    made = make_repository(tmp_path_factory.mktemp("report"))
    made.run("courses", "--seeds", "1")
    made.run("unlucky", "--seeds", "1", status=1)
    return made


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_repository(tmp_path_factory.mktemp("empty"))


def _csv(path: Path) -> dict[str, dict[str, str]]:
    """Rows by what stands first in them."""
    with path.open(newline="") as file:
        return {next(iter(row.values())): row for row in csv.DictReader(file)}


def test_a_failed_arm_and_one_of_other_lists_are_shown(repository: Repository) -> None:
    output = repository.call(REPORT, "--png", "--latex")
    folder = repository.folder / "report"
    # linear hits 10 of 40 lists, other-lists 20 of 40 others; reverse exits with a message.
    said = (
        "Nothing may be concluded, as no arm can be paired with linear; reverse failed and isn't judged; other-lists "
        "can only stand beside, without a difference."
    )
    assert f"unlucky: {said}" in output
    assert "without a result: unlucky-reverse-s0-" in output
    arms = _csv(folder / "unlucky" / "arms.csv")
    assert [(arm, row["mean"], row["verdict"], row["seeds"]) for arm, row in arms.items()] == [
        ("linear", "0.25", "baseline", "0"),
        ("reverse", "", "failed", "failed: 0"),
        ("other-lists", "0.5", "beside", "0"),
    ]
    assert "must have been asked about the same lists, got user_id 0 and 1" in arms["other-lists"]["reason"]
    runs = _csv(folder / "unlucky" / "runs.csv")
    assert [(row["arm"], row["status"]) for row in runs.values()] == [
        ("linear", "done"),
        ("reverse", "failed"),
        ("other-lists", "done"),
    ]
    failed = next(row for row in runs.values() if row["arm"] == "reverse")
    assert "no luck with this schedule" in failed["why"]
    assert float(failed["run_seconds"]) > 0
    commits = repository.experiments()
    assert {row["commit"] for row in runs.values() if row["commit"]} < set(commits.values())
    page = read_page((folder / "index.html").read_text())
    assert "no luck with this schedule" in page.text
    assert said in page.text
    assert page.tables["unlucky/arms.csv"][2][:3] == ["reverse", "–", "–"]
    assert (folder / "unlucky" / "arms.tex").read_text().count(r"\\") == 4
    assert list(folder.glob("unlucky/*.png"))
    made = json.loads((folder / "report.json").read_text())
    assert made["origin"]["checkout"] == repository.git("rev-parse", "HEAD")
    assert made["waiting"].keys() == {"broken"}
    assert _csv(folder / "unlucky" / "machines.csv")["3"]["python"].startswith("3.11")


def test_equal_runs_give_equal_bytes(repository: Repository) -> None:
    for name in ("first", "again"):
        repository.call(REPORT, "courses", "--out", name)
    first, again = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (repository.folder / "first", repository.folder / "again")
    )
    assert first == again
    # 20 users favour cosine, none linear: p = 2 / 2^20.
    row = _csv(repository.folder / "first" / "courses" / "arms.csv")["cosine"]
    assert (row["difference"], row["verdict"]) == ("0.5", "better")
    assert float(row["p"]) == pytest.approx(2 / 2**20)
    page = read_page((repository.folder / "first" / "index.html").read_text())
    assert "cosine (by 0.5000) is better than linear" in page.text
    assert "have changed since" not in page.text
    assert "first/" not in repository.git("status", "--short", "--untracked-files=no")


def test_what_was_lost_or_changed_since_is_said(repository: Repository) -> None:
    def words(*arguments: str) -> str:
        repository.call(REPORT, *arguments)
        return read_page((repository.folder / "report" / "index.html").read_text()).text

    assert "model must be one of llara, got 'nobody'" in words("courses", "--model", "nobody")
    arms = _csv(repository.folder / "report" / "courses" / "arms.csv")
    assert (arms["linear"]["verdict"], arms["linear"]["seeds"]) == ("can't be read", "unread: 0")
    # Code that has changed makes other runs; these are shown all the same.
    (repository.folder / "work.py").write_text(WORK + "# other code\n")
    assert "the same command would now make others" in (found := words("courses"))
    assert "cosine (by 0.5000) is better than linear" in found
    (repository.folder / "work.py").write_text(WORK)
    # Without records what is done is found by its names.
    shutil.move(repository.state, kept := repository.folder.parent / "kept")
    assert "any that failed are unknown" in (found := words("courses"))
    assert "cosine (by 0.5000) is better than linear" in found
    shutil.rmtree(repository.state, ignore_errors=True)
    shutil.move(kept, repository.state)
    name = next(name for name in repository.experiments() if "cosine" in name)
    repository.git("update-ref", "-d", repository.git("for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}"))
    assert "its experiment was removed" in words("courses")
    assert _csv(repository.folder / "report" / "courses" / "arms.csv")["cosine"]["verdict"] == "has no run yet"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a report needs results, got none: `dvc repro` makes those of the workspace, and `python -m stages."),
        (["course"], "SUITE must be one of courses, unlucky, broken, got 'course' (did you mean courses?)"),
        (
            ["courses"],
            "courses: a suite must have runs to be reported, got none; `python -m stages.experiments courses`",
        ),
        (["--metric", "mr"], "did you mean mrr?"),
        (
            ["--out", "somewhere"],
            "somewhere: must be a folder that this command has written, or none, got something else",
        ),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(empty: Repository, arguments: list[str], message: str) -> None:
    (empty.folder / "somewhere").mkdir(exist_ok=True)
    (empty.folder / "somewhere" / "index.html").write_text("somebody else's")
    output = empty.call(REPORT, *arguments, status=1)
    assert output.startswith("error: ")
    assert message in output
    assert output.count("\n") == 1
    assert not (empty.folder / "report").exists()
    assert [path.name for path in (empty.folder / "somewhere").iterdir()] == ["index.html"]


def test_the_workspace_comes_first(empty: Repository) -> None:
    asked = make_asked(list(range(1, 31)))
    models = {"llara": 12, "recommender": 24, "random": 3}
    answers = {name: make_scored(asked, [1] * hits + [0] * (30 - hits)) for name, hits in models.items()}
    write_predictions(empty.folder / "data" / "predictions", Answered(asked, answers), {"items": "ab" * 32})
    output = empty.call(REPORT)
    assert output.startswith(
        "This checkout: On 30 lists of 30 users, llara (by 0.4000) and random (by 0.7000) are worse"
    )
    rows = _csv(empty.folder / "report" / "workspace" / "arms.csv")
    assert {name: float(row["mean"]) for name, row in rows.items()} == {"recommender": 0.8, "llara": 0.4, "random": 0.1}
    digests = _csv(empty.folder / "report" / "workspace" / "digests.csv")["workspace#llara"]
    assert (digests["items"], digests["lists"]) == ("ab" * 32, asked.digest)
    page = read_page((empty.folder / "report" / "index.html").read_text())
    assert "llara is worse than the recommender alone, by -0.400" in page.text  # as evaluate remarks
    told = json.loads(empty.call(REPORT, "--json"))
    assert output.startswith(f"{told['sections'][0]['title']}: {told['sections'][0]['conclusion']}\n")
    assert {(empty.folder / name).is_file() for name in told["files"]} == {True}
    assert "report/workspace/arms.csv" in told["files"]
