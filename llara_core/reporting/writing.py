"""The report's folder: written whole or not at all, and never in place of what somebody else has put there."""

import json
from collections.abc import Iterator
from pathlib import Path

from llara_core.errors import ArtifactError
from llara_core.plotting.inline import png
from llara_core.reporting.latex import booktabs
from llara_core.reporting.page import GENERATOR, Contents, csv_files, metadata, render
from llara_core.runtime.files import atomic_directory, write_json

_PAGE, _ABOUT, _FILES = "index.html", "report.json", "files"


def require_own_folder(folder: Path) -> None:
    """Refuse a place where something else than a report is.

    Raises:
        ArtifactError: naming what was found.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    page = folder / _PAGE
    if not page.is_file() or f'content="{GENERATOR}"' not in page.read_text(encoding="utf-8", errors="replace"):
        raise ArtifactError(
            f"{folder}: must be a folder that this command has written, or none, got something else; remove it, or "
            f"choose another by --out"
        )
    written = {_ABOUT, *_written(folder / _ABOUT)}
    there = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    if others := sorted(name for path in there if (name := path.relative_to(folder).as_posix()) not in written):
        raise ArtifactError(f"{folder / others[0]}: must not be there, for no report wrote it; move it away")


def _written(about: Path) -> list[str]:
    """Names of the files that a report lists as its own."""
    try:
        return list(map(str, json.loads(about.read_text(encoding="utf-8"))[_FILES]))
    except (OSError, ValueError, KeyError, TypeError):
        return []


def write_report(folder: Path, contents: Contents, *, pictures: bool, latex: bool) -> list[Path]:
    """Write the page with its CSVs in place of the last report, and return what was written.

    Args:
        folder: of the report.
        contents: what it shows.
        pictures: also every plot as PNG.
        latex: also each section's first table.

    Raises:
        ArtifactError: the folder is somebody else's.
    """
    require_own_folder(folder)
    files = dict(_files(contents, pictures=pictures, latex=latex))  # all that can fail comes before what is written
    with atomic_directory(folder) as temporary:
        for name, content in files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
        write_json(temporary / _ABOUT, {**metadata(contents), _FILES: sorted(files)})
    return [folder / name for name in files]


def _files(contents: Contents, *, pictures: bool, latex: bool) -> Iterator[tuple[str, bytes]]:
    yield _PAGE, render(contents).encode()
    for name, text in csv_files(contents).items():
        yield name, text.encode()
    for section in contents.sections:
        if pictures:
            for figure in section.figures:
                yield f"{section.key}/{figure.key}.png", png(figure)
        if latex:
            table = section.answer.tables[0]
            yield f"{section.key}/{table.key}.tex", booktabs(table, f"{section.key}-{table.key}").encode()
