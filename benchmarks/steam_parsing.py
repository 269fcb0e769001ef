"""How much faster Steam lines are parsed than by ast.literal_eval, one process against one and against all cores."""

import ast
import gzip
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.generate import steam_like
from llara_core.datasets.gz_lines import map_blocks
from llara_core.datasets.python_literals import Fields, parse_line

FIELDS = ("username", "product_id", "date")


def parse_block(block: bytes) -> list[Fields | None]:
    """Parse a block's lines."""
    return [parse_line(line, FIELDS) for line in block.decode().split("\n")]


def main(rows: Annotated[int, typer.Argument(help="Generated reviews.")] = 200_000) -> None:
    """Print seconds and ratios; stop if the records differ."""
    with tempfile.TemporaryDirectory() as name:
        steam_like(Path(name), rows)
        path = Path(name) / "steam_reviews.json.gz"
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines = file.read().splitlines()
        start = time.perf_counter()
        slow = [tuple(ast.literal_eval(line).get(field) for field in FIELDS) for line in lines]
        plain = time.perf_counter() - start
        start = time.perf_counter()
        fast = list(map(partial(parse_line, fields=FIELDS), lines))
        single = time.perf_counter() - start
        start = time.perf_counter()
        parallel = [record for block in map_blocks(path, parse_block) for record in block]
        all_cores = time.perf_counter() - start
    if not slow == fast == parallel:
        raise SystemExit("the records differ")
    print(f"{rows} lines, identical records")
    print(f"ast.literal_eval, one process:      {plain:6.2f} s")
    print(f"ours, one process:                  {single:6.2f} s, {plain / single:.1f} times as fast")
    print(f"ours, all cores, with gz and transfer: {all_cores:.2f} s, {plain / all_cores:.1f} times as fast")


if __name__ == "__main__":
    typer.run(main)
