"""The rows of an evaluation as a table in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_TABLE_WIDTH = 90  # where no terminal tells, as under DVC, rich would break the labels


def print_rows(rows: Mapping[str, Any], lists: Mapping[str, int], remarks: Sequence[str]) -> None:
    """Print `report.headline`'s rows from the best on, how many lists they are of, and remarks."""
    table = Table("model", "HitRatio@1", "95 % interval", "NDCG@5", "ValidRatio")
    for name, entry in sorted(rows.items(), key=lambda row: -row[1]["hit_ratio_at_1"]):
        interval = f"[{entry['hit_ratio_at_1_low']:.3f}, {entry['hit_ratio_at_1_high']:.3f}]"
        ranked = f"{entry['ndcg_at_5']:.3f}" if "ndcg_at_5" in entry else "–"
        table.add_row(Text(name), f"{entry['hit_ratio_at_1']:.3f}", interval, ranked, f"{entry['valid_ratio']:.3f}")
    console = Console(width=max(Console().width, _TABLE_WIDTH))
    console.print(table)
    console.print(f"{lists['n_lists']} lists of {lists['n_users']} users")
    for remark in remarks:
        console.print(f"• {remark}", style="yellow", highlight=False, markup=False)
