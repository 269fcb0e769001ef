"""Prompts whose candidates can be pointed at."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from llara_core.hybrid.batching import pad_on_the_right
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Item, Mode, PromptWriter


@dataclass(frozen=True)
class ChoicePrompt:
    """A prompt with C candidates.

    Attributes:
        prompt: what the model reads.
        places: [C] of the token behind each candidate.
        history: the latest last.
        candidates: [C] item ids.
        target: index of the right candidate.
    """

    prompt: EncodedPrompt
    places: list[int]
    history: Sequence[Item]
    candidates: list[int]
    target: int


def encode_choice(question: Question, mode: Mode, writer: PromptWriter, encoder: PromptEncoder) -> ChoicePrompt:
    """Put a prompt into tokens; a line's end stands behind an item where no behavioural token does."""
    segments = writer.compose(question.template, question.history, question.candidates, mode, marked=True)
    prompt, marks = encoder.encode_marked(segments, question.name)
    fields = [field for _, field, _, _ in Formatter().parse(writer.templates[question.template])]
    first = 0 if fields.index("candidates") < fields.index("history") else len(question.history)
    places = marks[first : first + len(question.candidates)]
    target = question.candidates.index(question.target)
    return ChoicePrompt(prompt, places, question.history, question.candidates, target)


def pad_choices(prompts: Sequence[ChoicePrompt], filler_id: int) -> dict[str, Tensor]:
    """Stack prompts, padded on the right.

    Returns:
        input_ids [B, S], slot_mask [B, S] bool, slot_items [K], ends [B] the last token, places [B, C], history [B, L]
        padded on the right with 0, without what isn't in the catalogue, candidates [B, C], labels [B].
    """
    known = [[item for item in example.history if not isinstance(item, str)] for example in prompts]
    return {
        **pad_on_the_right([example.prompt for example in prompts], filler_id),
        "ends": torch.tensor([len(example.prompt.input_ids) - 1 for example in prompts]),
        "places": torch.tensor([example.places for example in prompts]),
        "history": pad_sequence([torch.tensor(items, dtype=torch.long) for items in known], batch_first=True),
        "candidates": torch.tensor([example.candidates for example in prompts]),
        "labels": torch.tensor([example.target for example in prompts]),
    }
