"""The real pipeline under real DVC in a repository of its own: real MovieLens, a tiny Llama."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

from llara_core.runtime.files import sha256_of
from tests.conftest import ROOT
from tests.processes import launch, run_two_processes

Run = Callable[..., subprocess.CompletedProcess[str]]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".llara", "data", "tmp", "cache", "metrics", "dvc.lock", "*_cache")


def _shrink(path: Path, llama: Path) -> None:
    yaml = YAML()
    params = yaml.load(path.read_text())
    params["llms"]["tiny"] = {"source": "folder", "path": str(llama), "dtype": "float32", "attention": "sdpa"}
    params["llm"]["name"] = "tiny"
    for recommender in params["recommenders"].values():
        recommender.update(dim=8)
    params["pretrain"].update(max_epochs=1)
    params["candidates"].update(draws={"validation": 1, "test": 2}, all_positions={"limit": 50, "draws": 2})
    params["projector"]["hidden"] = 8
    params["curriculum"].update(epochs=1)
    params["train"].update(checkpoint_every=1)
    for objective in params["objectives"].values():
        objective.update(examples_per_epoch=16, batch_size=4, micro_batch_size=2)
    params["objectives"]["answer"]["validation"].update(positions=2)
    stream = params["objectives"]["stream"]
    stream.update(layers=1, chunk_tokens=400)  # of two layers; a title has about a token for each letter
    stream["validation"].update(positions=20, times=2, patience=2)
    stream["ridge"].update(positions=200)
    yaml.dump(params, path)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("e2e") / "repository"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    _shrink(folder / "params.yaml", llama_folder)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def run(repository: Path, movielens: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LLARA_RAW_DIR": str(movielens),
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@example.org",
        "HOME": str(home),
        "COLUMNS": "200",
    }

    def call(*command: str, fails: bool = False, **extra: str) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            command, cwd=repository, env=environment | extra, capture_output=True, text=True, check=False
        )
        assert bool(result.returncode) == fails, result.stdout + result.stderr
        return result

    return call


@pytest.fixture(scope="module")
def reproduced(run: Run) -> str:
    return run("dvc", "repro").stdout


def _results(repository: Path) -> dict[str, str]:
    tables = sorted([*repository.glob("data/**/*.parquet"), *repository.glob("data/evaluation/*")])
    reports = sorted(set(repository.glob("metrics/*.json")) - set(repository.glob("metrics/*_timing.json")))
    adapter = sorted(repository.glob("data/adapter/*"))
    return {str(path.relative_to(repository)): sha256_of(path) for path in [*tables, *reports, *adapter]}


COUNTED = ("recommender", "co_occurrence", "popularity")
PROBED = ("llara_text", "llara_vectors_shuffled", "llara_history_shuffled")


def _check_evaluation(metrics: dict[str, dict[str, Any]], n_lists: int, models: set[str]) -> None:
    entries = dict(metrics)
    assert entries.pop("lists") == {"n_lists": n_lists, "n_users": 95}
    assert set(entries) == models
    for entry in entries.values():
        assert entry["hit_ratio_at_1_low"] <= entry["hit_ratio_at_1"] <= entry["hit_ratio_at_1_high"]
    if "llara_with_recommender" in metrics:
        assert 0 <= metrics["llara_with_recommender"]["weight"] <= 1
        assert metrics["llara"]["valid_ratio"] == 1.0


@pytest.mark.usefixtures("reproduced")
def test_repro_gives_the_paper_s_split_and_every_metric(repository: Path) -> None:
    metrics = {path.stem: json.loads(path.read_text()) for path in repository.glob("metrics/*.json")}
    stages = {"fetch", "preprocess", "pretrain", "candidates", "export_embeddings", "finetune", "evaluate"}
    assert set(metrics) == stages | {"pretrain_timing", "finetune_timing", "evaluate_timing"}
    assert metrics["preprocess"]["users"] == {"train": 754, "validation": 94, "test": 95}
    assert metrics["preprocess"]["positions"]["train"] == 66_127
    assert metrics["preprocess"]["items"] == metrics["export_embeddings"]["count"] == 1682
    assert set(metrics["finetune"]["validation"]) == {"hit_ratio_at_1"}
    found = metrics["finetune"]["validation"]["hit_ratio_at_1"]
    assert set(found) == {"untuned", "tuned", "step"}
    assert found["step"] in (2, 4)
    assert min(metrics["finetune"]["trainable_parameters"][part] for part in ("lora", "projector", "head")) > 0
    models = {"llara", "llara_with_recommender", "random", *COUNTED, *PROBED}
    _check_evaluation(metrics["evaluate"], 190, models)
    assert set(metrics["evaluate_timing"]["seconds_a_list"]) == {"llara", "validation", *PROBED}
    for split, n_examples in (("validation", 94), ("test", 95)):
        for name in COUNTED:
            entry = metrics["pretrain"][split][name]
            assert entry["n_examples"] == n_examples
            ratios = [entry[f"hit_ratio_at_{k}"] for k in (1, 5, 10, 20)]
            assert [0, *ratios, 1] == sorted([0, *ratios, 1])
            assert entry["ndcg_at_5"] <= entry["ndcg_at_10"] <= entry["ndcg_at_20"]
            assert 0 < entry["mrr"] < 1
            assert 0 < entry["coverage_at_10"] <= 1
            among = entry["candidates"]
            assert among["hit_ratio_at_1_low"] <= among["hit_ratio_at_1"] <= among["hit_ratio_at_1_high"]
            assert among["ndcg_at_10_low"] <= among["ndcg_at_10"] <= among["ndcg_at_10_high"]
    for name in COUNTED:  # the same sets, judged by both stages
        assert (
            metrics["pretrain"]["test"][name]["candidates"]["hit_ratio_at_1"]
            == metrics["evaluate"][name]["hit_ratio_at_1"]
        )
    assert metrics["pretrain_timing"]["training_seconds"] > 0
    assert metrics["pretrain_timing"]["peak_memory_gib"] > 0


def test_a_table_ends_the_evaluation(reproduced: str, run: Run) -> None:
    words = ("HitRatio@1", "ValidRatio", "llara", "llara_with_recommender", "190 lists of 95 users", "can't be told")
    shown = run(sys.executable, "-m", "stages.evaluate", "--show").stdout
    for word in (*words, *COUNTED, *PROBED):
        assert word in reproduced
        assert word in shown


@pytest.mark.usefixtures("reproduced")
def test_the_trained_model_recommends(run: Run) -> None:
    found = json.loads(run(sys.executable, "-m", "llara", "recommend", "toy story", "Heat (1995)", "--json").stdout)
    assert [entry["title"] for entry in found["history"]] == ["Toy Story", "Heat"]
    assert found["ranked"] == {"kind": "catalogue", "n_items": 1680}
    assert set(found["rankings"]) == {"llara", "recommender", "llara_with_recommender"}
    assert {len(ranked) for ranked in found["rankings"].values()} == {10}


@pytest.mark.usefixtures("reproduced")
def test_pictures_stand_beside_what_they_show(repository: Path) -> None:
    folder = repository / "data/evaluation"
    tables = {path.stem for path in folder.glob("*.csv")}
    assert tables == {"models", "by_history_length", "by_target_n_train", "by_place", "calibration", "overlap"}
    pictures = {path.stem: path.read_bytes() for path in folder.glob("*.png")}
    assert set(pictures) == tables
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())


@pytest.mark.usefixtures("reproduced")
def test_a_second_repro_does_nothing_and_the_status_is_clean(run: Run) -> None:
    again = run("dvc", "repro").stdout
    assert again.count("didn't change, skipping") == 8
    assert "Running stage" not in again
    assert "up to date" in run("dvc", "status").stdout


@pytest.mark.usefixtures("reproduced")
def test_a_forced_run_trains_again_to_the_same_bytes(run: Run, repository: Path) -> None:
    before = _results(repository)
    assert not list((repository / ".llara/checkpoints").glob("*/*/step-*"))
    assert "resuming" not in run("dvc", "repro", "--force").stderr
    assert _results(repository) == before
    # Tables, lists and answers, details with plots, reports, the adapter's files.
    assert len(before) == 5 + (1 + 9) + (1 + 2 * 6) + 7 + 6


@pytest.mark.usefixtures("reproduced")
def test_two_processes_evaluate_as_one(repository: Path, tmp_path: Path) -> None:
    before = _results(repository)
    run_two_processes(["-m", "stages.evaluate"], repository, LLARA_CHECKPOINT_DIR=str(tmp_path))
    assert _results(repository) == before
    assert not list(tmp_path.glob("evaluate/*/*.parquet"))


@pytest.mark.usefixtures("reproduced")
def test_two_processes_that_divide_the_language_model_tune_it_as_one(repository: Path, tmp_path: Path) -> None:
    """The adapter is whole, written once, and leaves no checkpoint."""
    folder = tmp_path / "divided"
    shutil.copytree(repository, folder, ignore=shutil.ignore_patterns(".git", ".dvc", ".llara"))
    shutil.rmtree(folder / "data/adapter")
    result = launch("fsdp", ["-m", "stages.finetune"], folder, LLARA_CHECKPOINT_DIR=tmp_path / "checkpoints")
    assert result.returncode == 0, result.stderr
    alone, together = (checkout / "data/adapter" for checkout in (repository, folder))
    assert sorted(path.name for path in together.iterdir()) == sorted(path.name for path in alone.iterdir())
    for path in alone.glob("*.safetensors"):
        weights, expected = load_file(together / path.name), load_file(path)
        assert weights.keys() == expected.keys()
        assert all(torch.allclose(weights[name], weight, atol=1e-4) for name, weight in expected.items()), path.name
    assert (together / "llara.json").read_bytes() == (alone / "llara.json").read_bytes()
    assert not list(tmp_path.glob("checkpoints/*/*/step-*"))


@pytest.mark.usefixtures("reproduced")
def test_experiments_are_run_shown_and_compared(run: Run, repository: Path) -> None:
    run("git", "add", "-A")
    run("git", "commit", "-qm", "results")
    changes = ["curriculum.epochs=2", "train.objective.name=answer", "candidates.negatives=hard"]
    words = [word for change in [*changes, "candidates.hard.pool=19"] for word in ("-S", change)]
    in_place = run("dvc", "exp", "run", "-n", "longer", *words).stdout
    shown = run("dvc", "exp", "show", "--csv", "--only-changed").stdout
    assert "longer" in shown
    diff = run("dvc", "metrics", "diff", "HEAD", "longer").stdout
    assert "metrics/finetune.json" in diff
    assert run("dvc", "params", "diff", "HEAD", "longer", "--json").stdout.count("curriculum.epochs") == 1
    assert "Stage 'pretrain' didn't change, skipping" in in_place
    assert "llara_with_recommender" in in_place
    assert "the negatives are favourites of a recommender's" in in_place
    evaluated = repository / "metrics/evaluate.json"
    models = {"llara", "random", *COUNTED, *PROBED}
    _check_evaluation(json.loads(evaluated.read_text()), 95, {*models, "llara_with_recommender"})
    report = json.loads((repository / "metrics/finetune.json").read_text())
    assert set(report["validation"]) == {"negative_loss"}
    assert report["trainable_parameters"]["head"] == 0
    in_place = run("dvc", "exp", "run", "-S", "eval.method=generation", "-S", "eval.probes=[]").stdout
    assert "Stage 'finetune' didn't change, skipping" in in_place
    _check_evaluation(json.loads(evaluated.read_text()), 95, models - set(PROBED))
    found = json.loads((repository / "data/evaluation/details.json").read_text())["models"]["recommender"]
    assert found["hit_ratio_at_1"] == found["catalogue"]["hit_ratio_at_1"]
    page = run("dvc", "plots", "show").stdout.strip()
    assert page == (repository / "dvc_plots/index.html").as_uri()
    shown = (repository / "dvc_plots/index.html").read_text()
    assert shown.count("vegaEmbed('#") == 12
    assert "https://cdn" not in shown
    run("git", "checkout", "--", "params.yaml")


def _kill_at_its_first_checkpoint(stage: str, repository: Path, checkpoints: Path) -> None:
    environment = os.environ | {"LLARA_CHECKPOINT_DIR": str(checkpoints)}
    process = subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}"], cwd=repository, env=environment, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob(f"{stage}/*/step-*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.usefixtures("reproduced")
def test_a_killed_finetuning_goes_on_from_its_last_checkpoint(run: Run, repository: Path, tmp_path: Path) -> None:
    params = repository / "params.yaml"
    original = params.read_text()
    params.write_text(
        original.replace("epochs: 1 ", "epochs: 1").replace("examples_per_epoch: 16", "examples_per_epoch: 400")
    )
    assert params.read_text() != original
    _kill_at_its_first_checkpoint("finetune", repository, tmp_path)
    resumed = run("dvc", "repro", "finetune", LLARA_CHECKPOINT_DIR=str(tmp_path))
    assert "resuming from step" in resumed.stderr
    assert "of 100" in resumed.stderr
    curve = (repository / "data/curves/finetune.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curve] == ["step", *map(str, range(1, 101))]
    params.write_text(original)


@pytest.mark.usefixtures("reproduced")
def test_a_killed_pretraining_goes_on_to_the_bytes_of_an_uninterrupted_one(
    run: Run, repository: Path, tmp_path: Path
) -> None:
    params = repository / "params.yaml"
    original = params.read_text()
    longer = YAML()
    changed = longer.load(original)
    changed["pretrain"].update(max_epochs=2, checkpoint_every=3)
    longer.dump(changed, params)
    run("dvc", "repro", "pretrain", LLARA_CHECKPOINT_DIR=str(tmp_path / "straight"))
    straight = sha256_of(repository / "data/recommender/model.safetensors")
    killed = tmp_path / "killed"
    _kill_at_its_first_checkpoint("pretrain", repository, killed)
    assert sha256_of(repository / "data/recommender/model.safetensors") == straight  # nothing half-written
    resumed = run(sys.executable, "-m", "stages.pretrain", LLARA_CHECKPOINT_DIR=str(killed))
    assert "resuming in epoch" in resumed.stderr
    assert sha256_of(repository / "data/recommender/model.safetensors") == straight
    params.write_text(original)


@pytest.mark.usefixtures("reproduced")
def test_recommenders_are_exchanged_by_name_alone(run: Run) -> None:
    run("dvc", "exp", "run", "--temp", "-n", "other", "-S", "recommender.name=gru4rec", "export_embeddings")
    diff = run("dvc", "metrics", "diff", "HEAD", "other").stdout
    assert "test.recommender.mrr" in diff
    assert "metrics/export_embeddings.json" in diff


def test_user_errors_are_one_line_without_a_traceback(run: Run, repository: Path, tmp_path: Path) -> None:
    bad = tmp_path / "params.yaml"
    bad.write_text((repository / "params.yaml").read_text().replace("  size: 20", "  sise: 20"))
    result = run(sys.executable, "-m", "stages.preprocess", "--params", str(bad), fails=True)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "candidates.size is missing; candidates.sise is unknown (did you mean size?), got 20" in result.stderr
