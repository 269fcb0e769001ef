"""`llara plan` as a program: what it prints, how it ends, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llara.program import build_program
from llara_core.planning import plan
from llara_core.planning.machines import GIB, Machine
from tests.conftest import ROOT

LARGE = ["-S", "llm.name=llama-2-7b", "-S", "train.objective.name=answer", "-S", "train.precision=bfloat16"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where neither data nor a model is, on a machine of 8 GiB."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLARA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LLARA_RAW_DIR", raising=False)
    monkeypatch.setattr(plan, "this_machine", lambda: Machine("this machine's memory", "cpu", 8 * GIB, 6 * GIB))


def _plan(*arguments: str) -> Result:
    return CliRunner().invoke(build_program(), ["plan", "--params", str(ROOT / "params.yaml"), *arguments])


def test_the_default_fits_here() -> None:
    shown = _plan()
    assert shown.exit_code == 0
    assert "134,515,008 whole; 42,472,512 read, 4 of 30 layers" in shown.output
    assert "LoRA 325,632, projector 369,792, head 36,928" in shown.output
    assert "2,304 in 144 steps" in shown.output
    assert shown.output.splitlines()[-1] == "It fits here."


def test_json_has_the_same_and_more() -> None:
    shown = _plan("--json", "--rate", "1000")
    found = json.loads(shown.output)
    assert found["parameters"] == {
        "whole": 134_515_008,
        "read": 42_472_512,
        "lora": 325_632,
        "projector": 369_792,
        "head": 36_928,
    }
    here, *cards = found["memory"]
    assert (here["device"], here["answer"]) == ("cpu", "fits")
    assert sum(here["parts"].values()) == here["peak"]
    assert [card["machine"] for card in cards] == ["24 GB card", "40 GB card", "80 GB card"]
    assert found["seconds"]["training"] == pytest.approx(found["tokens"]["training_padded"] / 1000)
    assert found["exit_code"] == 0


def test_what_fits_only_on_a_card_ends_with_4_and_says_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not even in 4 bits does it fit here.
    monkeypatch.setattr(plan, "this_machine", lambda: Machine("this machine's memory", "cpu", 4 * GIB, 3 * GIB))
    shown = _plan(*LARGE)
    assert shown.exit_code == 4
    assert "this machine's memory: all of these changes together don't make it fit" in shown.output
    assert "-S train.gradient_checkpointing=true: " in shown.output
    assert "-S llms.llama-2-7b.quantization=nf4: " in shown.output
    assert "24 GB card: fits with " in shown.output
    assert shown.output.splitlines()[-1].startswith("It doesn't fit here; it does on a ")


def test_a_base_model_of_4_bits_says_so() -> None:
    shown = _plan("-S", "llm.name=llama-2-7b-qlora", *LARGE[2:], "-S", "objectives.answer.micro_batch_size=auto")
    assert "32 of 32 layers, linear maps in nf4, products in bfloat16; trained: LoRA" in shown.output
    assert "at most 1 (auto, by what is free here) × " in shown.output
    assert "24 GB card (23.5 GiB): fits" in shown.output
    assert "quantization=nf4" not in shown.output


def test_what_fits_nowhere_ends_with_5() -> None:
    shown = _plan(*LARGE, "-S", "objectives.answer.batch_size=128", "-S", "objectives.answer.micro_batch_size=128")
    assert shown.exit_code == 5
    assert shown.output.splitlines()[-1] == "It fits neither here nor on any card listed."


def test_a_disk_that_is_too_small_ends_with_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "free_disk", lambda _: 1000)
    shown = _plan()
    assert shown.exit_code == 4
    assert "TOO LITTLE" in shown.output
    assert shown.output.splitlines()[-1] == "The disk is too small here."


def test_what_fits_without_a_margin_is_tight(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Machine("this machine's memory", "cpu", round(1.2 * GIB), GIB)
    monkeypatch.setattr(plan, "this_machine", lambda: small)
    shown = _plan()
    assert shown.exit_code == 0
    assert "1.00 GiB of it free now): tight" in shown.output
    assert shown.output.splitlines()[-1] == "It fits here, within the estimate's margin of 20 %."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rate", "0"], "--rate must be > 0 tokens a second, got 0"),
        (["--rate", "nan"], "--rate must be > 0 tokens a second, got nan"),
        (["--rate", "5", "--probe"], "--rate and --probe must not be given together"),
        (["-S", "lora.rnak=4"], r"llara plan: lora.rnak is no param (did you mean lora.rank?), got -S lora.rnak=4"),
        (["-S", "lora.rank=0"], "llara plan: lora.rank must be ≥ 1, got 0"),
        (["-S", "objectives.stream.layers=31"], "objectives.*.layers must be ≤ the model's 30, got 31"),
        (["-S", "dataset.name=amazon-video-games"], "no counts are published for source amazon"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    shown = _plan(*arguments)
    assert shown.exit_code != 0
    assert message in str(shown.exception)


@pytest.mark.parametrize("changes", [[], ["-S", "lora.rank=4"]])
def test_a_params_file_that_is_not_there_is_named(changes: list[str]) -> None:
    shown = _plan("--params", "nowhere.yaml", *changes)
    assert "nowhere.yaml: no such file" in str(shown.exception)


def test_what_preprocess_says_of_the_data_counts(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/preprocess.json").write_text('{"source": "steam"}')
    assert "data/processed is of steam" in _plan().output
    (tmp_path / "metrics/preprocess.json").write_text("[]")
    assert "data/processed isn't here" in _plan().output


def test_nothing_is_loaded_or_fetched_for_a_mistake(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "llara", "plan", "--rate", "-1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: --rate must be > 0 tokens a second, got -1"
    assert not {"torch", "transformers"} & {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
