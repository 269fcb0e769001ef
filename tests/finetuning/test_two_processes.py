"""One training shared by two real processes is the training of one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from llara_core.finetuning.trainer import HybridTrainer
from tests.conftest import ROOT
from tests.finetuning.runs import make_model, make_plan, make_recipe, make_trainer

_SHARED = """
import json
import sys
from pathlib import Path
from safetensors.torch import save_file
from transformers import AutoTokenizer
from tests.finetuning.runs import trained
from tests.finetuning.test_two_processes import logs_of, train

trainer = train(AutoTokenizer.from_pretrained(sys.argv[2]), Path(sys.argv[1]))
assert trainer.accelerator.num_processes == 2
rank = trainer.accelerator.process_index
save_file(trained(trainer.model), Path(sys.argv[1]) / f"weights-{rank}.safetensors")
if rank == 0:
    (Path(sys.argv[1]) / "logs.json").write_text(json.dumps(logs_of(trainer)))
trainer.accelerator.wait_for_everyone()
trainer.accelerator.state.destroy_process_group()
"""


def train(tokenizer: PreTrainedTokenizerBase, folder: Path) -> HybridTrainer:
    recipe = make_recipe(lr=0.02, projector_lr=0.005, weight_decay=0.1, max_grad_norm=1.75, micro_batch_size=1)
    trainer = make_trainer(make_model(len(tokenizer)), make_plan(tokenizer), recipe, folder)
    trainer.train()
    return trainer


def logs_of(trainer: HybridTrainer) -> list[list[float]]:
    """Loss and gradient norm of each step."""
    return [[entry["loss"], entry["grad_norm"]] for entry in trainer.state.log_history if "loss" in entry]


def test_two_processes_train_as_one(tmp_path: Path, llama_folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    script, folder = tmp_path / "shared.py", tmp_path / "two"
    script.write_text(_SHARED)
    launch = ["-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    launch += ["--multi_gpu"]  # through torchrun, which takes processes of CPUs as well
    result = subprocess.run(
        [sys.executable, *launch, str(script), str(folder), str(llama_folder)],
        cwd=ROOT,
        env={"PATH": str(Path(sys.executable).parent), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    alone = train(tokenizer, tmp_path / "one")
    logs = json.loads((folder / "logs.json").read_text())
    assert logs == [pytest.approx(entry, rel=1e-4) for entry in logs_of(alone)]
    first, second = (load_file(folder / f"weights-{rank}.safetensors") for rank in (0, 1))
    expected = {name: p for name, p in alone.model.named_parameters() if p.requires_grad}
    assert first.keys() == second.keys() == expected.keys()
    for name, weights in expected.items():
        assert torch.equal(first[name], second[name]), name
        assert torch.allclose(first[name], weights, atol=2e-5), name
