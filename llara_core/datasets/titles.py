"""Cleaning titles: readable, unique, never empty, never endless; what was changed is counted."""

import html
import re
import unicodedata
from collections import Counter

_YEAR = re.compile(r"\s*\((\d{4})\)\s*(?:\((?:V|TV)\))?\s*$")
_MAIN_ARTICLE = re.compile(r"^(?P<rest>[^()]+), (?P<article>The|A|An)(?=$| \()")
_ALTERNATIVE_ARTICLE = re.compile(r"\((?P<rest>[^()]+), (?P<article>The|A|An)\)")
_TRADEMARKS = re.compile(r"[®™©℠]|\((?:TM|R)\)", re.IGNORECASE)
_LONGEST = 120


def clean_titles(raw_titles: list[str]) -> tuple[list[str], dict[str, int]]:
    """Return one clean title per raw title, all different, and how many titles each repair touched.

    The year is dropped unless two titles would then be equal; items that share title and year (MovieLens lists some
    films twice) are numbered: "Chasing Amy (1997)", "Chasing Amy (1997) [2]".
    """
    counts: Counter[str] = Counter()
    split = [_split_year(_plain_text(raw, counts)) for raw in raw_titles]
    plain = [_shape(title, counts) for title, _ in split]
    shared = Counter(title.casefold() for title in plain)
    dated = []
    for title, (_, year) in zip(plain, split, strict=True):
        is_shared = shared[title.casefold()] > 1
        counts["year_dropped"] += bool(year and not is_shared)
        counts["year_kept_to_tell_apart"] += bool(year and is_shared)
        dated.append(f"{title} ({year})" if year and is_shared else title)
    numbered = _number_repeats(dated)
    counts["numbered_to_tell_apart"] = sum(a != b for a, b in zip(dated, numbered, strict=True))
    return numbered, {name: count for name, count in sorted(counts.items()) if count}


def _plain_text(raw: str, counts: Counter[str]) -> str:
    """Resolve HTML entities; drop trademark signs, control characters and repeated space."""
    text = html.unescape(raw)
    counts["entities_resolved"] += text != raw
    unmarked = _TRADEMARKS.sub("", text)
    counts["trademarks_dropped"] += unmarked != text
    printable = "".join(" " if unicodedata.category(char).startswith("C") else char for char in unmarked)
    counts["control_characters_dropped"] += printable != unmarked
    return " ".join(printable.split())


def _split_year(text: str) -> tuple[str, str]:
    match = _YEAR.search(text)
    return (text[: match.start()], match[1]) if match else (text, "")


def _shape(title: str, counts: Counter[str]) -> str:
    """Move articles to the front, cut what is endless, name what is empty."""
    moved = _MAIN_ARTICLE.sub(r"\g<article> \g<rest>", title)
    moved = _ALTERNATIVE_ARTICLE.sub(r"(\g<article> \g<rest>)", moved)
    counts["article_moved"] += moved != title
    if len(moved) > _LONGEST:
        counts["shortened"] += 1
        moved = moved[: _LONGEST - 1].rstrip() + "…"
    counts["empty_named"] += not moved
    return moved or "untitled"


def _number_repeats(titles: list[str]) -> list[str]:
    taken = {title.casefold() for title in titles}
    seen: set[str] = set()
    numbered = []
    for title in titles:
        unique, copy = title, 1
        while unique.casefold() in seen or (copy > 1 and unique.casefold() in taken):
            copy += 1
            unique = f"{title} [{copy}]"
        seen.add(unique.casefold())
        numbered.append(unique)
    return numbered
