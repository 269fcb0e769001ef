"""What two spellings of a title have in common, whatever their case, accents, articles, punctuation and year."""

import re
import unicodedata
from dataclasses import dataclass

_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
_COPY = re.compile(r"\s*\[\d+\]\s*$")  # datasets/titles.py numbers items of one title and year so
_ARTICLES = "the|an|a|les|le|la|las|los|el|il|der|die|das|l'"
_LAST_ARTICLE = re.compile(rf",\s*(?:{_ARTICLES})$")
_FIRST_ARTICLE = re.compile(r"^(?:the|an|a)\s+(?=\S)")
_IN_PARENTHESES = re.compile(r"\(([^()]*)\)")
_NUMERAL = re.compile(r"\d+|[ivx]+")


@dataclass(frozen=True)
class Key:
    """A title's words in lower case without accents, leading or trailing article and punctuation; and its year."""

    words: str
    year: int | None


def key_of(title: str) -> Key:
    """Reduce a title to what its spellings share; the words of one without letters and digits are empty."""
    text, year = _COPY.sub("", title), None
    if found := _YEAR.search(text):
        text, year = text[: found.start()], int(found[1])
    return Key(_words(text), year)


def keys_of(title: str) -> list[str]:
    """Return the words under which a catalogue's title can be found: whole, without parentheses, or those within them.

    "Shanghai Triad (Yao a yao yao dao waipo qiao)" is found by either of its titles.
    """
    text = _YEAR.sub("", _COPY.sub("", title))
    found = [_words(text)]
    if within := _IN_PARENTHESES.findall(text):
        found += [_words(part) for part in (_IN_PARENTHESES.sub(" ", text), *within)]
    return [words for words in dict.fromkeys(found) if words]


def numerals(words: str) -> list[str]:
    """Return a key's numbers, Arabic or Roman, which tell a film from its sequel: a typo doesn't change them."""
    return [word for word in words.split() if _NUMERAL.fullmatch(word)]


def _words(text: str) -> str:
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    plain = " ".join(plain.casefold().replace("’", "'").split())
    plain = _FIRST_ARTICLE.sub("", _LAST_ARTICLE.sub("", plain))
    letters = (char if char.isalnum() else " " for char in plain.replace("&", " and ").replace("'", ""))
    return " ".join("".join(letters).split())
