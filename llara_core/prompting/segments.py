"""A prompt as a list of segments: texts, and slots that behavioural tokens will fill. Pure Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Self

from llara_core.params.datasets import Nouns
from llara_core.params.sections import Mode, Prompt


@dataclass(frozen=True)
class Text:
    """Words for the tokenizer."""

    text: str


@dataclass(frozen=True)
class ItemSlot:
    """The place of one item's behavioural token."""

    item_id: int


Segment = Text | ItemSlot


def latest_mode(modes: Sequence[Mode]) -> Mode:
    """Return the mode in which a model is at its best that was trained in `modes`: not text, if there is another."""
    return next((mode for mode in modes if mode != "text"), "text")


@dataclass(frozen=True)
class PromptWriter:
    """Writes prompts in the words of one dataset.

    Attributes:
        templates: texts with {history} and {candidates}, and perhaps {n_candidates} and the keys of `nouns`.
        separator: stands between the items of a list.
        nouns: what the dataset calls its items.
        titles: by item id; index 0 is padding.
    """

    templates: tuple[str, ...]
    separator: str
    nouns: dict[str, str]
    titles: Sequence[str]

    @classmethod
    def of(cls, prompt: Prompt, nouns: Nouns, titles: Sequence[str]) -> Self:
        """Take texts and nouns from params.yaml's sections, or from an adapter's record of them."""
        return cls(tuple(prompt.templates), prompt.separator, nouns.model_dump(), titles)

    def compose(self, template: int, history: Sequence[int], candidates: Sequence[int], mode: Mode) -> list[Segment]:
        """Return the prompt's segments; behavioural tokens are slots.

        Args:
            template: index into the templates.
            history: item ids, the latest last.
            candidates: item ids in the order in which they are offered.
            mode: how items are shown (paper, section 3.2).
        """
        lists = {"history": history, "candidates": candidates}
        words = {"n_candidates": str(len(candidates)), **self.nouns}
        segments: list[Segment] = []
        for literal, field, _, _ in Formatter().parse(self.templates[template]):
            segments.append(Text(literal))
            if field in lists:
                segments += self._listing(lists[field], mode)
            elif field is not None:
                segments.append(Text(words[field]))
        return _merge_texts(segments)

    def answer(self, item_id: int) -> Text:
        """Return what the model should say: the title, after the space that divides it from the prompt."""
        return Text(" " + self.titles[item_id])

    def _listing(self, item_ids: Sequence[int], mode: Mode) -> list[Segment]:
        segments: list[Segment] = []
        for index, item_id in enumerate(item_ids):
            title = "" if mode == "id" else self.titles[item_id]
            segments.append(Text((self.separator if index else "") + title))
            if mode != "text":
                segments.append(ItemSlot(int(item_id)))
        return segments


def _merge_texts(segments: list[Segment]) -> list[Segment]:
    """Join neighbouring texts, so that the tokenizer sees them as one."""
    merged: list[Segment] = []
    for segment in segments:
        if isinstance(segment, Text) and merged and isinstance(merged[-1], Text):
            merged[-1] = Text(merged[-1].text + segment.text)
        elif segment != Text(""):
            merged.append(segment)
    return merged
