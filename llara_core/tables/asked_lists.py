"""data/candidates: the lists that evaluation asks about, preprocessing's own or the same with hard negatives."""

from dataclasses import dataclass
from pathlib import Path

from llara_core.tables.candidates import CandidateSets, read_with_lineage, table_of
from llara_core.tables.lineage import require_lineage
from llara_core.tables.parquet import write_table
from llara_core.tables.processed import Processed

_LISTS, _RECOMMENDER = "candidates", "recommender"


@dataclass(frozen=True)
class AskedLists:
    """Lists, and the digest of the recommender that chose their negatives, if one did."""

    sets: CandidateSets
    chosen_by: str | None


def write_hard_lists(path: Path, sets: CandidateSets, tables: Processed, recommender: str) -> None:
    """Write lists that a recommender, of this digest, made of those of `tables`."""
    write_table(path, table_of(sets), {**tables.lineage, _LISTS: tables.sets.digest, _RECOMMENDER: recommender})


def read_asked_lists(path: Path, tables: Processed, recommender: str) -> AskedLists:
    """Read what preprocessing drew, passed on as it is, or what `write_hard_lists` wrote.

    Args:
        path: of the file.
        tables: what preprocessing left.
        recommender: digest of the recommender at hand.

    Raises:
        ArtifactError: it is missing or damaged, or the lists are others than those of `tables`, or were made from
            others or by another recommender.
    """
    sets, made_from = read_with_lineage(path, tables.items, tables.sequences)
    expected = {_LISTS: tables.sets.digest}
    if (chosen_by := made_from.get(_RECOMMENDER)) is not None:
        require_lineage(path, made_from, {**expected, _RECOMMENDER: recommender})
    else:
        require_lineage(path, {_LISTS: sets.digest}, expected)
    return AskedLists(sets, chosen_by)
