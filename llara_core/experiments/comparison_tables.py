"""A comparison as tables and sentences in a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llara_core.evaluation.comparison import Counts, Difference
from llara_core.evaluation.comparison_report import Own, Pair, Report

_TABLE_WIDTH = 120  # where no terminal tells, rich would break the labels
_DASH = "–"
_PROPERTIES = {"history_length": "items before", "target_n_train": "target in training"}


def print_report(result: Report) -> None:
    """Print tables and sentences."""
    console = Console(emoji=False, width=max(Console().width, _TABLE_WIDTH), highlight=False)
    print(f"{result.metric} on {result.n_lists} lists of {result.n_users} users")
    console.print(_own_table(result))
    console.print(_pair_table(result.pairs))
    if len(result.pairs) >= len(result.variants) > 2:  # all pairs, not each with the first alone
        console.print(_matrix(result))
    for pair in result.pairs:
        if pair.slices:
            console.print(_slice_table(pair))
    for line in [*(pair.words for pair in result.pairs), *(f"Note: {note}" for note in result.notes)]:
        print(line)


def own_interval(own: Own) -> str:
    """`[0.4000, 0.6250]`, or a dash where there is none."""
    return _DASH if own.low is None else f"[{own.low:.4f}, {own.high:.4f}]"


def _own_table(result: Report) -> Table:
    has_seeds = any(own.seed_sd is not None for own in result.variants)
    table = Table("variant", result.metric, "95 % interval", *(["sd of seeds", "seeds"] if has_seeds else []))
    for own in result.variants:
        deviation = _DASH if own.seed_sd is None else f"{own.seed_sd:.4f}"
        seeds = [deviation, " ".join(f"{mean:.4f}" for mean in own.seed_means)] if has_seeds else []
        table.add_row(Text(own.name), f"{own.mean:.4f}", own_interval(own), *seeds)
    return table


def _pair_table(pairs: list[Pair]) -> Table:
    several = len(pairs) > 1
    head = ["p", "p (Holm)"] if several else ["p"]
    table = Table("first − second", "difference", "95 % interval", *head, "test", "users +/=/−", "lists +/=/−")
    for pair in pairs:
        found = pair.difference
        p_values = [f"{found.p:.3g}", f"{pair.p_holm:.3g}"] if several else [f"{found.p:.3g}"]
        name = Text(f"{pair.first} − {pair.second}")
        test = found.test if found.p_pooled is None else f"{found.test}, t"
        counts = (_counts(found.users), _counts(found.lists))
        table.add_row(name, f"{found.mean:+.4f}", _interval(found), *p_values, test, *counts)
    return table


def _matrix(result: Report) -> Table:
    """Row − column, with p by Holm."""
    cells = {}
    for pair in result.pairs:
        for couple, sign in (((pair.first, pair.second), 1), ((pair.second, pair.first), -1)):
            cells[couple] = f"{sign * pair.difference.mean:+.4f} (p {pair.p_holm:.2g})"
    names = [own.name for own in result.variants]
    table = Table("row − column")
    for column in names:
        table.add_column(Text(column))
    for row in names:
        table.add_row(Text(row), *(cells.get((row, column), "") for column in names))
    return table


def _slice_table(pair: Pair) -> Table:
    table = Table("slice", "lists", "users", "difference", "95 % interval", title=Text(f"{pair.first} − {pair.second}"))
    for name, parts in pair.slices.items():
        for label, found in parts.items():
            sizes = (str(found.n_lists), str(found.n_users))
            table.add_row(f"{_PROPERTIES[name]} {label}", *sizes, f"{found.mean:+.4f}", _interval(found))
    return table


def _interval(found: Difference) -> str:
    return _DASH if found.low is None else f"[{found.low:+.4f}, {found.high:+.4f}]"


def _counts(counts: Counts) -> str:
    return f"{counts.wins}/{counts.ties}/{counts.losses}"
