"""Lists of typed titles → items, with what has to be said about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from llara_core.errors import LlaraError, RequestError
from llara_core.prompting.segments import Item
from llara_core.recommending.requests import Request
from llara_core.recommending.titles import Ambiguous, Match, TitleIndex, Unknown
from llara_core.runtime.logs import LOGGER
from llara_core.tables.histories import HistoryRow, read_histories

_FORGIVEN = {"typo": "is read as", "beginning": "is read as the only title that begins so,"}


class AmbiguousTitleError(LlaraError):
    """Titles that may mean several items; the user has to say which."""

    exit_code: ClassVar[int] = 3

    def __init__(self, where: str, found: Sequence[Ambiguous]) -> None:
        """Ask about all of them; `where` they stand, which may be empty."""
        self.questions = tuple(found)
        before = f"{where}: " if where else ""
        super().__init__("\n".join(f"{before}{entry.question}" for entry in found))

    @property
    def details(self) -> Mapping[str, Any]:
        """The choices."""
        return {
            "questions": [
                {"typed": entry.typed, "choices": [{"item_id": item, "title": title} for item, title in entry.choices]}
                for entry in self.questions
            ]
        }


@dataclass(frozen=True)
class ReadTitles:
    """What typed titles mean: items, and notes on what was forgiven and what isn't in the catalogue.

    `forgiven` are the notes of the first kind alone.
    """

    items: tuple[Item, ...]
    notes: tuple[str, ...]
    forgiven: tuple[str, ...] = ()


def read_titles(index: TitleIndex, typed: Sequence[str], where: str = "") -> ReadTitles:
    """Find each of several titles; one that the catalogue doesn't have stays as text.

    Raises:
        AmbiguousTitleError: about all that are ambiguous.
        RequestError: one is empty.
    """
    found = []
    for place, text in enumerate(typed):
        try:
            found.append(index.find(text))
        except RequestError as error:
            raise RequestError(f"{where}[{place}]: {error}" if where else str(error)) from error
    if questions := [entry for entry in found if isinstance(entry, Ambiguous)]:
        raise AmbiguousTitleError(where, questions)
    items: list[Item] = []
    notes, forgiven = list[str](), list[str]()
    for entry in found:
        match entry:
            case Match():
                items.append(entry.item_id)
                if how := _FORGIVEN.get(entry.how):
                    notes.append(f'"{entry.typed}" {how} "{entry.title}"')
                    forgiven.append(notes[-1])
            case Unknown():
                items.append(entry.typed)
                notes.append(_not_in_catalogue(entry))
    return ReadTitles(tuple(items), tuple(notes), tuple(forgiven))


def read_candidates_file(index: TitleIndex, path: Path) -> ReadTitles:
    """Read a text file (UTF-8) with a title of the catalogue on each line; empty lines don't count.

    Raises:
        RequestError: it can't be read, or a line's title isn't in the catalogue.
        AmbiguousTitleError: a line is ambiguous.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: must be a text file in UTF-8 with a title on each line: {error}") from error
    items: list[Item] = []
    notes: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        read = read_titles(index, [line], where)
        if isinstance(read.items[0], str):
            raise RequestError(f"{where}: a candidate must be in the catalogue; {read.notes[0]}")
        items += read.items
        notes += [f"{where}: {note}" for note in read.notes]
    return ReadTitles(tuple(items), tuple(notes))


def read_requests(index: TitleIndex, path: Path, top: int) -> dict[str, Request]:
    """Read a Parquet file of histories, as `read_histories` has it, and find the items of each row.

    Returns:
        requests by the row's name.

    Raises:
        RequestError: naming file, row and field: what is wrong, or what isn't in the catalogue but must be.
        AmbiguousTitleError: a title may mean several.
    """
    rows, said = enumerate(read_histories(path)), set[str]()
    return {row.name: _request(index, f"{path}: row {number}", row, top, said) for number, row in rows}


def _request(index: TitleIndex, where: str, row: HistoryRow, top: int, said: set[str]) -> Request:
    history = read_titles(index, _as_typed(row.history), f"{where}: history")
    _say(f"{where}: history", history, said)
    if row.candidates is None:
        return Request(history.items, top=top)
    listed = read_titles(index, _as_typed(row.candidates), f"{where}: candidates")
    known = known_items(listed.items)
    if len(known) < len(listed.items):
        raise RequestError(f"{where}: candidates must be in the catalogue; {listed.notes[-1]}")
    if len(set(known)) < max(2, len(known)):
        raise RequestError(f"{where}: candidates must be at least 2 different items, got {list(row.candidates)}")
    _say(f"{where}: candidates", listed, said)
    return Request(history.items, known, top=top)


def _say(where: str, read: ReadTitles, said: set[str]) -> None:
    """Log what was forgiven, each once; what isn't in the catalogue the rankings say."""
    for note in read.forgiven:
        if note not in said:
            said.add(note)
            LOGGER.info("%s: %s", where, note)


def _as_typed(items: Sequence[str | int]) -> list[str]:
    return [item if isinstance(item, str) else f"id:{item}" for item in items]


def known_items(items: Sequence[Item]) -> tuple[int, ...]:
    """Return those that are in the catalogue."""
    return tuple(item for item in items if not isinstance(item, str))


def _not_in_catalogue(entry: Unknown) -> str:
    nearest = f" (the nearest: {', '.join(entry.nearest[:3])})" if entry.nearest else ""
    return (
        f'"{entry.typed}" is not in the catalogue{nearest}: it is read as text, without a behavioural token, and the '
        "recommender doesn't see it"
    )
