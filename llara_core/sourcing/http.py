"""Downloading over HTTPS with retries and a progress bar."""

import time
from pathlib import Path

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from llara_core.errors import SourceError
from llara_core.runtime.logs import LOGGER

_ATTEMPTS = 3
_TIMEOUT_SECONDS = (10, 60)
_BLOCK = 1 << 16
_PAUSE_SECONDS = 1


def download(url: str, destination: Path, most_bytes: int) -> None:
    """Stream the bytes that the server holds under `url` into `destination`.

    Raises:
        SourceError: after three failed attempts, or at once when the server refuses or has more than `most_bytes`.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _download_once(url, destination, most_bytes)
        except (requests.ConnectionError, requests.Timeout, HTTPError) as error:
            if attempt == _ATTEMPTS:
                raise SourceError(f"{url}: {_root_cause(error)} ({_ATTEMPTS} attempts)") from error
            LOGGER.info("%s: attempt %d of %d failed, retrying", url, attempt, _ATTEMPTS)
            time.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
        except requests.RequestException as error:
            raise SourceError(f"{url}: {_root_cause(error)}") from error
        else:
            return


def _download_once(url: str, destination: Path, most_bytes: int) -> None:
    as_it_is = {"Accept-Encoding": "identity"}
    with requests.get(url, headers=as_it_is, stream=True, timeout=_TIMEOUT_SECONDS) as response:
        response.raise_for_status()
        _check_answer(url, response)
        length = response.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else None
        received = 0
        with (
            destination.open("wb") as file,
            tqdm(total=size, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[1]) as bar,
        ):
            # Not iter_content, which unpacks what is sent with Content-Encoding: gzip, as servers send *.json.gz.
            for block in response.raw.stream(_BLOCK, decode_content=False):
                received += len(block)
                if max(received, size or 0) > most_bytes:
                    raise SourceError(
                        f"{url}: must have at most {most_bytes} bytes, got {max(received, size or 0)}: not read further"
                    )
                file.write(block)
                bar.update(len(block))
    if size is not None and received != size:
        raise requests.ConnectionError(f"got {received} of {size} bytes")


def _check_answer(url: str, response: requests.Response) -> None:
    for hop in (*response.history, response) if url.startswith("https:") else ():
        if not hop.url.startswith("https:"):
            raise SourceError(f"{url}: must stay with https, was led to {hop.url}")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity" and not url.endswith(".gz"):
        raise SourceError(f"{url}: must be sent as it is, got Content-Encoding {encoding}")


def _root_cause(error: BaseException) -> str:
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
