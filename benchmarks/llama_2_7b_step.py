"""A step of each objective on a random model of Llama-2-7B's widths: python -m benchmarks.llama_2_7b_step.

Two layers deep, in bfloat16, gradients checkpointed: shows on any machine that the recipe's precision and widths fit
together. Needs the artifacts of `dvc repro export_embeddings`.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.finetune_step import prepare
from llara_core.hybrid.base_llm import load_tokenizer
from llara_core.params.loading import load_params
from llara_core.params.sections import FolderLlm
from llara_core.runtime.compute import choose_device, peak_memory_gib


def write_model(folder: Path, vocabulary: int) -> None:
    """Write a random model of Llama-2-7B's widths, two layers deep, with a vocabulary of another tokenizer's size."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=2,
        num_attention_heads=32,
        num_key_value_heads=32,
        max_position_embeddings=4096,
    )
    torch.set_default_dtype(torch.bfloat16)
    try:
        LlamaForCausalLM(config).save_pretrained(folder)
    finally:
        torch.set_default_dtype(torch.float32)


def main(
    names: Annotated[list[str], typer.Argument(help="Objectives.")] = ["stream", "choice", "answer"],  # noqa: B006
    examples: Annotated[int, typer.Option(help="Examples of the step.")] = 1,
    four_bits: Annotated[bool, typer.Option("--four-bits", help="With the base model in 4 bits (QLoRA).")] = False,
) -> None:
    """Print each objective's loss, the norm of its gradient, seconds and memory."""
    params = load_params(Path("params.yaml"))
    tokenizer, _ = load_tokenizer(params.selected_llm)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder, len(tokenizer))
        tokenizer.save_pretrained(folder)
        llm = FolderLlm(
            source="folder",
            path=folder,
            dtype="bfloat16",
            quantization="nf4" if four_bits else None,
            attention="sdpa",
        )
        changes: dict[str, Any] = {
            "llms": {"random": llm},
            "llm": params.llm.model_copy(update={"name": "random"}),
            "projector": params.projector.model_copy(update={"hidden": 4096}),
            # Short inputs: a CPU without instructions for bfloat16 needs seconds a token.
            "split": params.split.model_copy(update={"history_length": 3}),
            "candidates": params.candidates.model_copy(update={"size": 3}),
            "train": params.train.model_copy(update={"precision": "bfloat16", "gradient_checkpointing": True}),
        }
        small = {"batch_size": examples, "micro_batch_size": examples, "examples_per_epoch": examples}
        for objective in names:
            recipe = getattr(params.objectives, objective)
            fewer = {"validation": recipe.validation.model_copy(update={"positions": 2})}
            if "ridge" in type(recipe).model_fields:
                fewer |= {"chunk_tokens": 64} if objective == "stream" else {}
                fewer |= {"layers": None, "ridge": recipe.ridge.model_copy(update={"positions": 4})}
            recipes = params.objectives.model_copy(update={objective: recipe.model_copy(update=small | fewer)})
            _step(params.model_copy(update={**changes, "objectives": recipes}), objective, examples)


def _step(params: Any, name: str, examples: int) -> None:
    objective = prepare(params, name, None, params.lora.dropout)
    batch = objective.collate([objective.plan[i] for i in range(examples)])
    batch = {key: tensor.to(choose_device()) for key, tensor in batch.items()}
    weights = [weight for group, _ in objective.rates() for weight in group]
    optimizer = torch.optim.AdamW([{"params": group, "lr": rate} for group, rate in objective.rates()])
    started = time.perf_counter()
    with torch.autocast(choose_device().type, torch.bfloat16):
        loss = objective.model(**batch)
    loss.backward()
    norm = float(torch.nn.utils.clip_grad_norm_(weights, params.train.max_grad_norm))
    optimizer.step()
    seconds, n_targets = time.perf_counter() - started, int((batch["labels"] >= 0).sum())
    mean, norm = float(loss.detach()) / n_targets, norm / n_targets
    print(f"{name:8} loss {mean:.3f}, gradient {norm:.4f}, {seconds:.0f} s, {peak_memory_gib():.1f} GiB at most so far")


if __name__ == "__main__":
    typer.run(main)
