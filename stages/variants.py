"""Finding the predictions of what the command line calls a variant: folders, the workspace, or DVC revisions."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llara_core.errors import ArtifactError, ParamsError
from llara_core.tables.predictions import LISTS, Answered, read_predictions
from stages.paths import PREDICTIONS

WORKSPACE = "workspace"


@dataclass(frozen=True)
class Named:
    """A variant as the user named it: a model of one run, or of several that differ in their seed."""

    name: str
    sources: tuple[str, ...]
    model: str


def parse_variants(arguments: Sequence[str], model: str) -> list[Named]:
    """Read arguments `[NAME=]SOURCE[,SOURCE…][#MODEL]`, whose default is `model`.

    Raises:
        ParamsError: an argument isn't so, or two variants have one name.
    """
    if len(arguments) < 2:
        raise ParamsError(f"a comparison needs at least 2 variants, got {len(arguments)}")
    variants = [_parse(argument, model) for argument in arguments]
    names = [variant.name for variant in variants]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParamsError(f"variants must have different names, got {twice[0]} twice; write NAME= before one")
    return variants


def read_source(source: str) -> Answered:
    """Read the predictions in a folder, of the workspace, or of a DVC revision or experiment.

    Raises:
        ArtifactError: there are none.
    """
    if source == WORKSPACE:
        return _read_folder(PREDICTIONS)
    if (folder := Path(source)).is_dir():
        return _read_folder(folder)
    return _read_revision(source)


def _parse(argument: str, model: str) -> Named:
    if Path(argument).is_dir():  # whose name may hold = , or #
        return Named(argument, (argument,), model)
    name, is_named, rest = argument.partition("=")
    if not is_named:
        name, rest = argument, argument
    parts = [part.partition("#") for part in rest.split(",")]
    sources = tuple(source for source, _, _ in parts)
    chosen = {own for _, _, own in parts if own}
    if not name or not all(sources) or any(mark and not own for _, mark, own in parts):
        raise ParamsError(f"a variant must be [NAME=]SOURCE[,SOURCE…][#MODEL], got {argument!r}")
    if len(chosen) > 1:
        raise ParamsError(f"{argument}: the runs of a variant must be of one model, got {' and '.join(sorted(chosen))}")
    if len(set(sources)) < len(sources):
        raise ParamsError(f"{argument}: the runs of a variant must be different ones")
    return Named(name, sources, chosen.pop() if chosen else model)


def _read_folder(folder: Path) -> Answered:
    if not (folder / LISTS).is_file():
        raise ArtifactError(f"{folder}: must be a folder of predictions, got none with {LISTS} in it; run `dvc repro`")
    return read_predictions(folder)


def _read_revision(revision: str) -> Answered:
    # Not at the top: DVC takes a second to import, and folders don't need it.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    where = f"{revision}: {PREDICTIONS}"
    files = DVCFileSystem(rev=revision)
    try:
        _ = files.repo  # opened here: all else takes a revision that doesn't exist for one without files
    except DvcException as error:
        raise ArtifactError(
            f"{revision}: must be a folder, `{WORKSPACE}`, or a revision or experiment of DVC's, got none of them: "
            f"{error}"
        ) from error
    if not files.isfile((PREDICTIONS / LISTS).as_posix()):
        raise ArtifactError(f"{where}: this revision must hold {LISTS} there, got none; run the pipeline in it")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / PREDICTIONS.name
        try:
            files.get(PREDICTIONS.as_posix(), str(folder), recursive=True)
        except (DvcException, OSError) as error:
            raise ArtifactError(
                f"{where}: must be in DVC's cache, got nothing ({error}); run `dvc repro` in that revision"
            ) from error
        try:
            return read_predictions(folder)
        except ArtifactError as error:
            raise ArtifactError(str(error).replace(str(folder), where)) from error
