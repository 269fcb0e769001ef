"""One training shared by two real processes, as each of launch/*.yaml starts them, is the training of one."""

import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from tests.finetuning.launched import CURRICULA, logs_of, train
from tests.finetuning.runs import make_model, trained
from tests.processes import launch


@dataclass(frozen=True)
class Launched:
    """What two processes have left, of which the second has failed in the end.

    Attributes:
        kind: of launcher.
        folder: theirs.
        found: by process.
        result: of the launcher.
        ended: when it did, as time.time says it.
    """

    kind: str
    folder: Path
    found: list[dict[str, Any]]
    result: subprocess.CompletedProcess[str]
    ended: float


@pytest.fixture(scope="module", params=["ddp", "fsdp", "zero3"])
def launched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> Launched:
    if request.param == "zero3":
        pytest.importorskip("deepspeed", reason="the extra deepspeed isn't installed")
    folder = tmp_path_factory.mktemp(request.param)
    result = launch(
        request.param, ["-m", "tests.finetuning.launched", str(folder), str(llama_folder)], LLARA_CHECKPOINT_DIR=folder
    )
    ended = time.time()
    found = [folder / f"found-{rank}.json" for rank in range(2)]
    assert all(path.is_file() for path in found), result.stderr
    return Launched(request.param, folder, [json.loads(path.read_text()) for path in found], result, ended)


@pytest.mark.parametrize("name", CURRICULA)
def test_two_processes_train_as_one(
    launched: Launched, name: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = make_model(len(tokenizer))
    alone, seen = train(name, tokenizer, model, tmp_path / "one")
    first, second = (found[name] for found in launched.found)
    assert [prompt for pair in zip(first["seen"], second["seen"], strict=True) for prompt in pair] == seen
    assert first["logs"] == [pytest.approx(entry, rel=1e-4) for entry in logs_of(alone)]
    weights = [load_file(launched.folder / f"{name}-{rank}.safetensors") for rank in range(2)]
    expected = trained(model)
    assert weights[0].keys() == weights[1].keys() == expected.keys()
    for key, weight in expected.items():
        assert torch.equal(weights[0][key], weights[1][key]), key
        assert torch.allclose(weights[0][key], weight, atol=2e-5), key


def test_a_killed_training_goes_on_to_the_same_weights(launched: Launched) -> None:
    assert [found["resumed"] for found in launched.found] == [True, True]


def test_only_the_main_process_writes(launched: Launched) -> None:
    for run in (*CURRICULA, "whole"):
        written = [sorted(path.name for path in (launched.folder / f"{run}-{rank}").iterdir()) for rank in range(2)]
        assert written == [["step-6"], []]


def test_layers_are_divided_or_copied(launched: Launched) -> None:
    [first, second] = [found["weights"] for found in launched.found]
    n_copied = sum(own == other == whole for (own, whole), (other, _) in zip(first, second, strict=True))
    n_divided = sum(
        max(own, other) < own + other == whole for (own, whole), (other, _) in zip(first, second, strict=True)
    )
    n_weights = 2 * (7 + 2) + 3  # of two layers; token embeddings, final norm, vocabulary head
    expected = {"ddp": n_weights, "fsdp": 1, "zero3": 2}[launched.kind]  # the embeddings; with DeepSpeed the norm too
    assert (n_copied, n_divided) == (expected, n_weights - expected)


def test_one_failing_process_ends_all_with_one_message(launched: Launched) -> None:
    error = launched.result.stderr
    assert launched.result.returncode == 1
    assert re.findall(r"^error: .*", error, re.MULTILINE) == ["error: the second process can't go on"]
    assert error.count("Traceback") == 1  # the launcher's own
    assert launched.ended - float((launched.folder / "failed").read_text()) < 30
