"""Which of the stored lists are asked about, in which words, and what that will take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llara_core.errors import RequestError
from llara_core.hybrid.questions import stored_questions
from llara_core.outside_judge.settings import Settings
from llara_core.params.params import Params
from llara_core.prompting.segments import PromptWriter, Text
from llara_core.sequences.random_words import random_permutation
from llara_core.sequences.windows import unique_histories
from llara_core.tables.candidates import CandidateSets, Scope
from llara_core.tables.processed import Processed

_SAMPLED = 0x4F757473  # "Outs": keeps these words apart from others
_CHARACTERS_A_TOKEN = 3.5  # prompts of MovieLens have 3.6 by SmolLM2's tokenizer; of two, the one that says more
_FRAME_TOKENS = 128  # at most, of what a chat template puts around a message


@dataclass(frozen=True)
class Lists:
    """R lists, in their stored order.

    Attributes:
        sets: of the test split.
        order: [R] rows in the order in which they are asked about: the first of it are a sample too.
        prompts: [R] texts.
    """

    sets: CandidateSets
    order: np.ndarray
    prompts: list[str]

    def in_order(self) -> list[str]:
        """[R] prompts in the order of asking."""
        return [self.prompts[row] for row in self.order]


def choose_lists(
    params: Params, tables: Processed, sets: CandidateSets, positions: Scope, draws: int, limit: int | None, seed: int
) -> Lists:
    """Choose lists of test users, and put them into the words of the dataset, as objective `answer` does in text mode.

    The first draw of all positions comes in random order, then their second ones, …: a smaller `limit` asks about a
    part of what a greater one does, and about as many users as it can.

    Raises:
        RequestError: not so many draws are stored, or none of these positions.
    """
    stored = sets.of("test", positions)
    n_draws = int(stored.draws.max(initial=-1)) + 1
    if draws > n_draws:
        raise RequestError(
            f"--draws must be ≤ {n_draws}, the stored lists of each position of --positions {positions}, got {draws}"
        )
    stored = stored.select(stored.draws < draws)
    _, example = np.unique(stored.example_ids, return_inverse=True)
    rank = np.argsort(random_permutation(seed, _SAMPLED, int(example.max()) + 1))
    order = np.lexsort((rank[example], stored.draws))[:limit]
    rows = np.sort(order)
    chosen = stored.select(rows)
    return Lists(chosen, np.searchsorted(rows, order), compose_prompts(params, tables, chosen))


def compose_prompts(params: Params, tables: Processed, sets: CandidateSets) -> list[str]:
    """[R] texts of the prompts that ask about R sets, by the template of eval.template."""
    nouns = params.selected_dataset.nouns
    writer = PromptWriter.of(params.prompt, params.fusion, nouns, tables.items.titles_by_id)
    shown, example = unique_histories(tables.sequences, sets, params.split.history_length)
    prompts = []
    for asked in stored_questions(sets, shown[example], params.eval.template):
        segments = writer.compose(asked.template, asked.history, asked.candidates, "text")
        prompts.append("".join(segment.text for segment in segments if isinstance(segment, Text)))
    return prompts


def most_tokens(settings: Settings, prompt: str) -> int:
    """Tokens that a prompt and its reply can have at most: no token is shorter than a byte."""
    written = sum(len(message["content"].encode()) for message in settings.messages(prompt))
    return written + _FRAME_TOKENS + settings.reply_tokens


@dataclass(frozen=True)
class Estimate:
    """What asking takes.

    Attributes:
        prompts: that are to be asked.
        prompt_tokens: of all, by the usual length of a token.
        most_tokens: of all prompts and replies; cannot be more, where the endpoint keeps to the limit of a reply.
    """

    prompts: int
    prompt_tokens: int
    most_tokens: int

    @classmethod
    def of(cls, settings: Settings, prompts: Sequence[str]) -> "Estimate":
        """Estimate for these prompts."""
        lengths = [
            sum(len(message["content"]) for message in settings.messages(prompt)) / _CHARACTERS_A_TOKEN
            for prompt in prompts
        ]
        return cls(len(prompts), round(sum(lengths)), sum(most_tokens(settings, prompt) for prompt in prompts))
