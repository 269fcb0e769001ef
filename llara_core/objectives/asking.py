"""What evaluation asks: a tuned model that answers candidate sets, whatever it was trained for."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from llara_core.errors import ArtifactError
from llara_core.hybrid.adapter import HEAD, AdapterManifest
from llara_core.hybrid.model import HybridCausalLM
from llara_core.params.sections import Eval
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import Item, Mode, PromptWriter
from llara_core.recommenders.model import SequentialRecommender
from llara_core.sequences.windows import unique_histories
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import SCORED, Predictions
from llara_core.tables.processed import Processed


@dataclass(frozen=True)
class Tuned:
    """A tuned model and what it is asked with.

    Attributes:
        hybrid: the language model with its adapter, in evaluation mode.
        folder: of the adapter.
        manifest: the adapter's.
        head: the objective's own weights, by name.
        recommender: the adapter's, in evaluation mode.
        tables: catalogue, sequences and candidate sets.
        writer: of prompts, as in training.
        encoder: with the language model's tokenizer.
        params: how to ask.
        mode: how items are shown.
        rearrange: what is done to histories [E, L], padded on the left, before they are shown.
    """

    hybrid: HybridCausalLM
    folder: Path
    manifest: AdapterManifest
    head: Mapping[str, Tensor]
    recommender: SequentialRecommender
    tables: Processed
    writer: PromptWriter
    encoder: PromptEncoder
    params: Eval
    mode: Mode
    rearrange: Callable[[np.ndarray], np.ndarray] = lambda shown: shown

    def histories(self, sets: CandidateSets) -> tuple[np.ndarray, np.ndarray]:
        """[E, L] what is shown of the distinct examples of R sets, and [R] which of them each set has."""
        shown, example = unique_histories(self.tables.sequences, sets, self.manifest.history_length)
        return self.rearrange(shown), example


Advance = Callable[[int], object]
"""Is told how many more lists have been answered."""


class Answer(Protocol):
    """Answers candidate sets."""

    def __call__(self, sets: CandidateSets, advance: Advance) -> Predictions:
        """Answer R candidate sets; each answer depends on its own set alone."""


def ignore(_: int) -> None:
    """Advance without telling anybody."""


class Respondent(ABC):
    """A tuned model that answers."""

    @abstractmethod
    def choose(self, sets: CandidateSets) -> CandidateSets:
        """Return those of a split's sets that it is asked about."""

    @abstractmethod
    def answer(self, sets: CandidateSets, advance: Advance = ignore) -> Predictions:
        """Answer R candidate sets; each answer depends on its own set alone.

        Raises:
            ModelError: the model computes no finite numbers.
        """

    @abstractmethod
    def score_lists(
        self, histories: Sequence[Sequence[Item]], candidates: np.ndarray, advance: Advance = ignore
    ) -> np.ndarray:
        """Score candidates after histories that needn't be anybody's; asked about stored lists, as `answer` does.

        Args:
            histories: R of them, the latest item last.
            candidates: [R, C] item ids.
            advance: is told of lists that are done.

        Returns:
            [R, C], higher is better.

        Raises:
            ModelError: a prompt is too long for the model, or it computes no finite numbers.
            RequestError: an item can't be shown.
        """


class CatalogueRespondent(Respondent):
    """A tuned model that scores the whole catalogue after one pass over a history."""

    @abstractmethod
    def score_catalogue(self, histories: Sequence[Sequence[Item]], advance: Advance = ignore) -> Tensor:
        """Scores [E, n + 1] of every item after E histories, the latest item last; padding has −inf."""

    def score_left_out(self, history: Sequence[Item]) -> Tensor:
        """Scores [L, n + 1] of every item after a history of L ≥ 2 items without each of them in turn."""
        return self.score_catalogue([[*history[:place], *history[place + 1 :]] for place in range(len(history))])

    def score_lists(
        self, histories: Sequence[Sequence[Item]], candidates: np.ndarray, advance: Advance = ignore
    ) -> np.ndarray:
        """[R, C] out of the catalogue's scores."""
        return np.take_along_axis(self.score_catalogue(histories, advance).cpu().numpy(), candidates, axis=1)


def build_respondent(tuned: Tuned) -> Respondent:
    """Build what answers with a tuned model, by the objective that its manifest names.

    Raises:
        ArtifactError: the adapter lacks what its objective needs.
    """
    name = tuned.manifest.objective
    module = import_module(f"{__package__}.{name}.respondent")
    respondent: Respondent = getattr(module, f"{name.capitalize()}Respondent")(tuned)
    return respondent


def best_of(candidates: np.ndarray, scores: np.ndarray, titles: Sequence[str]) -> Predictions:
    """Answer with the candidate of the highest score, the first of equals, given candidates and scores [R, C]."""
    kept = scores.astype(np.float32)  # as they are stored, so that what is read again says the same
    best = np.take_along_axis(candidates, kept.argmax(axis=1)[:, None], axis=1)[:, 0].astype(np.int32)
    return Predictions([titles[item] for item in best], [SCORED] * len(best), best, kept)


def load_head(module: nn.Module, tuned: Tuned) -> None:
    """Put an objective's own weights into `module`.

    Raises:
        ArtifactError: they are missing, or don't fit.
    """
    try:
        module.load_state_dict(tuned.head)
    except RuntimeError as error:
        raise ArtifactError(
            f"{tuned.folder / HEAD}: not a usable head: {str(error).splitlines()[-1].strip()}"
        ) from error
