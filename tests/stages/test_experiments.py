"""A suite of two arms and two seeds under real DVC, with a tiny Llama on a tiny log: killed, repeated, reported."""

import csv
import json
import re
import shutil
import signal
from glob import glob
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from llara_core.evaluation.comparison_report import Own
from llara_core.experiments.outcome import Beside
from stages.experiments import print_beside
from tests.conftest import ROOT
from tests.reporting.browser import NO_CHROMIUM, chromium, open_page
from tests.reporting.reading import Page, read_page
from tests.stages.grids import Repository, wait_until

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".llara", "data", "tmp", "cache", "metrics", "dvc.lock", "*_cache", "tests", "docs", "benchmarks"
)
SUITE = """
courses:
  question: Does the order of prompts matter?
  minutes: 10
  examples: 32
  baseline: linear
  everywhere: ["eval.probes=[]", projector.hidden=8]
  arms:
    text: [curriculum.schedule=text_only]
    linear: [curriculum.schedule=linear]
"""
ALL = "fetch, preprocess, pretrain, candidates, export_embeddings, finetune, evaluate, prepare_plots"


def _write_log(path: Path) -> None:
    rows = [(user, (user * 7 + 5 * n) % 50, 1000 * user + n) for user in range(60) for n in range(8)]
    path.write_text("user,item,time,title\n" + "".join(f"u{u},i{i},{time},Item {i}\n" for u, i, time in rows))


def _shrink(path: Path, log: Path, llama: Path) -> None:
    yaml = YAML()
    params = yaml.load(path.read_text())
    columns = {"user": "user", "item": "item", "timestamp": "time", "title": "title", "rating": None}
    own = {"source": "csv", "interactions": str(log), "items": None, "columns": columns}
    params["datasets"]["tiny"] = dict(params["datasets"]["ml-1m"]) | own
    params["datasets"]["tiny"]["filters"] = dict(params["datasets"]["ml-1m"]["filters"]) | {"min_rating": None}
    params["dataset"]["name"] = "tiny"
    params["llms"]["tiny"] = {"source": "folder", "path": str(llama), "dtype": "float32", "attention": "sdpa"}
    params["llm"]["name"] = "tiny"
    params["recommenders"]["sasrec"].update(dim=8)
    params["pretrain"].update(max_epochs=1)
    params["candidates"].update(draws={"validation": 1, "test": 2}, all_positions={"limit": 50, "draws": 0})
    params["train"].update(checkpoint_every=1)
    for objective in params["objectives"].values():
        objective.update(batch_size=4, micro_batch_size=2)
    stream = params["objectives"]["stream"]
    stream.update(layers=1, chunk_tokens=400)
    stream["validation"].update(positions=20, times=1, patience=1)
    stream["ridge"].update(positions=20)
    yaml.dump(params, path)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> Repository:
    tmp_path = tmp_path_factory.mktemp("suite")
    folder = tmp_path / "repository"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    _write_log(tmp_path / "log.csv")
    _shrink(folder / "params.yaml", tmp_path / "log.csv", llama_folder)
    (folder / "experiments.yaml").write_text(SUITE)
    made = Repository(folder, {"PYTHONPATH": str(folder)})
    made.git("init", "-q")
    made.commit()
    return made


def test_two_arms_and_two_seeds_survive_a_kill_and_are_compared(repository: Repository) -> None:
    plan = repository.run("courses", "--seeds", "2", "--plan")
    assert "32 examples" in plan
    assert plan.count(f"│ {ALL} ") == 1
    assert plan.count(f"│ {ALL.removeprefix('fetch, ').removesuffix(', prepare_plots')} ") == 1  # another seed
    assert plan.count("│ finetune, evaluate ") == 2
    assert not repository.experiments()
    assert not repository.state.exists()

    grid = repository.start("courses", "--seeds", "2")
    text = f"{repository.state}/logs/courses-text-s0-*.log"
    wait_until(lambda: any("Running stage 'finetune'" in Path(log).read_text() for log in glob(text)), grid)
    finished = repository.experiments()
    assert len(finished) == 1
    grid.kill()
    assert grid.wait() == -signal.SIGKILL
    # The experiment at work outlives the command; the next one waits for it, and takes it in.
    output = repository.run("courses", "--seeds", "2")
    found = repository.experiments()
    assert [name.rsplit("-", 1)[0] for name in sorted(found)] == [
        f"courses-{arm}-s{seed}" for arm in ("linear", "text") for seed in (0, 1)
    ]
    assert finished.items() <= found.items()
    assert re.findall(r"courses-(\w+-s\d)-\w+: started", output) == ["linear-s1", "text-s1"]
    assert "text − linear" in output
    assert "Two runs of linear" in output
    for name, log in ((name, (repository.state / "logs" / f"{name}.log").read_text()) for name in found):
        assert log.count("Running stage 'finetune'") == 1, name
        assert ("Stage 'pretrain' is cached" in log) == ("text" in name)
    assert not repository.clones()
    assert not repository.git("status", "--short")

    again = repository.run("courses", "--seeds", "2")
    assert ": started" not in again
    assert "4 of 4 runs are done already" in again
    assert repository.experiments() == found


@pytest.fixture(scope="module")
def report(repository: Repository) -> Path:
    """The page of the suite, all of whose runs are finished by now."""
    repository.run("courses", "--seeds", "2")
    repository.call("stages.report", "courses")
    return repository.folder / "report" / "index.html"


def _hits(repository: Repository, model: str) -> dict[str, np.ndarray]:
    """[S, R] whether the target has the best score, by arm: straight from the files of the experiments."""
    found: dict[str, list[np.ndarray]] = {}
    for name, commit in sorted(repository.experiments().items()):
        lock = YAML(typ="safe").load(repository.git("show", f"{commit}:dvc.lock"))
        digest = next(out["md5"] for out in lock["stages"]["evaluate"]["outs"] if out["path"] == "data/predictions")
        cached = repository.folder / ".dvc" / "cache" / "files" / "md5"
        files = json.loads((cached / digest[:2] / digest[2:]).read_text())
        paths = {file["relpath"]: cached / file["md5"][:2] / file["md5"][2:] for file in files}
        ranks = pq.read_table(paths[f"{model}.parquet"], columns=["target_rank"])["target_rank"].to_numpy()
        found.setdefault(name.split("-")[1], []).append(ranks == 1)
    return {arm: np.stack(seeds).astype(float) for arm, seeds in found.items()}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_report_has_the_figures_of_the_predictions(repository: Repository, report: Path) -> None:
    page, folder = read_page(report.read_text()), report.parent / "courses"
    hits, beside = _hits(repository, "llara"), _hits(repository, "recommender")
    _require_figures(page, hits)
    arms = {row["arm"]: row for row in _rows(folder / "arms.csv")}
    difference = hits["text"].mean() - hits["linear"].mean()
    assert float(arms["text"]["difference"]) == pytest.approx(difference, abs=1e-12)
    assert [float(mean) for mean in arms["text"]["seed_means"].split()] == pytest.approx(hits["text"].mean(axis=1))
    whole = {
        row["arm"]: float(row["difference"])
        for row in _rows(folder / "beside_recommender.csv")
        if row["target_n_train"] == "all"
    }
    assert whole == pytest.approx({arm: hits[arm].mean() - beside[arm].mean() for arm in hits}, abs=1e-12)
    # 32 examples in steps of 4, for two arms and two seeds.
    steps = _rows(folder / "curves.csv")
    assert len(steps) == 2 * 2 * 8
    assert {row["hybrid_probability"] for row in steps if row["arm"] == "text"} == {"0.0"}
    assert page.tables["courses/params.csv"][1:] == [["linear", "linear"], ["text", "text_only"]]
    assert {row["examples"] for row in _rows(folder / "costs.csv")} == {"32.0"}
    digests = _rows(folder / "digests.csv")
    assert len(digests) == 4
    assert len({row["lists"] for row in digests}) == 1
    assert len({row["adapter"] for row in digests}) == 4


def _require_figures(page: Page, hits: dict[str, np.ndarray]) -> None:
    """The table's own numbers, with four digits."""
    rows = {row[0]: row for row in page.tables["courses/arms.csv"][1:]}
    assert {arm: row[1] for arm, row in rows.items()} == {arm: f"{hits[arm].mean():.4f}" for arm in ("linear", "text")}
    difference = hits["text"].mean() - hits["linear"].mean()
    assert rows["text"][3] == f"{difference:+.4f}".replace("-", "−")


@pytest.mark.skipif(chromium() is None, reason=NO_CHROMIUM)
def test_the_report_opens_in_a_browser_without_a_network(repository: Repository, report: Path, tmp_path: Path) -> None:
    opened = open_page(report.parent, report.name, tmp_path)
    assert opened.requests == ["/index.html"]
    assert not opened.said
    _require_figures(read_page(opened.dom), _hits(repository, "llara"))


def test_an_arm_beside_may_have_no_interval(capsys: pytest.CaptureFixture[str]) -> None:
    """As where all users have the same mean."""
    print_beside([Beside(Own("same", 0.5, None, None, [0.5, 0.5], 0.0), "other lists")], "mrr")
    print_beside([Beside(Own("varied", 0.5, 0.4, 0.625, [0.5], None), "other lists")], "mrr")
    same, varied = (line for line in capsys.readouterr().out.splitlines() if "0.5000" in line)
    assert [cell.strip() for cell in same.split("│")[1:5]] == ["same", "0.5000", "–", "0.5000 0.5000"]
    assert [cell.strip() for cell in varied.split("│")[1:5]] == ["varied", "0.5000", "[0.4000, 0.6250]", "0.5000"]
