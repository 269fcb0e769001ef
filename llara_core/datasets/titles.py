"""Cleaning titles: articles to the front, years only where they tell films apart, unique and never empty."""

import re
from collections import Counter

_YEAR = re.compile(r"\s*\((\d{4})\)\s*(?:\((?:V|TV)\))?\s*$")
_MAIN_ARTICLE = re.compile(r"^(?P<rest>[^()]+), (?P<article>The|A|An)(?=$| \()")
_ALTERNATIVE_ARTICLE = re.compile(r"\((?P<rest>[^()]+), (?P<article>The|A|An)\)")


def clean_titles(raw_titles: list[str]) -> list[str]:
    """Return one clean title per raw title, all different.

    The year is dropped unless two titles would then be equal; films that share title and year (MovieLens lists some
    twice) are numbered: "Hurricane Streets (1998)", "Hurricane Streets (1998) [2]".
    """
    split = [_split_year(raw) for raw in raw_titles]
    plain = [_move_article(title) or "untitled" for title, _ in split]
    shared = Counter(title.casefold() for title in plain)
    dated = [
        f"{title} ({year})" if shared[title.casefold()] > 1 and year else title
        for title, (_, year) in zip(plain, split, strict=True)
    ]
    return _number_repeats(dated)


def _split_year(raw: str) -> tuple[str, str]:
    text = " ".join(raw.split())
    match = _YEAR.search(text)
    return (text[: match.start()], match[1]) if match else (text, "")


def _move_article(title: str) -> str:
    title = _MAIN_ARTICLE.sub(r"\g<article> \g<rest>", title)
    return _ALTERNATIVE_ARTICLE.sub(r"(\g<article> \g<rest>)", title)


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
