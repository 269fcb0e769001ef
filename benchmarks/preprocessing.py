"""Preprocessing MovieLens-like CSV of growing size: seconds, seconds per million ratings, and peak memory."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.generate import movielens_like

_ROOT = Path(__file__).resolve().parents[1]
_MEASURED = """
import json, re, sys, time
sys.path.insert(0, sys.argv[1])
from stages.preprocess import preprocess
start = time.perf_counter()
preprocess()
seconds = time.perf_counter() - start
# Not getrusage: its ru_maxrss is inherited from the process that generated the data.
kibibytes = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(json.dumps([seconds, kibibytes / 2**20]))
"""


def measure(folder: Path) -> tuple[float, float]:
    """Return seconds and peak GiB of stage preprocess in `folder`, run by a process of its own."""
    command = [sys.executable, "-c", _MEASURED, str(_ROOT)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603
    seconds, gibibytes = json.loads(result.stdout.splitlines()[-1])
    return seconds, gibibytes


def main(
    millions: Annotated[list[int], typer.Argument(help="Sizes in millions of ratings.")] = [1, 5, 25],  # noqa: B006
) -> None:
    """Generate, preprocess with the parameters of ml-25m, and print one line per size."""
    with tempfile.TemporaryDirectory() as name:
        for size in millions:
            folder = Path(name) / str(size)
            movielens_like(folder / "data" / "raw", size * 1_000_000)
            params = (_ROOT / "params.yaml").read_text().replace("dataset: {name: ml-100k}", "dataset: {name: ml-25m}")
            (folder / "params.yaml").write_text(params)
            seconds, gibibytes = measure(folder)
            print(f"{size:3d} million: {seconds:6.1f} s, {seconds / size:5.2f} s per million, peak {gibibytes:.2f} GiB")
            shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
