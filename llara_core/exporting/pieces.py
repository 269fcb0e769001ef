"""Prompts as tables of token ids: what each item is written as, in each place, so that reading needs no encoder.

A prompt is its items' pieces, one behind the other, and an end. A piece holds an item's title, its behavioural token,
and the words of the template before it; a slot's token t is written as −1 − t, in Python ~t. The piece of a prompt's
first item begins with what every prompt begins with.
"""

from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any

from llara_core.errors import ArtifactError
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import ItemSlot, Mode, PromptWriter, Segment, Text, merge_texts, show_item
from llara_core.tables.items import PADDING_ID

Piece = list[int]
Show = Callable[[str, int], list[Segment]]
"""An item's segments behind some words."""


class _Cutter:
    """Cuts pieces out of encoded prompts. All segments are encoded by themselves, so pieces join to a whole prompt."""

    def __init__(self, encoder: PromptEncoder) -> None:
        self._encoder = encoder
        alone, [place] = encoder.encode_marked([ItemSlot(1)])
        self._before = place + 1
        self.after: Piece = alone.input_ids[self._before :]

    def opening(self, segments: Sequence[Segment]) -> Piece:
        """What a prompt begins with that begins with these segments."""
        return self._cut(self._encoder.encode(segments), 0)

    def behind(self, segments: Sequence[Segment]) -> Piece:
        """What these segments add to a prompt behind a slot or a fused title."""
        return self._cut(self._encoder.encode([ItemSlot(1), *segments]), self._before)

    def _cut(self, prompt: EncodedPrompt, start: int) -> Piece:
        end = len(prompt.input_ids) - len(self.after)
        pairs = zip(prompt.input_ids[start:end], prompt.slot_mask[start:end], strict=True)
        return [~token if is_slot else token for token, is_slot in pairs]


def history_pieces(encoder: PromptEncoder, writer: PromptWriter, mode: Mode) -> dict[str, Any]:
    """Tables for histories as `HistoryEncoder` reads them.

    Returns:
        `history`: [2][n + 1] pieces by item id, those of a first item and those of later ones.
    """
    cutter = _Cutter(encoder)
    show = _shown(writer, mode, marked=True)
    items = range(1, len(writer.titles))
    first = [cutter.opening(show("", item)) for item in items]
    return {"history": [[[], *first], [[], *(cutter.behind(show("", item)) for item in items)]]}


def prompt_pieces(
    encoder: PromptEncoder, writer: PromptWriter, mode: Mode, template: int, n_candidates: int, *, marked: bool
) -> dict[str, Any]:
    """Tables for prompts with candidates as `PromptWriter` composes them.

    Args:
        encoder: of the language model's tokenizer.
        writer: of the prompts.
        mode: how items are shown.
        template: index into the templates.
        n_candidates: of a list, for the template may name their number.
        marked: whether a token at which the model can be asked stands behind each item.

    Returns:
        `history` and `candidates` as in `history_pieces`; `order`, in which the two stand in a prompt; `end`, the
        piece that closes it; `n_candidates`, or null where the template doesn't name it.

    Raises:
        ArtifactError: nothing stands between titles, so that their words join as the tokenizer likes.
    """
    if mode == "text" and not marked:
        raise ArtifactError(
            "an adapter that was trained by answer on text alone (curriculum.schedule text_only, or eval.mode text) "
            "can't be exported: its titles are encoded together with all words around them, not piece by piece"
        )
    cutter, show = _Cutter(encoder), _shown(writer, mode, marked=marked)
    words = {"n_candidates": str(n_candidates), **writer.nouns}
    texts, order = _divide(writer.templates[template], words)
    items, tables = range(1, len(writer.titles)), dict[str, Any]()
    for place, name in enumerate(order):
        cut = cutter.behind if place else cutter.opening
        first = [cut(merge_texts([Text(texts[place]), *show("", item)])) for item in items]
        later = [cutter.behind(show(writer.separator, item)) for item in items]
        tables[name] = [[[], *first], [[], *later]]
    end = cutter.behind([Text(texts[-1])]) if texts[-1] else []
    counts = "{n_candidates}" in writer.templates[template]
    return {**tables, "order": order, "end": end + cutter.after, "n_candidates": n_candidates if counts else None}


def _shown(writer: PromptWriter, mode: Mode, *, marked: bool) -> Show:
    def show(before: str, item: int) -> list[Segment]:
        return show_item(before, writer.titles[item], item, mode, writer.fusion, marked=marked)

    return show


def _divide(template: str, words: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Texts before, between and behind the two lists, and which list comes first."""
    texts, order = [""], list[str]()
    for literal, field, _, _ in Formatter().parse(template):
        texts[-1] += literal
        if field in ("history", "candidates"):
            order.append(field)
            texts.append("")
        elif field is not None:
            texts[-1] += words[field]
    return texts, order


def answer_pieces(encoder: PromptEncoder, writer: PromptWriter) -> list[Piece]:
    """[n + 1] token ids of each item's title as an answer, with the end-of-text token; of padding none."""
    return [
        [] if item == PADDING_ID else encoder.encode_answer(writer.answer(item)) for item in range(len(writer.titles))
    ]
