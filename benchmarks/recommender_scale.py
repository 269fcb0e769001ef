"""Memory and speed of losses and dropout beside their plain ways, and of a million sequences over 100,000 items."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, logsigmoid

from llara_core.params.loading import load_params
from llara_core.recommenders.dropout import BatchDropout
from llara_core.recommenders.losses.cross_entropy import full_cross_entropy
from llara_core.recommenders.losses.objective import Objective
from llara_core.recommenders.losses.sampled import generalized_bce, target_weight
from llara_core.recommenders.model import build_recommender
from llara_core.recommenders.training import Recipe, train_recommender
from llara_core.recommenders.windows import TrainingSequences
from llara_core.runtime.compute import peak_memory_gib, seed_torch

_DIM = 64


class _EnoughError(Exception):
    """Stops a training from within."""


def _alone(function: Callable[..., tuple[float, float]], *arguments: object) -> tuple[float, float]:
    """Seconds and peak memory of `function` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _loss(way: str, positions: int, n_items: int, chunk: int) -> tuple[float, float]:
    seed_torch(0)
    seconds = 0.0
    for size in (16, positions):  # a small one first: the kernels' own start isn't what we ask for
        states = torch.randn(size, _DIM, requires_grad=True)
        weights = torch.randn(n_items + 1, _DIM, requires_grad=True)
        targets = torch.randint(1, n_items + 1, (size,))
        started = time.perf_counter()
        if way == "plain":
            loss = cross_entropy(states @ weights[1:].T, targets - 1, reduction="sum")
        else:
            loss = full_cross_entropy(states, targets, weights, chunk)
        loss.backward()
        seconds = time.perf_counter() - started
    return seconds, peak_memory_gib()


def loss(positions: int = 4096, n_items: int = 100_000, chunk: int = 8192) -> None:
    """Cross-entropy of one batch, forwards and backwards: in chunks, and plainly."""
    seconds, peak = _alone(_loss, "ours", positions, n_items, chunk)
    plain_seconds, plain_peak = _alone(_loss, "plain", positions, n_items, chunk)
    print(f"{positions} positions × {n_items} items: in chunks {seconds:.2f} s, peak {peak:.2f} GiB;", end=" ")
    print(f"plain {plain_seconds:.2f} s, peak {plain_peak:.2f} GiB")
    print(f"ratio chunks / plain: time {seconds / plain_seconds:.2f}, memory {peak / plain_peak:.2f}")


def _plain_gbce(states: Tensor, targets: Tensor, weights: Tensor, negatives: Tensor, beta: float) -> Tensor:
    own = (states * weights[targets]).sum(dim=1)
    others = (states[:, None] * weights[negatives]).sum(dim=2)
    return -(beta * logsigmoid(own) + logsigmoid(-others).sum(dim=1)).sum() / (negatives.shape[1] + 1)


def _gbce(way: str, positions: int, n_items: int, negatives: int, repeats: int) -> tuple[float, float]:
    seed_torch(0)
    states = torch.randn(positions, _DIM, requires_grad=True)
    weights = torch.randn(n_items + 1, _DIM, requires_grad=True)
    targets = torch.randint(1, n_items + 1, (positions,))
    drawn = torch.randint(1, n_items + 1, (positions, negatives))
    beta = target_weight(negatives, n_items, 0.75)
    loss = _plain_gbce if way == "plain" else partial(generalized_bce, offset=0.0)
    started = time.perf_counter()
    for _ in range(repeats):
        loss(states, targets, weights, drawn, beta=beta).backward()
    return (time.perf_counter() - started) / repeats, peak_memory_gib()


def gbce(positions: int = 1024, n_items: int = 1682, negatives: int = 256, repeats: int = 10) -> None:
    """One batch of gBCE, forwards and backwards: as the pipeline does it, and by fetching the vector of every draw."""
    seconds, peak = _alone(_gbce, "ours", positions, n_items, negatives, repeats)
    plain_seconds, plain_peak = _alone(_gbce, "plain", positions, n_items, negatives, repeats)
    print(f"{positions} positions × {negatives} of {n_items} items: {seconds:.3f} s, peak {peak:.2f} GiB;", end=" ")
    print(f"plain {plain_seconds:.3f} s, peak {plain_peak:.2f} GiB")
    print(f"ratio ours / plain: time {seconds / plain_seconds:.2f}, memory {peak / plain_peak:.2f}")


def dropout(rows: int = 20, length: int = 50, p: float = 0.4, repeats: int = 500) -> None:
    """Dropout of a batch's states, forwards and backwards, beside torch's."""
    values = torch.randn(rows, length, _DIM, requires_grad=True)
    seconds = {"ours": 0.0, "plain": 0.0}
    for _ in range(repeats):
        for way, layer in (("ours", BatchDropout(p)), ("plain", nn.Dropout(p))):
            started = time.perf_counter()
            layer(values).sum().backward()
            seconds[way] += time.perf_counter() - started
    ours, plain = (1e6 * total / repeats for total in seconds.values())
    print(f"{rows} × {length} × {_DIM} values: {ours:.0f} µs, plain {plain:.0f} µs")
    print(f"ratio ours / plain: time {ours / plain:.2f}")


def _train(n_sequences: int, n_items: int, steps: int, loss_name: str) -> tuple[float, float]:
    generator = np.random.default_rng(0)
    ends = np.cumsum(generator.integers(10, 90, size=n_sequences))
    items = generator.zipf(1.2, size=int(ends[-1])).clip(max=n_items).astype(np.int32)
    sequences = TrainingSequences(items, np.concatenate([[0], ends[:-1]]), ends, n_items)
    params = load_params(Path("params.yaml"))
    recipe = params.selected_recommender
    pretrain = params.pretrain.model_copy(update={"loss": params.pretrain.loss.model_copy(update={"name": loss_name})})
    seed_torch(params.seed)
    objective = Objective(
        build_recommender(recipe, n_items, params.split.history_length),
        pretrain.loss,
        np.bincount(items, minlength=n_items + 1),
    )
    done, started = 0, 0.0
    original = objective.draw

    def count(targets: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        nonlocal done, started
        started = started or time.perf_counter()
        if done == steps:
            raise _EnoughError(time.perf_counter() - started)
        done += 1
        return original(targets, rng)

    objective.draw = count  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        try:
            train_recommender(objective, sequences, lambda _: 0.0, Recipe(recipe, pretrain, params.seed), Path(folder))
        except _EnoughError as enough:
            return enough.args[0] / steps, peak_memory_gib()
    raise SystemExit("the data ended before the steps did")


def million(
    n_sequences: int = 1_000_000,
    n_items: int = 100_000,
    steps: int = 30,
    loss_name: Annotated[str, typer.Option(help="pretrain.loss.name")] = "cross_entropy",
) -> None:
    """Some steps of an epoch over a million sequences: seconds a step, and peak memory with data and optimiser."""
    seconds, peak = _alone(_train, n_sequences, n_items, steps, loss_name)
    print(f"{n_sequences} sequences × {n_items} items, {loss_name}: {seconds:.3f} s a step, peak {peak:.2f} GiB")


if __name__ == "__main__":
    app = typer.Typer(help=__doc__)
    app.command()(loss)
    app.command()(gbce)
    app.command()(dropout)
    app.command()(million)
    app()
