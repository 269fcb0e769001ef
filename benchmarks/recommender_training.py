"""Seconds until a recommender reaches a quality, beside the plain way; and how an epoch grows with the data.

The plain way is the official code's: every position becomes one window of its latest items, padded to ten; 256 windows
make a batch; each is encoded for the sake of its last state alone, and the next item is the only target. Encoder, loss
and optimiser are the same; dropout is torch's own, weights aren't averaged, and the learning rate is the usual 1e-3
unless --plain-lr says otherwise. Run `dvc repro preprocess` first: both ways train on data/processed.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import nn
from torch.nn.functional import cross_entropy

from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.params.recommenders import Recommender
from llara_core.recommenders.dropout import BatchDropout
from llara_core.recommenders.losses.objective import Objective
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from llara_core.recommenders.ranking import neural_scorer, score_candidates
from llara_core.recommenders.training import Recipe, train_recommender
from llara_core.recommenders.windows import TrainingSequences
from llara_core.runtime.compute import seed_torch
from llara_core.runtime.paths import PROCESSED
from llara_core.sequences.windows import all_positions, histories, targets, training_bounds
from llara_core.tables.candidates import target_ranks
from llara_core.tables.processed import read_processed
from llara_core.tables.sequences import Sequences

_WINDOW, _BATCH = 10, 256
_NEGATIVES = 19


class _ReachedError(Exception):
    """The quality was reached: stops a training from within."""


@dataclass
class _Race:
    """A clock that stands still while quality is measured, and the quality that ends the race."""

    quality: Callable[[SequentialRecommender], float]
    goal: float
    started: float = 0.0
    paused: float = 0.0
    best: float = 0.0

    def check(self, model: SequentialRecommender) -> float:
        before = time.perf_counter()
        quality = self.quality(model.eval())
        self.best = max(self.best, quality)
        if quality >= self.goal:
            raise _ReachedError(before - self.started - self.paused)
        self.paused += time.perf_counter() - before
        return quality

    def run(self, train: Callable[["_Race"], None]) -> float | None:
        """Seconds of training to the goal, or None if `train` ends before."""
        self.started = time.perf_counter()
        try:
            train(self)
        except _ReachedError as reached:
            return float(reached.args[0])
        return None


def _hit_ratio(sequences: Sequences, n_items: int, history: int) -> Callable[[SequentialRecommender], float]:
    """HR@1 over every position of the validation users, against uniform negatives outside the shown history."""
    examples = all_positions(sequences, "validation", 3)
    shown, goals = histories(sequences, examples, history), targets(sequences, examples)
    generator = np.random.default_rng(0)
    sets = np.stack(
        [
            np.append(
                goal, generator.choice(np.setdiff1d(np.arange(1, n_items + 1), [*row, goal]), _NEGATIVES, replace=False)
            )
            for row, goal in zip(shown, goals, strict=True)
        ]
    )
    order, first = np.arange(len(sets)), np.zeros(len(sets), dtype=np.int64)

    def hit_ratio(model: SequentialRecommender) -> float:
        scores = score_candidates(neural_scorer(model), shown, order, sets)
        return float((target_ranks(scores, first) == 1).mean())

    return hit_ratio


def _build(recipe: Recommender, n_items: int, params: Params) -> SequentialRecommender:
    seed_torch(params.seed)
    return build_recommender(recipe, n_items, params.split.history_length)


def _train_ours(params: Params, training: TrainingSequences, race: _Race) -> None:
    recipe = params.selected_recommender
    model = _build(recipe, training.n_items, params)
    objective = Objective(model, params.pretrain.loss, np.zeros(training.n_items + 1))
    with tempfile.TemporaryDirectory() as folder:
        train_recommender(objective, training, race.check, Recipe(recipe, params.pretrain, params.seed), Path(folder))


def _train_plainly(params: Params, training: TrainingSequences, race: _Race, lr: float, max_epochs: int) -> None:
    recipe = params.selected_recommender
    model = _build(recipe.model_copy(update={"window": _WINDOW, "overlap": 0}), training.n_items, params)
    _use_torch_dropout(model)
    windows, goals = [], []
    for start, end in zip(training.starts, training.ends, strict=True):
        for position in range(start + 1, end):
            shown = training.item_ids[max(start, position - _WINDOW) : position]
            windows.append(np.pad(shown, (0, _WINDOW - len(shown))))
            goals.append(training.item_ids[position])
    inputs, labels = torch.from_numpy(np.stack(windows)).long(), torch.from_numpy(np.array(goals)).long()
    last = (inputs > 0).sum(dim=1) - 1
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=recipe.weight_decay, fused=True)
    for _ in range(max_epochs):
        for number, rows in enumerate(torch.randperm(len(labels)).split(_BATCH)):
            if number % 133 == 0:  # twice an epoch
                race.check(model)
                model.train()
            states = model(inputs[rows])[torch.arange(len(rows)), last[rows]]
            loss = cross_entropy(states @ model.output_weights[1:].T, labels[rows] - 1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _use_torch_dropout(model: nn.Module) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BatchDropout):
                setattr(parent, name, nn.Dropout(child.p))


def race(
    goal: Annotated[float, typer.Option(help="HR@1 on validation that ends a training.")] = 0.47,
    plain_lr: Annotated[float, typer.Option(help="Learning rate of the plain way.")] = 1.0e-3,
    plain_epochs: Annotated[int, typer.Option(help="Epochs after which the plain way gives up.")] = 40,
    seeds: Annotated[int, typer.Option(help="Repeat with so many seeds.")] = 1,
) -> None:
    """Print seconds to the goal for both ways, and their ratio."""
    tables = read_processed(PROCESSED)
    items, sequences = tables.items, tables.sequences
    training = TrainingSequences(sequences.item_ids, *training_bounds(sequences), n_items=len(items))
    shipped = load_params(Path("params.yaml"))
    quality = _hit_ratio(sequences, len(items), shipped.split.history_length)
    for seed in range(seeds):
        params = shipped.model_copy(update={"seed": seed})
        ours, plain = _Race(quality, goal), _Race(quality, goal)
        seconds = ours.run(partial(_train_ours, params, training))
        plain_seconds = plain.run(partial(_train_plainly, params, training, lr=plain_lr, max_epochs=plain_epochs))
        for name, taken, clock in (("ours", seconds, ours), ("plain", plain_seconds, plain)):
            end = "" if taken is not None else f" without reaching it (best {clock.best:.3f})"
            shown = taken if taken is not None else time.perf_counter() - clock.started - clock.paused
            print(f"seed {seed}, {name:5s}: {shown:6.1f} s to HR@1 {goal} on validation{end}")
        if seconds is not None and plain_seconds is not None:
            print(f"seed {seed}, ratio ours / plain: {seconds / plain_seconds:.3f}")


def scaling(factors: Annotated[list[int] | None, typer.Argument(help="Sizes, in multiples.")] = None) -> None:
    """Print seconds an epoch of 1×, 2×, 4× and 8× the interactions of MovieLens-100K, generated.

    Smaller sizes are measured over as many epochs as make the largest, so that all get as much of the machine's noise.
    """
    params = load_params(Path("params.yaml"))
    sizes = factors or [1, 2, 4, 8]
    first = 0.0
    for factor in sizes:
        generator = np.random.default_rng(0)
        ends = np.cumsum(generator.integers(20, 160, size=754 * factor))
        items = np.minimum(generator.zipf(1.3, size=int(ends[-1])), 1682)
        training = TrainingSequences(items, np.concatenate([[0], ends[:-1]]), ends, n_items=1682)
        seconds = _epoch_seconds(params, training, epochs=max(1, max(sizes) // factor))
        per_interaction = seconds / len(items)
        first = first or per_interaction
        print(
            f"{factor}×: {len(items):7d} interactions, {seconds:6.2f} s an epoch, "
            f"{1e6 * per_interaction:.1f} µs an interaction, {per_interaction / first:.2f} of the first's"
        )


def _epoch_seconds(params: Params, training: TrainingSequences, epochs: int) -> float:
    recipe = params.selected_recommender
    model = _build(recipe, training.n_items, params)
    objective = Objective(model, params.pretrain.loss, np.zeros(training.n_items + 1))
    pretrain = params.pretrain.model_copy(update={"max_epochs": epochs, "patience": epochs})
    with tempfile.TemporaryDirectory() as folder:
        progress = train_recommender(
            objective, training, lambda _: 0.0, Recipe(recipe, pretrain, params.seed), Path(folder)
        )
    return progress.training_seconds / epochs


if __name__ == "__main__":
    app = typer.Typer(help=__doc__)
    app.command()(race)
    app.command()(scaling)
    app()
