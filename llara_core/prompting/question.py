"""What a prompt with candidates asks, before it is put into words."""

from typing import NamedTuple


class Question(NamedTuple):
    """Which of the candidates comes after a history?

    Attributes:
        template: index into the templates.
        history: item ids, the latest last.
        candidates: item ids in the order in which they are offered.
        target: item id of the right one.
        name: what errors call it.
    """

    template: int
    history: list[int]
    candidates: list[int]
    target: int
    name: str
