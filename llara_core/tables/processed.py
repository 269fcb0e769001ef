"""The three tables that preprocessing writes together and that only mean something together."""

from dataclasses import dataclass
from pathlib import Path

from llara_core.tables.candidates import CandidateSets, read_candidates, write_candidates
from llara_core.tables.items import Items, read_items, write_items
from llara_core.tables.lineage import Lineage
from llara_core.tables.sequences import Sequences, read_sequences, write_sequences

ITEMS, SEQUENCES, CANDIDATES = "items.parquet", "sequences.parquet", "candidates.parquet"


@dataclass(frozen=True)
class Processed:
    """Catalogue, sequences and candidate sets of one dataset under one split."""

    items: Items
    sequences: Sequences
    sets: CandidateSets

    @property
    def lineage(self) -> Lineage:
        """What whatever is trained on these tables is made from; candidate sets only ask about it."""
        return {"items": self.items.digest, "sequences": self.sequences.digest}


def write_processed(folder: Path, tables: Processed) -> None:
    """Write the three tables into `folder`."""
    write_items(folder / ITEMS, tables.items)
    write_sequences(folder / SEQUENCES, tables.sequences, tables.items)
    write_candidates(folder / CANDIDATES, tables.sets, tables.items, tables.sequences)


def read_processed(folder: Path) -> Processed:
    """Read the three tables in `folder`.

    Raises:
        ArtifactError: one is missing or damaged, breaks its contract, or doesn't belong to the others.
    """
    items = read_items(folder / ITEMS)
    sequences = read_sequences(folder / SEQUENCES, items)
    return Processed(items, sequences, read_candidates(folder / CANDIDATES, items, sequences))
