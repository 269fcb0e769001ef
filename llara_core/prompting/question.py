"""What a prompt with candidates asks, before it is put into words."""

from collections.abc import Sequence
from typing import NamedTuple

from llara_core.prompting.segments import Item


class Question(NamedTuple):
    """Which of the candidates comes after a history?

    Attributes:
        template: index into the templates.
        history: the latest last.
        candidates: item ids in the order in which they are offered.
        target: item id of the right one.
        name: what errors call it.
    """

    template: int
    history: Sequence[Item]
    candidates: list[int]
    target: int
    name: str
