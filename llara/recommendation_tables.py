"""A recommendation as tables in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llara_core.recommending.requests import LLARA, RECOMMENDER, TOGETHER, Recommendation

_NAMES = {LLARA: "LLaRA", RECOMMENDER: "recommender", TOGETHER: "together"}
_POOLS = {
    "catalogue": "all items not in the history",
    "given": "the candidates",
    "recommender": "the first of the recommender",
}
_TABLE_WIDTH = 110  # where no terminal tells, rich would break titles
_DASH = "–"


def print_recommendation(answer: Recommendation, titles: Sequence[str]) -> None:
    """Print the rankings beside one another, and what each item of the history contributed to the first of each."""
    console = Console(emoji=False, width=max(Console().width, _TABLE_WIDTH), highlight=False)
    shown = [item if isinstance(item, str) else titles[item] for item in answer.shown]
    console.print(Text(f"After {' · '.join(shown)}"))
    console.print(Text(f"Ranked: {_POOLS[answer.pool]}, {answer.n_pool} items"))
    console.print(_rankings(answer))
    if any(other for ranked in answer.rankings.values() for other in ranked[0].without):
        console.print(_contributions(answer, shown))


def _rankings(answer: Recommendation) -> Table:
    table = Table("#")
    for name in answer.rankings:
        table.add_column(_NAMES[name])
        table.add_column("p", justify="right")
    for place in range(max(len(ranked) for ranked in answer.rankings.values())):
        cells: list[Text | str] = []
        for ranked in answer.rankings.values():
            cells += [Text(ranked[place].title), f"{ranked[place].probability:.1%}"]
        table.add_row(str(place + 1), *cells)
    return table


def _contributions(answer: Recommendation, shown: Sequence[str]) -> Table:
    """A row for each item of the history: the first item's score with it less that without it, and p without it."""
    table = Table("without", title="What each title contributed to the first of each ranking: score with − without it")
    for name, ranked in answer.rankings.items():
        table.add_column(Text(f"{_NAMES[name]}: {ranked[0].title}"), justify="right")
        table.add_column(f"p {ranked[0].probability:.1%} →", justify="right")
    for place, title in enumerate(shown):
        cells = []
        for ranked in answer.rankings.values():
            other = ranked[0].without[place]
            cells += (
                [_DASH, _DASH]
                if other is None
                else [f"{ranked[0].score - other.score:+.3f}", f"{other.probability:.1%}"]
            )
        table.add_row(Text(title), *cells)
    return table
