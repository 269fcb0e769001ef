"""What `llara plan` says of memory against what finetuning takes, by run: python -m benchmarks.planned_memory.

Each run is the whole of finetuning on few examples, in a process of its own, whose highest resident memory (VmHWM) is
measured; on a GPU, the most that PyTorch has allocated. Needs the artifacts of `dvc repro export_embeddings`; a run of
the default objectives takes a minute or two. Nothing is written to data.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from llara_core.experiments.overrides import override
from llara_core.params.loading import read_plain
from llara_core.params.params import Params

PARAMS = Path("params.yaml")
FEW = {
    "stream": ["objectives.stream.examples_per_epoch=48"],
    "choice": ["objectives.choice.examples_per_epoch=32", "objectives.choice.validation.positions=32"],
    "answer": ["objectives.answer.examples_per_epoch=32", "objectives.answer.validation.positions=8"],
}
_WIDE = [
    "+llms.random={source: folder, path: FOLDER, dtype: bfloat16}",
    "llm.name=random",
    "projector.hidden=4096",
    "candidates.size=3",
    "train.precision=bfloat16",
    "objectives.answer.examples_per_epoch=1",
    "objectives.answer.batch_size=1",
    "objectives.answer.micro_batch_size=1",
    "objectives.answer.validation.positions=1",
]
RUNS = {
    "stream": ("stream", []),
    "choice": ("choice", []),
    "answer": ("answer", []),
    "answer-checkpointing": ("answer", ["train.gradient_checkpointing=true"]),
    "answer-micro-batch-1": ("answer", ["objectives.answer.micro_batch_size=1"]),
    "stream-micro-batch-16": ("stream", ["objectives.stream.micro_batch_size=16"]),
    "llama-2-7b-widths": ("answer", [*_WIDE, "train.gradient_checkpointing=true"]),
}
"""Objective, and what of params.yaml differs. The last: two random layers of Llama-2-7B's widths, in bfloat16."""


def params_of(run: str, folder: Path) -> Params:
    """Return the params of a run, whose random model, if it has one, is in `folder`."""
    objective, changes = RUNS[run]
    few = [] if run == "llama-2-7b-widths" else FEW[objective]
    texts = [f"train.objective.name={objective}", f"objectives.{objective}.validation.times=1", *few, *changes]
    return override(read_plain(PARAMS), [text.replace("FOLDER", str(folder)) for text in texts], run)[1]


def measure(params: Params) -> float:
    """Tune; return the GiB that it took at most."""
    from llara_core.finetuning.tuning import tune
    from llara_core.recommenders.saving import load_recommender
    from llara_core.runtime.compute import peak_memory_gib
    from llara_core.runtime.paths import EMBEDDINGS, PROCESSED, RECOMMENDER
    from llara_core.tables.embeddings import read_embeddings
    from llara_core.tables.processed import read_processed

    tables = read_processed(PROCESSED)
    recommender, lineage = load_recommender(RECOMMENDER, tables.lineage)
    embeddings = read_embeddings(EMBEDDINGS, lineage, len(tables.items))
    with TemporaryDirectory() as checkpoints:
        tune(params, tables, recommender, embeddings, Path(checkpoints))
    return peak_memory_gib()


def predict(params: Params) -> dict[str, float]:
    """Return what is planned, in GiB by part, and the peak."""
    from llara_core.planning.counting import count_workload
    from llara_core.planning.finding import find_llm
    from llara_core.planning.machines import this_machine
    from llara_core.planning.memory import GIB, estimate_memory
    from llara_core.runtime.paths import PROCESSED

    llm = find_llm(params.selected_llm)
    device = this_machine().device
    memory = estimate_memory(params, llm.shape, count_workload(params, llm, PROCESSED), device)
    return {name: size / GIB for name, size in {**memory.parts, "peak": memory.peak}.items()}


def _write_wide(folder: Path) -> None:
    from benchmarks.llama_2_7b_step import write_model
    from llara_core.hybrid.base_llm import load_tokenizer
    from llara_core.params.loading import load_params

    tokenizer, _ = load_tokenizer(load_params(PARAMS).selected_llm)
    write_model(folder, len(tokenizer))
    tokenizer.save_pretrained(folder)


def _in_a_process(work: str, run: str, folder: Path) -> str:
    command = [sys.executable, "-m", "benchmarks.planned_memory", run, "--work", work, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ)  # noqa: S603
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def main(
    runs: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(RUNS)}; without any, all.")] = None,
    work: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Print each run's planned and measured peak, and their ratio."""
    match work:
        case "write":
            _write_wide(folder)
        case "measure":
            print(measure(params_of((runs or [])[0], folder)))
        case "predict":
            print(json.dumps(predict(params_of((runs or [])[0], folder))))
        case _:
            _compare(runs or list(RUNS))


def _compare(runs: list[str]) -> None:
    for run in runs:
        with TemporaryDirectory() as name:
            if "FOLDER" in "".join(RUNS[run][1]):
                _in_a_process("write", run, Path(name))
            planned = json.loads(_in_a_process("predict", run, Path(name)))
            measured = float(_in_a_process("measure", run, Path(name)))
        ratio = planned["peak"] / measured
        print(
            f"{run:22} planned {planned['peak']:6.2f} GiB, measured {measured:6.2f} GiB, ratio {ratio:.2f}", flush=True
        )


if __name__ == "__main__":
    typer.run(main)
