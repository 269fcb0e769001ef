"""Reading a page as a browser would, by the standard library's parser: words, tables, ids, addresses."""

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "img", "input", "hr"}
_FETCHED = {"src", "srcset", "data", "poster", "xlink:href", "action", "formaction", "background"}


@dataclass
class Page:
    """What stands in a page.

    Attributes:
        text: all words, with single spaces.
        tables: rows of cells, the head first, by the address of the CSV that its caption names.
        elements: how many there are of each.
        ids: all of them, and `links` to them; `files`: what a reader may open; `fetched`: what a browser would load.
        unnamed: `svg` elements that aren't images with a title and a description.
        unclosed: elements that are open at the end.
    """

    text: str = ""
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    elements: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    handlers: list[str] = field(default_factory=list)
    unnamed: int = 0
    unclosed: list[str] = field(default_factory=list)
    scopes: Counter[str | None] = field(default_factory=Counter)


def read_page(content: str) -> Page:
    """Parse a page."""
    reader = _Reader()
    reader.feed(content)
    reader.close()
    page = reader.page
    page.text = " ".join(" ".join(reader.words).split())
    page.unclosed = reader.open
    return page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page, self.words, self.open = Page(), list[str](), list[str]()
        self._rows: list[list[str]] = []
        self._source = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        page, found = self.page, dict(attrs)
        page.elements[tag] += 1
        page.handlers += [name for name in found if name.startswith("on")]
        page.fetched += [f"{tag} {name}={found[name]}" for name in found if name in _FETCHED]
        if tag == "link" and found.get("href") != "data:,":
            page.fetched.append(f"link {found.get('href')}")
        if found.get("id"):
            page.ids.append(str(found["id"]))
        if tag == "a":
            target = str(found["href"])
            (page.links if target.startswith("#") else page.files).append(target.removeprefix("#"))
            if "caption" in self.open:
                self._source = target
        if tag == "svg" and (found.get("role") != "img" or len(str(found.get("aria-labelledby")).split()) != 2):
            page.unnamed += 1
        if tag == "table":
            self._rows, self._source = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")
        if tag == "th":
            page.scopes[found.get("scope")] += 1
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag
        if tag == "table":
            self.page.tables[self._source] = [[" ".join(cell.split()) for cell in row] for row in self._rows]

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)
        if {"td", "th"}.intersection(self.open):
            self._rows[-1][-1] += data
