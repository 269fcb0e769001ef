"""Targets a second of finetuning against the plain way, in one run: python -m benchmarks.finetune_step.

`stream`: the default recipe, beside the same objective the plain way (peft's LoRA, a mask of padding) on as many
layers, and on all. `answer`: beside the official way, a batch of 8 padded, LoRA dropout .1, the whole vocabulary's
logits through `labels`. Needs the artifacts of `dvc repro export_embeddings`.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import typer
from peft.tuners import lora
from torch import Tensor
from torch.nn.functional import linear

from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.hybrid.base_llm import load_base_llm, load_tokenizer
from llara_core.hybrid.batching import IGNORED, pad_examples
from llara_core.hybrid.lora_linear import LoraLinear
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.objective import Objective, Sources
from llara_core.objectives.registry import build_objective
from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.saving import load_recommender
from llara_core.runtime.compute import choose_device, peak_memory_gib, seed_torch
from llara_core.tables.embeddings import read_embeddings
from llara_core.tables.processed import read_processed

Step = Callable[[int], int]
"""Forward and backward of optimiser step 1, 2, …; returns its number of targets."""


def prepare(params: Params, name: str, layers: int | None, dropout: float) -> Objective[Any]:
    """Build an objective on the artifacts in data, hybrid from the first step on."""
    seed_torch(0)
    device, tables = choose_device(), read_processed(Path("data/processed"))
    recommender, lineage = load_recommender(Path("data/recommender"), tables.lineage)
    vectors = read_embeddings(Path("data/embeddings/item_embeddings.parquet"), lineage, len(tables.items)).vectors
    tokenizer, max_length = load_tokenizer(params.selected_llm)
    llm = load_base_llm(params.selected_llm, device, layers)
    adapted = attach_lora(llm, params.lora.model_copy(update={"dropout": dropout}), params.selected_llm, layers)
    hybrid = build_hybrid(adapted.get_base_model(), vectors, params.projector, params.fusion).train()
    if params.train.gradient_checkpointing:
        llm.gradient_checkpointing_enable()
    writer = PromptWriter.of(params.prompt, params.fusion, params.selected_dataset.nouns, tables.items.titles_by_id)
    encoder = PromptEncoder(tokenizer, max_length)
    hybrid_only = params.curriculum.model_copy(update={"schedule": "hybrid_only"})
    changed = params.model_copy(update={"curriculum": hybrid_only})
    return build_objective(name, Sources(changed, tables, recommender.to(device), lambda: hybrid, writer, encoder))


def our_step(objective: Objective[Any]) -> Step:
    """Micro-batches of the objective's recipe."""
    size, micro = objective.recipe.batch_size, objective.recipe.rows

    def step(number: int) -> int:
        targets = 0
        for start in range((number - 1) * size, number * size, micro):
            batch = objective.collate([objective.plan[i] for i in range(start, start + micro)])
            objective.model(**batch).backward()
            targets += int((batch["labels"] != IGNORED).sum())
        return targets

    return step


def plain_step(objective: Objective[Any]) -> Step:
    """As `our_step` of a stream, with peft's layers and a mask."""
    hybrid = cast("HybridCausalLM", objective.model.hybrid)
    size, micro = objective.recipe.batch_size, objective.recipe.rows
    for module in hybrid.modules():
        if isinstance(module, LoraLinear):
            module.__class__ = lora.Linear

    def step(number: int) -> int:
        targets = 0
        for start in range((number - 1) * size, number * size, micro):
            examples = [objective.plan[i] for i in range(start, start + micro)]
            batch = objective.collate(examples)
            lengths = torch.tensor([[len(example.history.prompt.input_ids)] for example in examples])
            mask = (torch.arange(batch["input_ids"].shape[1]) < lengths).long()
            hybrid.states = partial(_masked_states, hybrid, mask)  # type: ignore[method-assign]
            objective.model(**batch).backward()
            targets += int((batch["labels"] != IGNORED).sum())
        return targets

    return step


def _masked_states(hybrid: HybridCausalLM, mask: Tensor, *parts: Tensor) -> Tensor:
    embeddings = hybrid.embed(*parts)
    return hybrid.backbone(inputs_embeds=embeddings, attention_mask=mask, use_cache=False).last_hidden_state


def official_step(objective: Objective[Any]) -> Step:
    """A batch of 8 padded prompts; slots replaced in loops; logits of every token."""
    model = cast("HybridCausalLM", objective.model)

    def step(number: int) -> int:
        examples = [objective.plan[i] for i in range((number - 1) * 8, number * 8)]
        prompts, answers = zip(*examples, strict=True)
        batch = pad_examples(prompts, answers, 0)
        lengths = torch.tensor([[len(prompt.input_ids) + len(answer)] for prompt, answer in examples])
        embeddings = model.llm.get_input_embeddings()(batch["input_ids"]).clone()
        items = iter(batch["slot_items"])
        for row, place in batch["slot_mask"].nonzero().tolist():
            embeddings[row, place] = model.projector(model.item_embeddings[next(items)])
        found = model.llm(
            inputs_embeds=embeddings,
            attention_mask=(torch.arange(batch["input_ids"].shape[1]) < lengths).long(),
            labels=batch["labels"],
            use_cache=False,
        )
        found.loss.backward()
        return int((batch["labels"] != IGNORED).sum())

    return step


def targets_a_second(step: Step, first: int, last: int) -> float:
    """Rate over steps first to last, after one more to warm up."""
    step(first)
    started, targets = time.perf_counter(), 0
    for number in range(first + 1, last + 1):
        targets += step(number)
    return targets / (time.perf_counter() - started)


def matrix_rate() -> float:
    """FLOP a second of products as the language model has them, [800, 576] × [576, 1536]."""
    left, right = torch.randn(800, 576), torch.randn(1536, 576)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(50):
            linear(left, right)
        best = max(best, 50 * 2 * 800 * 576 * 1536 / (time.perf_counter() - started))
    return best


def useful_rate(objective: Objective[Any], rate: float, tokens_a_target: float) -> float:
    """FLOP a second in the base model's matrices: forward, and backward through activations alone."""
    hybrid = cast("HybridCausalLM", getattr(objective.model, "hybrid", objective.model))
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    base = [w for name, w in hybrid.llm.named_parameters() if "lora_" not in name and any(n in name for n in names)]
    return 4 * sum(weight.numel() for weight in base) * tokens_a_target * rate


def tokens_a_target(objective: Objective[Any]) -> float:
    """Tokens of 64 planned examples, padding left out, over their targets."""
    examples = [objective.plan[i] for i in range(64)]
    tokens = sum(objective.collate([example])["input_ids"].numel() for example in examples)
    return float(tokens / (objective.collate(examples)["labels"] != IGNORED).sum())


def main(
    way: Annotated[str, typer.Argument(help="One of the ways that are printed without it, for its memory.")] = "",
    steps: Annotated[int, typer.Option(help="Measured steps of each way.")] = 3,
) -> None:
    """Print rates and ratios; with a way, that way's alone and its peak memory."""
    params = load_params(Path("params.yaml"))
    ways: dict[str, Callable[[], tuple[Objective[Any], Callable[[Objective[Any]], Step]]]] = {
        "stream": lambda: (prepare(params, "stream", params.objectives.stream.layers, 0.0), our_step),
        "stream-plain": lambda: (prepare(params, "stream", params.objectives.stream.layers, 0.0), plain_step),
        "stream-plain-all": lambda: (prepare(params, "stream", None, 0.0), plain_step),
        "choice": lambda: (prepare(params, "choice", params.objectives.choice.layers, 0.0), our_step),
        "answer": lambda: (prepare(params, "answer", None, 0.0), our_step),
        "answer-official": lambda: (prepare(params, "answer", None, 0.1), official_step),
    }
    peak, rates = matrix_rate(), {}
    print(f"matrix products: {peak / 1e9:.0f} GFLOP/s")
    for name in [way] if way else list(ways):
        objective, kind = ways[name]()
        rates[name] = targets_a_second(kind(objective), 1, 1 + steps)
        share = useful_rate(objective, rates[name], tokens_a_target(objective)) / peak
        print(f"{name:17} {rates[name]:8.2f} targets a second, {share:.0%} of the rate of matrix products")
    if way:
        print(f"{way:17} {peak_memory_gib():8.2f} GiB at most")
    else:
        for one, other in (("stream", "stream-plain"), ("stream", "stream-plain-all"), ("answer", "answer-official")):
            print(f"{one} / {other}: {rates[one] / rates[other]:.2f}")


if __name__ == "__main__":
    typer.run(main)
