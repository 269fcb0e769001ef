"""The command on tiny folders, and on revisions of a real repository of git and DVC."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import Result
from dvc.repo import Repo  # here, as DVC logs to what stdout is at its import: within a command, a stream soon closed
from typer.testing import CliRunner

from llara_core.errors import LlaraError
from llara_core.evaluation.significance import bootstrap_interval
from llara_core.tables.predictions import Answered, Asked, write_predictions
from stages.compare import compare
from tests.conftest import ROOT
from tests.evaluation.stored import make_asked, make_scored, make_written

Command = Callable[..., Result]
NOT_CACHED = (
    "data/predictions: must be in DVC's cache, got nothing; run `dvc repro` in that revision, or `dvc fetch` where a "
    "remote has them"
)
USERS = list(range(1, 31))


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run it in an empty folder, in a window as wide as its tables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    app.command()(compare)

    def start(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return start


def _store(folder: Path, n_hits: int, asked: Asked | None = None, **others: int) -> None:
    """Write predictions of llara, which hits the first so many lists, and of other models."""
    asked = asked or make_asked(USERS)
    hits = {"llara": n_hits, **others}
    models = {name: make_scored(asked, [1] * n + [0] * (len(asked) - n)) for name, n in hits.items()}
    write_predictions(folder, Answered(asked, models), {})


def _error(result: Result) -> str:
    assert isinstance(result.exception, LlaraError), result.output
    return str(result.exception)


def test_two_folders(command: Command) -> None:
    _store(Path("a"), 25)
    _store(Path("b"), 10)
    output = command("new=a", "b").output
    assert output.startswith("hit_ratio_at_1 on 30 lists of 30 users\n")
    assert "│ new     │ 0.8333" in output
    # 15 users favour a, none b: p = 2 / 2^15 = .000061.
    row = next(line for line in output.splitlines() if "new − b" in line and "+0.5000" in line)
    assert [cell.strip() for cell in row.split("│")[4:8]] == ["6.1e-05", "McNemar", "15/15/0", "15/15/0"]
    assert "│ items before 10–19       │ 30    │ 30    │ +0.5000" in output
    assert "│ target in training 20–99 │ 30    │ 30    │ +0.5000" in output
    assert "new is better than b by 0.5000 on 30 users (95 % interval +0.3" in output
    assert "shown history" not in command("a", "b", "--no-slices").output


def test_json_says_the_same_every_time_and_by_another_seed_something_near(command: Command) -> None:
    _store(Path("a"), 25)
    _store(Path("b"), 10)
    found = json.loads(command("a", "b", "--json").output)
    assert (found["metric"], found["n_lists"], found["n_users"], found["resamples"]) == (
        "hit_ratio_at_1",
        30,
        30,
        10_000,
    )
    pair = found["pairs"][0]
    assert (pair["first"], pair["second"], pair["verdict"]) == ("a", "b", "first")
    assert pair["difference"]["users"] == {"wins": 15, "ties": 15, "losses": 0}
    assert pair["difference"]["mean"] == pytest.approx(0.5)
    assert pair["slices"]["target_n_train"]["20–99"]["mean"] == pytest.approx(0.5)
    assert list(pair["slices"]["history_length"]) == ["10–19"]
    assert json.loads(command("a", "b", "--json").output) == found
    low = [
        json.loads(command("a", "b", "--json", "--resamples", "1000", "--seed", str(seed)).output)["pairs"][0][
            "difference"
        ]["low"]
        for seed in range(2)
    ]
    assert low == pytest.approx([pair["difference"]["low"]] * 2, abs=0.05)


def test_the_seed_draws_other_users(command: Command) -> None:
    _store(Path("a"), 25)
    _store(Path("b"), 10)
    options = ("--no-slices", "--json", "--resamples", "100", "--seed")
    found = [json.loads(command("a", "b", *options, str(seed)).output) for seed in range(3)]
    assert [entry["bootstrap_seed"] for entry in found] == [0, 1, 2]
    expected = [
        bootstrap_interval(
            np.array([0.0] * 10 + [1.0] * 15 + [0.0] * 5), np.ones(30, int), np.random.default_rng(seed), 100
        )[0]
        for seed in range(3)
    ]
    assert len(set(expected)) == 3
    assert [entry["pairs"][0]["difference"]["low"] for entry in found] == pytest.approx(expected)


def test_two_models_of_one_run(command: Command) -> None:
    _store(Path("a"), 20, recommender=12)
    found = json.loads(command("a", "a#recommender", "--json").output)
    assert [own["name"] for own in found["variants"]] == ["a", "a#recommender"]
    assert [own["mean"] for own in found["variants"]] == pytest.approx([20 / 30, 12 / 30])
    both = json.loads(command("x=a", "y=a#llara", "--model", "recommender", "--json").output)
    assert [own["mean"] for own in both["variants"]] == pytest.approx([12 / 30, 20 / 30])
    assert _error(command("a", "a#recommendre")) == ("a: model must be one of llara, recommender, got 'recommendre'")


def test_seeds_of_a_variant(command: Command) -> None:
    for name, hits in (("r1", 24), ("r2", 27), ("r3", 21), ("b", 10)):
        _store(Path(name), hits, recommender=hits - 3)
    found = json.loads(command("new=r1,r2,r3", "b", "--json").output)
    assert found["variants"][0]["seed_means"] == pytest.approx([0.8, 0.9, 0.7])
    assert found["variants"][0]["seed_sd"] == pytest.approx(0.1)
    assert found["pairs"][0]["difference"]["mean"] == pytest.approx(0.8 - 1 / 3)
    assert found["pairs"][0]["difference"]["p_pooled"] < 0.05
    assert "│ 0.1000      │ 0.8000 0.9000 0.7000 │" in command("new=r1,r2,r3", "b").output
    other = json.loads(command("new=r1,r2,r3#recommender", "b", "--json").output)
    assert other["variants"][0]["seed_means"] == pytest.approx([0.7, 0.8, 0.6])


def test_a_matrix_of_three(command: Command) -> None:
    for name, hits in (("a", 26), ("b", 20), ("c", 8)):
        _store(Path(name), hits)
    output = command("a", "b", "c", "--no-slices").output
    lines = [line.replace(" ", "") for line in output.splitlines()]
    # 6 users of 30, all for a: p = 2 / 2^6 = .031, the last of three by Holm.
    assert "│a││+0.2000(p0.031)│+0.6000(p2.3e-05)│" in lines
    assert "│b│-0.2000(p0.031)││+0.4000(p0.00098)│" in lines
    assert "a is better than b by 0.2000" in output
    assert "0.3667, p = 0.031 after Holm's correction)." in output


def test_other_metrics(command: Command) -> None:
    _store(Path("a"), 15)
    _store(Path("b"), 0)
    found = json.loads(command("a", "b", "--metric", "mrr", "--json").output)
    assert found["pairs"][0]["difference"]["mean"] == pytest.approx(
        0.5 * (1 - 1 / 3)
    )  # half of the lists rise from 3 to 1
    asked = make_asked(USERS)
    write_predictions(Path("written"), Answered(asked, {"llara": make_written(asked, [0] * 29 + [None])}), {})
    assert json.loads(command("a", "written", "--json").output)["variants"][1]["mean"] == pytest.approx(29 / 30)
    assert _error(command("a", "written", "--metric", "mrr")).startswith(
        "written#llara: mrr: a metric of ranks needs the scores of all candidates"
    )
    assert "did you mean ndcg_at_10?" in _error(command("a", "b", "--metric", "ndcg@10"))


def test_what_cannot_be_compared_is_one_clear_line(command: Command) -> None:
    _store(Path("a"), 15)
    _store(Path("other"), 15, make_asked([*USERS[:-1], 77]))
    Path("empty").mkdir()
    assert _error(command("a", "other")) == (
        "a and other must have been asked about the same lists, got user_id 30 and 77 in row 29 (a's example 300, "
        "user 30, draw 0)"
    )
    assert "r=a,other" not in _error(command("r=a,other", "a"))
    assert _error(command("r=a,other", "a")).startswith("a and other must have been asked about the same lists")
    assert _error(command("a", "empty")) == (
        "empty: must be a folder of predictions, got none with lists.parquet in it; run `dvc repro`"
    )
    assert _error(command("a", "workspace")).startswith("data/predictions: must be a folder of predictions")
    for wrong, message in (
        (("a",), "a comparison needs at least 2 variants, got 1"),
        (("a", "a"), "variants must have different names, got a twice; write NAME= before one"),
        (("a", "=a"), "a variant must be [NAME=]SOURCE[,SOURCE…][#MODEL], got '=a'"),
        (("a", "b=a,"), "a variant must be [NAME=]SOURCE[,SOURCE…][#MODEL], got 'b=a,'"),
        (("a", "b=a#"), "a variant must be [NAME=]SOURCE[,SOURCE…][#MODEL], got 'b=a#'"),
        (("a", "b=a,a"), "b=a,a: the runs of a variant must be different ones"),
        (("a", "b=a#x,c#y"), "b=a#x,c#y: the runs of a variant must be of one model, got x and y"),
    ):
        assert _error(command(*wrong)) == message


def test_a_folder_may_have_a_strange_name(command: Command) -> None:
    _store(Path("a"), 15)
    _store(Path("lr=1e-3,rank=8#2"), 20)
    assert command("a", "lr=1e-3,rank=8#2").exit_code == 0


def test_a_folder_with_a_strange_name_may_have_a_model(command: Command) -> None:
    _store(Path("lr=2"), 15, recommender=20)
    _store(Path("2"), 5, recommender=10)
    found = json.loads(command("lr=2#recommender", "x=lr=2", "2", "--json").output)
    assert [own["name"] for own in found["variants"]] == ["lr=2#recommender", "x", "2"]
    assert [own["mean"] for own in found["variants"]] == pytest.approx([20 / 30, 15 / 30, 5 / 30])
    assert _error(command("lr=2#", "2")).startswith("a variant must be [NAME=]SOURCE[,SOURCE…][#MODEL], got 'lr=2#'")


def test_one_run_named_twice_among_the_seeds_is_refused(command: Command, tmp_path: Path) -> None:
    for name, hits in (("a", 15), ("c", 20), ("data/predictions", 10)):
        _store(Path(name), hits)
    _store(Path("copy"), 15)
    assert _error(command("new=a,c,./a", "c")) == (
        f"new: the runs of a variant must be different ones, got a and ./a, which are both {tmp_path}/a"
    )
    Path("link").symlink_to("a")
    for wrong in ("new=a,link,c", "new=a,c,../" + tmp_path.name + "/a", "new=workspace,c,data/predictions"):
        assert "the runs of a variant must be different ones, got" in _error(command(wrong, "c"))
    assert "Runs 1 and 3 of new count alike on every list: are they one run, named twice?" in (
        command("new=a,c,copy", "c").output
    )


def test_names_are_printed_as_they_are(command: Command) -> None:
    for name, hits in (("a", 25), ("b", 10), ("c", 5)):
        _store(Path(name), hits)
    names = ["seed:a:x", "back\\", "[red]x[/red]\\"]
    output = command(*(f"{name}={source}" for name, source in zip(names, "abc", strict=True))).output
    table = [line.strip("│┃").replace("┃", "│").split("│") for line in output.splitlines()]
    cells = [cell.strip() for row in table for cell in row]
    differences = [f"{names[0]} − {names[1]}", f"{names[0]} − {names[2]}", f"{names[1]} − {names[2]}"]
    # In the table of variants, and in the matrix' rows and columns; in the table of pairs, and over their slices.
    assert [cells.count(name) for name in names] == [3, 3, 3]
    assert [cells.count(difference) for difference in differences] == [2, 2, 2]


def test_seven_full_commits_are_not_taken_for_a_file(command: Command) -> None:
    _store(Path("a"), 15)
    commits = [f"{number}" * 40 for number in range(7)]
    for argument in (",".join(commits), "new=" + ",".join(commits)):
        assert _error(command("a", argument)).startswith(f"{commits[0]}: must be a folder, `workspace`, or a revision")
    assert _error(command("a", "x" * 300)).startswith("xxx")


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with commits of no predictions, of 10 hits and of 25, and an experiment of 18 on top."""
    root = tmp_path_factory.mktemp("repository")
    _run("git", "-C", str(root), "init", "-q")
    for key, value in (("user.name", "a"), ("user.email", "a@b.c")):
        _run("git", "-C", str(root), "config", key, value)
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (root / ".dvc/.gitignore").write_text("tmp\ncache\n")
    (root / ".gitignore").write_text("/data\n")
    (root / "dvc.yaml").write_text("stages: {evaluate: {cmd: 'true', outs: [data/predictions: {push: false}]}}\n")
    _commit(root, "nothing")
    for hits, tag in ((10, "ten"), (25, "many")):
        _replace(root, hits)
        with Repo(root) as repo:
            repo.commit(force=True)
        _commit(root, tag)
    _replace(root, 18)
    with Repo(root) as repo:
        repo.experiments.save(name="eighteen", force=True)
    return root


def _replace(root: Path, hits: int) -> None:
    shutil.rmtree(root / "data", ignore_errors=True)
    _store(root / "data/predictions", hits)


def _commit(root: Path, tag: str) -> None:
    _run("git", "-C", str(root), "add", "-A")
    _run("git", "-C", str(root), "commit", "-q", "-m", tag)
    _run("git", "-C", str(root), "tag", tag)


def test_revisions(command: Command, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    found = json.loads(command("ten", "HEAD", "eighteen", "now=workspace", "--json").output)
    assert [own["mean"] for own in found["variants"]] == pytest.approx([10 / 30, 25 / 30, 18 / 30, 18 / 30])
    assert [pair["verdict"] for pair in found["pairs"]] == ["second", "second", "second", "first", "first", "alike"]
    assert _error(command("HEAD", "nothing")) == (
        "nothing: data/predictions: this revision must hold lists.parquet there, got none; run the pipeline in it"
    )
    assert _error(command("HEAD", "tne")) == (
        "tne: must be a folder, `workspace`, or a revision or experiment of DVC's, got none of them: unknown Git "
        "revision 'tne'"
    )
    shutil.move(repository / ".dvc/cache", repository / ".dvc/elsewhere")
    try:
        assert _error(command("HEAD", "ten")) == f"HEAD: {NOT_CACHED}"
    finally:
        shutil.move(repository / ".dvc/elsewhere", repository / ".dvc/cache")


def test_a_clone_without_the_cache(
    command: Command, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run("git", "clone", "-q", str(repository), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert _error(command("HEAD", "ten")) == f"HEAD: {NOT_CACHED}"
    # The list of the folder's files is there, and the files aren't.
    cache = Path(".dvc/cache/files/md5")
    for folder in (repository / cache).rglob("*.dir"):
        (cache / folder.parent.name).mkdir(parents=True)
        shutil.copy(folder, cache / folder.parent.name)
    assert _error(command("ten", "HEAD")) == f"ten: {NOT_CACHED}"
    assert _error(command("HEAD", "nothing", "--metric", "mrr")) == f"HEAD: {NOT_CACHED}"
    assert "this revision must hold lists.parquet there, got none" in _error(command("nothing", "HEAD"))


def test_what_git_knows_and_is_no_commit(
    command: Command, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = "must be a folder, `workspace`, or a revision or experiment of DVC's, got none of them: "
    _run("git", "init", "-q", str(tmp_path))
    assert _error(command("four-epochs", "HEAD")) == f"four-epochs: {problem}Empty git repo"
    monkeypatch.chdir(repository)
    for name in ("HEAD:dvc.yaml", "HEAD^{tree}"):
        assert _error(command(name, "HEAD")) == f"{name}: {problem}it is no commit"


def test_one_commit_by_two_names_is_refused(
    command: Command, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    error = _error(command("new=ten,HEAD,many", "ten"))
    assert error.startswith(
        "new: the runs of a variant must be different ones, got HEAD and many, which are both commit"
    )


def test_outside_a_repository(command: Command, tmp_path: Path) -> None:
    _store(Path("a"), 15)
    assert "must be a folder" in _error(command("a", "HEAD"))


def test_the_program_ends_with_status_1_and_one_line_and_needs_neither_torch_nor_dvc(tmp_path: Path) -> None:
    _store(tmp_path / "a", 25)
    (tmp_path / "b").mkdir()
    program = [sys.executable, "-X", "importtime", "-m", "stages.compare", str(tmp_path / "a"), str(tmp_path / "b")]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert len(said) == 1
    assert said[0].startswith(f"error: {tmp_path}/b: must be a folder of predictions")
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "llara_core.evaluation.significance" in loaded
    assert not loaded & {"torch", "transformers", "peft", "dvc"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_any_encoding_of_the_terminal(tmp_path: Path, encoding: str) -> None:
    for name, hits in (("a", 25), ("b", 10)):
        _store(tmp_path / name, hits)

    def start(*arguments: str) -> str:
        program = [sys.executable, "-m", "stages.compare", *arguments]
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode(encoding)

    assert "naïve is better than b by 0.5000".encode(encoding, "replace").decode(encoding) in start("naïve=a", "b")
    found = json.loads(start("naïve=a", "b", "--json"))
    assert found["variants"][0]["name"] == "naïve"
    assert list(found["pairs"][0]["slices"]["history_length"]) == ["10–19"]
    assert "--metric" in start("--help")
