"""Which candidate an answer names."""

import re
from collections.abc import Sequence


def match_answer(answer: str, titles: Sequence[str]) -> int | None:
    """Index of the one title that `answer` names, or None.

    Exact equality comes first, so that "Alien" is valid beside "Alien 3". Failing that, the titles that stand in the
    answer as whole words are collected, those that are part of another collected one are dropped, and exactly one must
    be left. Case, repeated spaces, quotation marks around the answer and a final full stop don't count.
    """
    said = _normalise(answer)
    normal = [_normalise(title) for title in titles]
    if said in normal:
        return normal.index(said)
    inside = [i for i, title in enumerate(normal) if re.search(rf"(?<!\w){re.escape(title)}(?!\w)", said)]
    widest = [i for i in inside if not any(normal[i] in normal[j] for j in inside if j != i)]
    return widest[0] if len(widest) == 1 else None


def _normalise(text: str) -> str:
    return " ".join(text.casefold().split()).strip("\"'“”‘’").removesuffix(".").strip()
