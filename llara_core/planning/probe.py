"""A few steps of a random model of the same shape: tokens a second of training on this machine, without any download.

The layers of a language model are alike, and so where not all of them fit into half of the free memory, as many as do
are run, and two, and the rest is taken to cost what each between them did.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from llara_core.errors import ModelError
from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.hybrid.attention import choose_attention
from llara_core.hybrid.batching import IGNORED
from llara_core.hybrid.families import keep_lowest
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.nf4 import quantise, require_quantizer
from llara_core.params.params import Params
from llara_core.planning.finding import Found
from llara_core.planning.memory import estimate_memory, read_shape
from llara_core.planning.workload import Workload
from llara_core.runtime.compute import autocast, choose_device, seed_torch

_FEWEST = 2
_ITEMS = 1000


@dataclass(frozen=True)
class Probed:
    """What was measured.

    Attributes:
        rate: tokens a second of training.
        layers: that were run; fewer than the model's where not all of them fit.
        micro_batches: that were measured at each depth.
    """

    rate: float
    layers: int
    micro_batches: int


def probe(params: Params, llm: Found, workload: Workload, free: int, micro_batches: int = 3) -> Probed:
    """Train on random tokens, in micro-batches of the recipe's size and mean length.

    Args:
        params: all of params.yaml.
        llm: the language model's shape.
        workload: what will be read.
        free: bytes that nobody uses now.
        micro_batches: to measure, after one that warms up; the median counts.

    Raises:
        ModelError: not even two layers fit into half of the free memory, or bitsandbytes is wanted and missing.
    """
    require_quantizer(params.selected_llm)
    wanted = read_shape(params, llm.shape).layers
    layers = _depth(params, llm, workload, free, wanted)
    seconds = _seconds(params, llm, workload, layers, micro_batches)
    if layers < wanted:
        fewer = _seconds(params, llm, workload, 1, micro_batches)
        seconds += (wanted - layers) * max(seconds - fewer, 0.0) / (layers - 1)
    return Probed(_tokens(workload) / seconds, layers, micro_batches)


def _tokens(workload: Workload) -> int:
    return workload.rows * round(workload.lengths.padded)


def _depth(params: Params, llm: Found, workload: Workload, free: int, wanted: int) -> int:
    """Return the most layers of which a step fits into half of the free memory."""
    device = choose_device().type
    needed = 0
    for layers in sorted(
        {wanted, *(depth for depth in range(_FEWEST, wanted) if depth < 2 * _FEWEST or depth % 4 == 0)}, reverse=True
    ):
        needed = estimate_memory(params, llm.shape.lowest(layers), workload, device).peak
        if needed <= free / 2:
            return layers
    raise ModelError(
        f"--probe: {_FEWEST} layers of {llm.name} must fit into half of the free memory, {free / 2**31:.1f} GiB, got "
        f"{needed / 2**30:.1f}; lower objectives.*.micro_batch_size, or give a rate with --rate"
    )


def _seconds(params: Params, llm: Found, workload: Workload, layers: int, micro_batches: int) -> float:
    """Return the median of what forward and backward of a micro-batch take."""
    hybrid = _random_hybrid(params, llm, layers)
    step = _micro_batch(params, hybrid, workload)
    times = []
    for _ in range(micro_batches + 1):
        started = time.perf_counter()
        step()
        if choose_device().type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _random_hybrid(params: Params, llm: Found, layers: int) -> HybridCausalLM:
    seed_torch(params.seed)
    fields = {name: value for name, value in llm.config.items() if name not in ("model_type", "num_hidden_layers")}
    ends = {name: 0 for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    kind = str(llm.config["model_type"])
    config = AutoConfig.for_model(kind, **{**fields, **ends, "num_hidden_layers": llm.shape.layers})
    keep_lowest(config, layers)
    model = AutoModelForCausalLM.from_config(
        config,
        dtype=getattr(torch, params.selected_llm.dtype),
        attn_implementation=choose_attention(params.selected_llm, config, choose_device(), may_stand_in=True),
    )
    if params.selected_llm.quantization is not None:
        quantise(model)
    model = model.requires_grad_(requires_grad=False).to(choose_device())
    adapted = attach_lora(model, params.lora, params.selected_llm)
    if params.train.gradient_checkpointing:
        adapted.get_base_model().gradient_checkpointing_enable()
    vectors = np.random.default_rng(params.seed).standard_normal((_ITEMS + 1, params.selected_recommender.dim))
    base = adapted.get_base_model()
    return build_hybrid(base, vectors.astype(np.float32), params.projector, params.fusion).train()


def _micro_batch(params: Params, hybrid: HybridCausalLM, workload: Workload) -> Callable[[], None]:
    """Return a step of random tokens in which as many are slots, and as many are answers, as in training."""
    rows, width, lengths = workload.rows, round(workload.lengths.padded), workload.lengths
    vocabulary = hybrid.llm.get_input_embeddings().weight.shape[0]
    draw = torch.Generator().manual_seed(params.seed)
    ids = torch.randint(vocabulary, (rows, width), generator=draw)
    mask = torch.zeros(rows, width, dtype=torch.bool)
    mask[:, : min(lengths.slots, width)] = True
    items = torch.randint(1, _ITEMS + 1, (int(mask.sum()),), generator=draw)
    labels = torch.full((rows, width), IGNORED)
    labels[:, width - max(1, round(lengths.answer)) :] = 0
    batch: dict[str, Any] = {"input_ids": ids, "slot_mask": mask, "slot_items": items}
    batch = {name: tensor.to(hybrid.device) for name, tensor in batch.items()}

    def step() -> None:
        with autocast(params.train.precision):
            if params.train.objective.name == "answer":
                loss = hybrid(**batch, labels=labels.to(hybrid.device))
            else:
                loss = hybrid.states(**batch).float().mean()
        loss.backward()

    return step
