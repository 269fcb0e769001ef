"""From what a client sends to what the model is asked."""

import re
from collections.abc import Sequence

from llara.serving.model_thread import Services
from llara.serving.schema import Question
from llara_core.errors import RequestError
from llara_core.prompting.segments import Item
from llara_core.recommending.reading import ReadTitles, known_items, read_titles
from llara_core.recommending.requests import Request
from llara_core.recommending.titles import TitleIndex

_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*>?")  # as browsers recognise one


def read_question(services: Services, asked: Question) -> tuple[Request, tuple[str, ...]]:
    """Return a request, and notes on what its titles were read as.

    Raises:
        RequestError: a title is empty, is markup, or must be in the catalogue and isn't; tokens can't be taken away.
        AmbiguousTitleError: titles may mean several items.
    """
    if asked.tokens not in services:
        raise RequestError(f"tokens must be on for a model that is shown none, got {asked.tokens}")
    index = services["on"].titles
    history = _read(index, asked.history, "history")
    if asked.candidates is None:
        return Request(history.items, top=asked.top, why=asked.why), history.notes
    listed = _read(index, asked.candidates, "candidates")
    known = known_items(listed.items)
    if len(known) < len(listed.items):
        raise RequestError(f"candidates must be in the catalogue; {listed.notes[-1]}")
    return Request(history.items, known, top=asked.top, why=asked.why), (*history.notes, *listed.notes)


def _read(index: TitleIndex, typed: Sequence[str | int], field: str) -> ReadTitles:
    read = read_titles(index, [text if isinstance(text, str) else f"id:{text}" for text in typed], field)
    for place, item in enumerate(read.items):
        _require_words(item, f"{field}[{place}]")
    return read


def _require_words(item: Item, where: str) -> None:
    """Refuse markup as the title of something unknown: nobody's title, and no model should be shown it."""
    if isinstance(item, str) and _TAG.search(item):
        raise RequestError(f"{where}: a title outside the catalogue must not hold markup, got {item[:80]!r}")
