"""Drawing lists from a large catalogue: negatives alike, by popularity, and from pools of hard ones."""

import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer

from llara_core.sequences.negatives import draw_candidates, draw_from_pools

_DRAWS, _SIZE, _POOL = 20, 20, 100


def make_users(n_users: int, n_items: int, interactions: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the popularity [n] of items, which falls as their rank's power, and what each user has had by it."""
    generator = np.random.default_rng(0)
    shares = np.arange(1, n_items + 1) ** -0.9
    shares /= shares.sum()
    lengths = generator.lognormal(4.5, 0.9, n_users).clip(20, 3000).astype(int)
    drawn = np.searchsorted(np.cumsum(shares), generator.random(lengths.sum()))
    histories = np.split(np.minimum(drawn, n_items - 1) + 1, np.cumsum(lengths)[:-1])
    return generator.multinomial(interactions, shares), histories


def main(
    users: Annotated[int, typer.Argument(help="With 20 lists each.")] = 10_000,
    items: Annotated[int, typer.Argument(help="Of the catalogue.")] = 30_000,
    interactions: Annotated[int, typer.Argument(help="Of training.")] = 20_000_000,
) -> None:
    """Print the seconds of each way to draw."""
    popularity, histories = make_users(users, items, interactions)
    example = np.repeat(np.arange(users), _DRAWS)
    keys = (example, np.tile(np.arange(_DRAWS), users))
    targets = np.array([history[-1] for history in histories])[example]
    had = [histories[user] for user in example]
    without_popular = [np.argsort(-popularity)[: items // 10] + 1] * len(example)
    pools = np.random.default_rng(1).permuted(np.tile(np.arange(1, items + 1, dtype=np.int32), (200, 1)), axis=1)
    pools = pools[np.arange(users) % 200, :_POOL]

    def draw(excluded: list[np.ndarray], weights: np.ndarray | None) -> Callable[[], object]:
        return lambda: draw_candidates(0, keys, targets, excluded, items, _SIZE, weights)

    ways = {
        "alike": draw(had, None),
        "by popularity": draw(had, popularity + 1.0),
        "by popularity, for users who had the most popular tenth": draw(without_popular, popularity + 1.0),
        f"from pools of {_POOL}": lambda: draw_from_pools(0, keys, pools, example, _SIZE - 1),
    }
    print(f"{len(example)} lists of {_SIZE} among {items} items with {interactions} interactions")
    for name, way in ways.items():
        start = time.perf_counter()
        way()
        print(f"{name}: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    typer.run(main)
