"""Finding the predictions of what the command line calls a variant: folders, the workspace, or DVC revisions."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llara_core.errors import ArtifactError, ParamsError
from llara_core.evaluation.comparison import require_same_lists
from llara_core.evaluation.comparison_report import Variant
from llara_core.evaluation.per_list import metric as metric_of
from llara_core.runtime.paths import PREDICTIONS
from llara_core.tables.lineage import Lineage
from llara_core.tables.parquet import read_stamped
from llara_core.tables.predictions import LISTS, Answered, read_predictions

WORKSPACE = "workspace"


@dataclass(frozen=True)
class Named:
    """A variant as the user named it: a model of one run, or of several that differ in their seed."""

    name: str
    sources: tuple[str, ...]
    model: str


@dataclass(frozen=True)
class Found:
    """What a source holds, and its place, which is the same for all names of it: a folder's path, or a commit.

    `made_from` has digests of the artifacts that were asked.
    """

    place: str
    answered: Answered
    made_from: Lineage


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


def read_source(source: str) -> Found:
    """Read the predictions in a folder, of the workspace, or of a DVC revision or experiment.

    Raises:
        ArtifactError: there are none.
    """
    if source == WORKSPACE:
        return _read_folder(PREDICTIONS)
    if os.path.isdir(source):  # Path.is_dir raises where a name is too long for a file
        return _read_folder(Path(source))
    return _read_revision(source)


def read_variant(named: Named, sources: Sequence[Found], metric: str) -> Variant:
    """Take a metric of a variant's sources, in their order.

    Raises:
        ArtifactError: they were asked about different lists, or one lacks the model or what the metric needs.
    """
    require_different(named, sources)
    values, asked = [], sources[0].answered.asked
    for source, found in zip(named.sources, (entry.answered for entry in sources), strict=True):
        if named.model not in found.predictions:
            names = ", ".join(found.predictions) or "none at all"
            raise ArtifactError(f"{source}: model must be one of {names}, got {named.model!r}")
        require_same_lists(asked, found.asked, (named.sources[0], source))
        try:
            values.append(metric_of(metric)(found.predictions[named.model], found.asked))
        except ArtifactError as error:
            raise ArtifactError(f"{source}#{named.model}: {metric}: {error}") from error
    return Variant(named.name, asked, np.stack(values))


def require_different(variant: Named, found: Sequence[Found]) -> None:
    """Refuse a variant two of whose sources, in the order of `found`, are one run by two names.

    Raises:
        ParamsError: naming both.
    """
    names: dict[str, str] = {}
    for source, entry in zip(variant.sources, found, strict=True):
        if (other := names.setdefault(entry.place, source)) != source:
            raise ParamsError(
                f"{variant.name}: the runs of a variant must be different ones, got {other} and {source}, which are "
                f"both {entry.place}"
            )


def _parse(argument: str, model: str) -> Named:
    # The name of a folder may hold = , or #.
    if os.path.isdir(argument):
        return Named(argument, (argument,), model)
    folder, _, own_model = argument.rpartition("#")
    if own_model and os.path.isdir(folder):
        return Named(argument, (folder,), own_model)
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


def _read_folder(folder: Path) -> Found:
    if not (folder / LISTS).is_file():
        raise ArtifactError(f"{folder}: must be a folder of predictions, got none with {LISTS} in it; run `dvc repro`")
    return _found(os.path.realpath(folder), folder)


def _read_revision(revision: str) -> Found:
    from dvc.exceptions import DvcException

    files, where = _open_revision(revision), f"{revision}: {PREDICTIONS}"
    if not files.isfile((PREDICTIONS / LISTS).as_posix()):
        if _is_recorded(files):
            raise _not_cached(where)
        raise ArtifactError(f"{where}: this revision must hold {LISTS} there, got none; run the pipeline in it")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / PREDICTIONS.name
        try:
            files.get(PREDICTIONS.as_posix(), str(folder), recursive=True)
        except (DvcException, OSError) as error:
            raise _not_cached(where) from error
        try:
            return _found(f"commit {files.repo.get_rev()}", folder)
        except ArtifactError as error:
            raise ArtifactError(str(error).replace(str(folder), where)) from error


def _found(place: str, folder: Path) -> Found:
    answered = read_predictions(folder)
    _, made_from = read_stamped(folder / LISTS)
    return Found(place, answered, made_from)


def _open_revision(revision: str) -> Any:
    """DVC's file system of a revision or experiment."""
    # Not at the top: DVC takes a second to import, and folders don't need it.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    files = DVCFileSystem(rev=revision)
    try:
        _ = files.repo  # opened here: all else takes a revision that doesn't exist for one without files
    except (DvcException, SCMError, AttributeError) as error:
        # SCMError: nothing is committed yet. AttributeError: git knows a file or a tree by this name, as HEAD:dvc.yaml.
        problem = "it is no commit" if isinstance(error, AttributeError) else error
        raise ArtifactError(
            f"{revision}: must be a folder, `{WORKSPACE}`, or a revision or experiment of DVC's, got none of them: "
            f"{problem}"
        ) from error
    return files


def _is_recorded(files: Any) -> bool:
    """Whether dvc.lock of the revision has a hash of the predictions, of which this clone's cache may lack the rest."""
    path = PREDICTIONS.as_posix()
    return files.exists(path) and "md5" in files.info(path)


def _not_cached(where: str) -> ArtifactError:
    return ArtifactError(
        f"{where}: must be in DVC's cache, got nothing; run `dvc repro` in that revision, or `dvc fetch` where a "
        f"remote has them"
    )
