"""Paired differences on every position of the test users: python -m benchmarks.all_positions NAME=FOLDER ….

Each FOLDER is a data folder of `dvc repro` (of an experiment, say): processed, recommender, embeddings and adapter of a
`stream`. All must hold the same tables. 95 users and one position each tell little; they have some 7,700 positions, of
which each is asked about with many lists. Users are the clusters of all intervals.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from llara_core.evaluation.blending import blend, choose_weight
from llara_core.evaluation.judging import Artifacts, build_asked, read_artifacts
from llara_core.evaluation.statistics import difference_with_interval, mean_with_interval
from llara_core.objectives.numbers import require_finite
from llara_core.objectives.stream.respondent import StreamRespondent
from llara_core.params.loading import load_params
from llara_core.recommenders.ranking import neural_scorer
from llara_core.runtime.compute import choose_device
from llara_core.sequences.negatives import draw_candidates, items_never_negative
from llara_core.sequences.windows import all_positions, histories, targets
from llara_core.tables.sequences import SPLITS

_LISTS = 0x416C6C50  # "AllP": keeps these lists apart from the stored ones
_CHUNK = 2048


@dataclass(frozen=True)
class Lists:
    """E positions with D lists of C candidates each.

    Attributes:
        users: [E] row of the user.
        histories: [E, L] padded on the left.
        candidates: [E, D, C].
        target_indices: [E, D].
    """

    users: np.ndarray
    histories: np.ndarray
    candidates: np.ndarray
    target_indices: np.ndarray


def draw_lists(
    artifacts: Artifacts, split: str, rule: str, size: int, min_history: int, draws: int, limit: int
) -> Lists:
    """Draw lists for up to `limit` positions of a split, evenly spread."""
    sequences, length = artifacts.tables.sequences, artifacts.manifest.history_length
    known = all_positions(sequences, split, min_history)
    chosen = np.unique(np.linspace(0, len(known) - 1, min(limit, len(known))).round().astype(int))
    asked = type(known)(known.rows[chosen], known.positions[chosen])
    goals = targets(sequences, asked)
    excluded = items_never_negative(sequences, asked, split, rule, length)
    every = np.repeat(np.arange(len(chosen)), draws)
    draw = np.tile(np.arange(draws), len(chosen))
    keys = (np.full(len(every), SPLITS.index(split)), np.full(len(every), _LISTS), chosen[every], draw)
    rows = draw_candidates(0, keys, goals[every], [excluded[i] for i in every], len(artifacts.tables.items), size)
    rows = rows.reshape(len(chosen), draws, size)
    return Lists(asked.rows, histories(sequences, asked, length), rows, (rows == goals[:, None, None]).argmax(axis=2))


def same_lists(one: Lists, other: Lists) -> bool:
    """Whether two variants are asked about the same positions, with the same histories and candidates."""
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Lists))


def list_scores(score: Callable[[np.ndarray], Tensor], lists: Lists) -> np.ndarray:
    """[E, D, C] scores of the candidates; `score` maps histories [E, L] to scores [E, n + 1]."""
    found = np.empty(lists.candidates.shape)
    for start in range(0, len(lists.histories), _CHUNK):
        part = slice(start, start + _CHUNK)
        scores = score(lists.histories[part]).cpu()
        require_finite(scores[:, 1:])
        shape = lists.candidates[part].shape
        found[part] = np.take_along_axis(scores.numpy(), lists.candidates[part].reshape(shape[0], -1), axis=1).reshape(
            shape
        )
    return found


def hits(scores: np.ndarray, lists: Lists) -> np.ndarray:
    """[E] share of a position's lists whose target has the best score; ties count against it."""
    own = np.take_along_axis(scores, lists.target_indices[..., None], axis=2)
    return ((scores >= own).sum(axis=2) == 1).mean(axis=1)


def main(
    variants: Annotated[list[str], typer.Argument(help="NAME=FOLDER of each variant.")],
    draws: Annotated[int, typer.Option(help="Lists of each position.")] = 20,
    shuffled: Annotated[bool, typer.Option(help="Also ask with item vectors shuffled between items.")] = True,
) -> None:
    """Print HitRatio@1 of each model, and differences with their paired 95 % intervals."""
    params = load_params(Path("params.yaml"))
    found: dict[str, np.ndarray] = {}
    names: list[str] = []
    users = np.empty(0)
    asked: Lists | None = None
    for variant in variants:
        name, _, folder = variant.partition("=")
        parts = [
            Path(folder, part) for part in ("processed", "recommender", "embeddings/item_embeddings.parquet", "adapter")
        ]
        artifacts = read_artifacts(*parts)
        respondent = build_asked(params.eval, artifacts)
        if not isinstance(respondent, StreamRespondent):
            raise typer.BadParameter(f"{folder} must hold an adapter of objective stream")
        how = (params.candidates.negatives, params.candidates.size, params.split.min_history)
        test = draw_lists(artifacts, "test", *how, draws, 10**9)
        asked = asked or test
        if name in names or not same_lists(test, asked):
            raise typer.BadParameter(f"{variant} must have a name of its own, and the lists of the first variant")
        names.append(name)
        validation = draw_lists(artifacts, "validation", *how, draws, 2000)
        theirs = neural_scorer(artifacts.recommender.to(choose_device()))
        ours, other = (list_scores(score, test) for score in (respondent.score, theirs))
        flat = [
            list_scores(score, validation).reshape(-1, params.candidates.size) for score in (respondent.score, theirs)
        ]
        weight = choose_weight(flat[0], flat[1], validation.target_indices.reshape(-1))
        shape, users = ours.shape, test.users
        both = blend(ours.reshape(-1, shape[2]), other.reshape(-1, shape[2]), weight).reshape(shape)
        found[f"{name} llara"], found[f"{name} recommender"] = hits(ours, test), hits(other, test)
        found[f"{name} together ({weight:.2f})"] = hits(both, test)
        vectors = respondent.model.hybrid.item_embeddings
        if shuffled and respondent.mode != "text":
            order = 1 + torch.randperm(len(vectors) - 1, generator=torch.Generator().manual_seed(0))
            vectors[1:] = vectors[order].clone()
            found[f"{name} llara, vectors shuffled"] = hits(list_scores(respondent.score, test), test)
    print(f"{len(users)} positions of {len(np.unique(users))} users, {draws} lists each")
    for name, values in found.items():
        print("{:40} {:.4f} [{:.4f}, {:.4f}]".format(name, *mean_with_interval(values, users)))
    for i, first in enumerate(found):
        for second in list(found)[:i]:
            difference = difference_with_interval(found[first], found[second], users)
            print("{} − {}: {:+.4f} [{:+.4f}, {:+.4f}]".format(first, second, *difference))


if __name__ == "__main__":
    typer.run(main)
