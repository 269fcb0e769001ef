"""Which reader reads which dataset."""

from collections.abc import Callable
from pathlib import Path

from llara_core.datasets.log import RawLog
from llara_core.datasets.movielens import read_movielens_100k

READERS: dict[str, Callable[[Path], RawLog]] = {"ml-100k": read_movielens_100k}
