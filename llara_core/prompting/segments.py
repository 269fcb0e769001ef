"""A prompt as a list of segments: texts, and slots that behavioural tokens will fill. Pure Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Self

from llara_core.errors import RequestError
from llara_core.params.datasets import Nouns
from llara_core.params.projector import Fusion, FusionKind
from llara_core.params.sections import Mode, Prompt
from llara_core.tables.items import PADDING_ID


@dataclass(frozen=True)
class Text:
    """Words for the tokenizer."""

    text: str


@dataclass(frozen=True)
class ItemSlot:
    """The place of one item's behavioural token."""

    item_id: int


@dataclass(frozen=True)
class FusedTitle:
    """Words that end in an item's title, from character `start` on; each token of the title is a slot of the item."""

    text: str
    start: int
    item_id: int


@dataclass(frozen=True)
class LineEnd:
    """The token of a line's end, behind an item that has no slot of its own, at which the model can be asked."""


Segment = Text | ItemSlot | FusedTitle | LineEnd

Item = int | str
"""An item of the catalogue by its id, or one that isn't in it by its title."""


def show_item(
    before: str, title: str, item_id: int, mode: Mode, fusion: FusionKind, *, marked: bool = False
) -> list[Segment]:
    """Return an item's segments, after the words `before` it.

    Args:
        before: may be empty.
        title: the item's.
        item_id: the item's.
        mode: how it is shown (paper, section 3.2).
        fusion: how a title and a behavioural token are joined in hybrid mode.
        marked: a token stands behind the item in any case, at which the model can be asked: a line's end where no slot
            does.
    """
    behind: list[Segment] = [LineEnd()] if marked else []
    if mode == "id":
        return [Text(before), ItemSlot(item_id)]
    if mode == "text":
        return [Text(before + title), *behind]
    if fusion == "append":
        return [Text(before + title), ItemSlot(item_id)]
    return [FusedTitle(before + title, len(before), item_id), *behind]


def show_any(
    before: str, item: Item, titles: Sequence[str], mode: Mode, fusion: FusionKind, *, marked: bool = False
) -> list[Segment]:
    """Return an item's segments as `show_item` does; one that isn't in the catalogue is shown by its title alone.

    Raises:
        RequestError: items are shown by tokens alone, and it has none.
    """
    if not isinstance(item, str):
        return show_item(before, titles[item], int(item), mode, fusion, marked=marked)
    if mode == "id":
        raise RequestError(f"{item!r} must be in the catalogue for a model that is shown tokens without titles")
    return show_item(before, item, PADDING_ID, "text", fusion, marked=marked)


def latest_mode(modes: Sequence[Mode]) -> Mode:
    """Return the mode in which a model is at its best that was trained in `modes`: not text, if there is another."""
    return next((mode for mode in modes if mode != "text"), "text")


@dataclass(frozen=True)
class PromptWriter:
    """Writes prompts in the words of one dataset.

    Attributes:
        templates: texts with {history} and {candidates}, and perhaps {n_candidates} and the keys of `nouns`.
        separator: stands between the items of a list.
        fusion: how a title and a behavioural token are joined.
        nouns: what the dataset calls its items.
        titles: by item id; index 0 is padding.
    """

    templates: tuple[str, ...]
    separator: str
    fusion: FusionKind
    nouns: dict[str, str]
    titles: Sequence[str]

    @classmethod
    def of(cls, prompt: Prompt, fusion: Fusion, nouns: Nouns, titles: Sequence[str]) -> Self:
        """Take texts, fusion and nouns from params.yaml's sections, or from an adapter's record of them."""
        return cls(tuple(prompt.templates), prompt.separator, fusion.kind, nouns.model_dump(), titles)

    def compose(
        self, template: int, history: Sequence[Item], candidates: Sequence[int], mode: Mode, *, marked: bool = False
    ) -> list[Segment]:
        """Return the prompt's segments; behavioural tokens are slots.

        Args:
            template: index into the templates.
            history: the latest last.
            candidates: item ids in the order in which they are offered.
            mode: how items are shown (paper, section 3.2).
            marked: a token at which the model can be asked stands behind each item, as in `show_item`.
        """
        lists: dict[str, Sequence[Item]] = {"history": history, "candidates": candidates}
        words = {"n_candidates": str(len(candidates)), **self.nouns}
        segments: list[Segment] = []
        for literal, field, _, _ in Formatter().parse(self.templates[template]):
            segments.append(Text(literal))
            if field in lists:
                segments += self._listing(lists[field], mode, marked)
            elif field is not None:
                segments.append(Text(words[field]))
        return merge_texts(segments)

    def answer(self, item_id: int) -> Text:
        """Return what the model should say: the title, after the space that divides it from the prompt."""
        return Text(" " + self.titles[item_id])

    def _listing(self, items: Sequence[Item], mode: Mode, marked: bool) -> list[Segment]:
        segments: list[Segment] = []
        for index, item in enumerate(items):
            before = self.separator if index else ""
            segments += show_any(before, item, self.titles, mode, self.fusion, marked=marked)
        return segments


def merge_texts(segments: list[Segment]) -> list[Segment]:
    """Join texts with the words behind them, so that the tokenizer sees them as one."""
    merged: list[Segment] = []
    for segment in segments:
        before = merged[-1] if merged else None
        if isinstance(segment, Text) and isinstance(before, Text):
            merged[-1] = Text(before.text + segment.text)
        elif isinstance(segment, FusedTitle) and isinstance(before, Text):
            merged[-1] = FusedTitle(before.text + segment.text, len(before.text) + segment.start, segment.item_id)
        elif segment != Text(""):
            merged.append(segment)
    return merged
