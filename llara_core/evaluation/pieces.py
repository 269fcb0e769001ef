"""Answers in pieces: divided among processes, and kept on disk, so that a killed evaluation goes on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from llara_core.errors import ArtifactError
from llara_core.objectives.asking import Answer
from llara_core.runtime.logs import LOGGER
from llara_core.runtime.processes import n_processes, process_index
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import Predictions, read_answers, write_answers

_EXAMPLES = 128  # of a piece at most: some minutes where each is a prompt on a CPU
_PIECES = 16  # at least, if there are so many examples: work for as many processes


class Pieces:
    """Keeps the answers of one evaluation; what a piece holds doesn't depend on the number of processes.

    Every process works, and when all have, the main one collects.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """Keep pieces in `folder`; those of another evaluation than that of this `fingerprint` don't count."""
        self._folder, self._fingerprint = folder, fingerprint
        folder.mkdir(parents=True, exist_ok=True)

    def work(self, name: str, answer: Answer, sets: CandidateSets) -> int:
        """Answer this process's share of `sets`, but for what an earlier run has answered; return how many lists."""
        own = list(self._pieces(name, sets))[process_index() :: n_processes()]
        left = [(path, rows) for path, rows in own if self._read(path, sets.select(rows)) is None]
        n_own, n_left = (sum(len(rows) for _, rows in pieces) for pieces in (own, left))
        with tqdm(total=n_own, initial=n_own - n_left, desc=f"evaluate ({name})", unit="list") as bar:
            for path, rows in left:
                asked = sets.select(rows)
                made_from = {"lists": asked.digest, "evaluation": self._fingerprint}
                write_answers(path, answer(asked, bar.update), asked, made_from)
        return n_left

    def collect(self, name: str, sets: CandidateSets) -> Predictions:
        """Return all answers, in the order of `sets`.

        Raises:
            ArtifactError: a piece isn't there any more.
        """
        parts, order = [], []
        for path, rows in self._pieces(name, sets):
            if (part := self._read(path, sets.select(rows))) is None:
                raise ArtifactError(f"{path}: must hold answers, but was removed or damaged meanwhile; run it again")
            parts.append(part)
            order.append(rows)
        return Predictions.concatenate(parts).select(np.argsort(np.concatenate(order), kind="stable"))

    def _read(self, path: Path, asked: CandidateSets) -> Predictions | None:
        """Read a piece; None if there is none that is whole and of this evaluation."""
        if not path.is_file():
            return None
        try:
            return read_answers(path, asked, {"lists": asked.digest, "evaluation": self._fingerprint})
        except ArtifactError as error:
            LOGGER.warning("asking again: %s", error)
            return None

    def _pieces(self, name: str, sets: CandidateSets) -> Iterator[tuple[Path, np.ndarray]]:
        """Yield files, and rows of `sets` in them: all lists of so many examples."""
        examples = np.unique(sets.example_ids)
        size = min(_EXAMPLES, -(-len(examples) // _PIECES))
        for number, start in enumerate(range(0, len(examples), size)):
            rows = np.flatnonzero(np.isin(sets.example_ids, examples[start : start + size]))
            yield self._folder / f"{name}-{number}.parquet", rows
