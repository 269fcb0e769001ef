"""Which data an export is made of, and whether it may be handed on."""

import json
from dataclasses import dataclass
from pathlib import Path

from llara_core.datasets import licences
from llara_core.datasets.licences import Licence
from llara_core.datasets.sources import SOURCES, amazon_source
from llara_core.errors import ArtifactError, LicenceError
from llara_core.params.datasets import AmazonCategory, Dataset, PublicDataset
from llara_core.params.params import Params
from llara_core.runtime.paths import METRICS
from llara_core.tables.items import Items


@dataclass(frozen=True)
class DatasetTerms:
    """A dataset's name for people, and its terms."""

    title: str
    licence: Licence


def terms_of(name: str, dataset: Dataset) -> DatasetTerms:
    """Return the terms of an entry of `datasets`, which `name` is the key of."""
    match dataset:
        case PublicDataset():
            source = SOURCES[dataset.source]
        case AmazonCategory():
            source = amazon_source(dataset.category)
        case _:
            return DatasetTerms(f"{name}, own data", licences.OWN)
    return DatasetTerms(source.title, source.licence)


def read_terms(params: Params, root: Path, items: Items) -> DatasetTerms:
    """Return the terms of the data of which `items` are made, whatever params.yaml or another fetch says by now.

    Raises:
        ArtifactError: metrics/preprocess.json below `root` isn't there, is of other items, or names another source than
            params.yaml selects.
    """
    path = root / METRICS / "preprocess.json"
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file, and so no way to tell the data's licence; run `dvc repro`")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        source, digest = report["source"], report["items_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: must name source and items_sha256; run `dvc repro --force preprocess`") from error
    if digest != items.digest:
        raise ArtifactError(
            f"{path}: must be of the items at hand, with digest {items.digest[:12]}…, got {str(digest)[:12]}…; run "
            "`dvc repro`"
        )
    if source != (selected := params.selected_dataset.source):
        raise ArtifactError(
            f"{path}: must be of the dataset that params.yaml selects, {params.dataset.name} (source {selected}), got "
            f"{source}; run `dvc repro`, or select that one again"
        )
    return terms_of(params.dataset.name, params.selected_dataset)


def require_permission(terms: DatasetTerms, *, private: bool) -> None:
    """Refuse to write titles and item vectors that may not be handed on, unless they stay with the user.

    Raises:
        LicenceError: the licence doesn't permit it.
    """
    if not (terms.licence.may_be_handed_on or private):
        raise LicenceError(
            "the export would hold titles and item vectors, which the data's licence doesn't permit to hand on "
            f"({terms.title}: {terms.licence.short}); --private writes it for your own use"
        )
