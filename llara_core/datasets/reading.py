"""Which reader reads which dataset."""

from pathlib import Path

from llara_core.datasets.amazon import read_amazon
from llara_core.datasets.lastfm import read_lastfm
from llara_core.datasets.llara_release import read_llara_release
from llara_core.datasets.log import RawLog
from llara_core.datasets.movielens_1m import read_movielens_1m
from llara_core.datasets.movielens_100k import read_movielens_100k
from llara_core.datasets.movielens_csv import read_movielens_csv
from llara_core.datasets.own_table import read_own_table
from llara_core.datasets.steam import read_steam
from llara_core.params.datasets import AmazonCategory, OwnData, PublicDataset

_READERS = {
    "ml-100k": read_movielens_100k,
    "ml-1m": read_movielens_1m,
    "ml-20m": read_movielens_csv,
    "ml-25m": read_movielens_csv,
    "ml-32m": read_movielens_csv,
    "steam": read_steam,
    "lastfm": read_lastfm,
    "llara_release": read_llara_release,
    "llara_release_movielens": read_llara_release,
}


def read_raw(folder: Path, dataset: PublicDataset | AmazonCategory | OwnData) -> RawLog:
    """Read the dataset's raw files in `folder`.

    Raises:
        DataError: they are malformed.
    """
    if isinstance(dataset, OwnData):
        return read_own_table(folder, dataset)
    if isinstance(dataset, AmazonCategory):
        return read_amazon(folder, dataset.category)
    return _READERS[dataset.source](folder)
