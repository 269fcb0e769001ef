"""Downloading over HTTPS with retries and a progress bar."""

import time
from pathlib import Path

import requests
from tqdm import tqdm

from llara_core.errors import SourceError
from llara_core.runtime.logs import LOGGER

_ATTEMPTS = 3
_TIMEOUT_SECONDS = (10, 60)
_BLOCK = 1 << 16


def download(url: str, destination: Path) -> None:
    """Stream `url` into `destination`.

    Raises:
        SourceError: after three failed attempts, or at once when the server refuses.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _download_once(url, destination)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            if attempt == _ATTEMPTS:
                raise SourceError(f"{url}: {_root_cause(error)} ({_ATTEMPTS} attempts)") from error
            LOGGER.info("%s: attempt %d of %d failed, retrying", url, attempt, _ATTEMPTS)
            time.sleep(2 ** (attempt - 1))
        except requests.RequestException as error:
            raise SourceError(f"{url}: {_root_cause(error)}") from error
        else:
            return


def _download_once(url: str, destination: Path) -> None:
    with requests.get(url, stream=True, timeout=_TIMEOUT_SECONDS) as response, destination.open("wb") as file:
        response.raise_for_status()
        size = int(response.headers.get("Content-Length", 0))
        with tqdm(total=size or None, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[1]) as bar:
            for block in response.iter_content(_BLOCK):
                file.write(block)
                bar.update(len(block))
    if size and destination.stat().st_size != size:
        raise requests.ConnectionError(f"got {destination.stat().st_size} of {size} bytes")


def _root_cause(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
