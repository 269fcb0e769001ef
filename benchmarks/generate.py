"""Raw files of any size that look like the real ones: skewed popularity, tied timestamps, nasty titles and texts."""

import gzip
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

_NASTY_TITLES = (
    'Quote "{}" Unquote (1999)',
    "Comma, The {} (2001)",
    "Tab\\t{} &amp; Sons",
    "Ünïcödé™ {} ★ (1988)",
    "  {}   ",
    "Same Name (1990)",
    "It's {} (TV) (1977)",
)
_NASTY_TEXTS = (
    "plain words about {}",
    "it's \"{}\" 'quoted'",
    "back\\slash {} \\n newline\nand tab\t",
    "fake field u'product_id': u'{}', in the text",
    "ünïcödé ★ \u200b {} 日本語",
    "braces }} {{ [ ] , : {}",
)


def movielens_like(folder: Path, n_ratings: int, seed: int = 0) -> None:
    """Write ratings.csv and movies.csv as MovieLens-25M has them: about 154 ratings a user, Zipf-like popularity."""
    generator = np.random.default_rng(seed)
    n_users, n_items = max(10, n_ratings // 154), max(50, min(59_000, n_ratings // 20))
    users = np.sort(generator.integers(1, n_users + 1, n_ratings, dtype=np.int32))
    popularity = 1 / np.arange(1, n_items + 1) ** 0.9
    items = generator.permutation(n_items)[
        np.searchsorted(np.cumsum(popularity / popularity.sum())[:-1], generator.random(n_ratings))
    ]
    joined = generator.integers(789_652_000, 1_574_327_000, n_users + 1)
    # Ratings come in pages: several with the same second.
    times = joined[users] + 30 * generator.integers(0, 60, n_ratings)
    folder.mkdir(parents=True, exist_ok=True)
    columns = {
        "userId": users,
        "movieId": items + 1,
        "rating": generator.integers(1, 11, n_ratings) / 2,
        "timestamp": times,
    }
    pd.DataFrame(columns).to_csv(folder / "ratings.csv", index=False, chunksize=1 << 20)
    titles = [_NASTY_TITLES[i % 7].format(i) if i % 5 == 0 else f"Film {i} (19{i % 100:02d})" for i in range(n_items)]
    movies = {"movieId": np.arange(1, n_items + 1), "title": titles, "genres": "Drama"}
    pd.DataFrame(movies).to_csv(folder / "movies.csv", index=False)


def steam_like(folder: Path, n_reviews: int, seed: int = 0) -> None:
    """Write steam_reviews.json.gz and steam_games.json.gz with lines as Python 2 printed them."""
    generator = np.random.default_rng(seed)
    n_users, n_games = max(5, n_reviews // 8), max(30, n_reviews // 500)
    folder.mkdir(parents=True, exist_ok=True)
    users = (n_users * generator.random(n_reviews) ** 2).astype(int)
    games = (n_games * generator.random(n_reviews) ** 2).astype(int)
    days = np.datetime64("2011-01-01") + np.sort(generator.integers(0, 2500, n_reviews))
    with gzip.open(folder / "steam_reviews.json.gz", "wt", encoding="utf-8", compresslevel=1) as file:
        for i, (user, game, day) in enumerate(
            zip(users.tolist(), games.tolist(), days.astype(str).tolist(), strict=True)
        ):
            record = {
                "username": f"player'{user}" if user % 50 == 0 else f"pläyer {user}",
                "hours": round(float(user % 977) / 7, 1),
                "products": int(user % 300),
                "product_id": str(10 * game + 10),
                "page_order": i % 10,
                "date": day,
                "text": _NASTY_TEXTS[i % 6].format(i) * (1 + i % 4),
                "early_access": i % 9 == 0,
                "page": i % 100,
            }
            if i % 1000 == 999:
                del record[("username", "date", "hours")[i // 1000 % 3]]
            file.write(_python_2_literal(record) + "\n")
    with gzip.open(folder / "steam_games.json.gz", "wt", encoding="utf-8", compresslevel=1) as file:
        for game in range(n_games):
            title = _NASTY_TITLES[game % 7].format(game) if game % 5 == 0 else f"Game {game}®"
            record = {
                "publisher": "P",
                "genres": ["Action", "Indie's"],
                "app_name": title,
                "price": 4.99,
                "id": str(10 * game + 10),
            }
            file.write(_python_2_literal(record) + "\n")


def _python_2_literal(value: object) -> str:
    """Write a value as Python 2's repr did: texts with a u, everything beyond ASCII escaped."""
    match value:
        case str():
            return "u" + ascii(value)
        case dict():
            return "{" + ", ".join(f"{_python_2_literal(k)}: {_python_2_literal(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(_python_2_literal(entry) for entry in value) + "]"
    return repr(value)


def main(
    kind: Annotated[str, typer.Argument(help="movielens or steam")],
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
    rows: Annotated[int, typer.Argument(help="Ratings or reviews.")],
    seed: int = 0,
) -> None:
    """Generate raw files for benchmarks and tests."""
    {"movielens": movielens_like, "steam": steam_like}[kind](folder, rows, seed)


if __name__ == "__main__":
    typer.run(main)
