"""A table once, for the page, as CSV and for LaTeX: its rows hold raw numbers, its columns say how they are shown."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
DASH = "–"


@dataclass(frozen=True)
class Column:
    """How a column of the page is shown.

    Attributes:
        label: its head.
        show: the text of a row's cell.
        is_number: set flush right.
        hint: what stands behind a shortened text.
        tone: `good`, `bad` or `quiet`, beside the words and never instead of them.
    """

    label: str
    show: Callable[[Row], str]
    is_number: bool = True
    hint: Callable[[Row], str] | None = None
    tone: Callable[[Row], str] | None = None


@dataclass(frozen=True)
class Table:
    """Rows of one form.

    Attributes:
        key: name of its CSV file.
        caption: what it shows.
        columns: of the page, of which the first one names the row; none, where the table is CSV alone.
        rows: all with the same keys, which are the columns of the CSV.
    """

    key: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]

    def as_csv(self) -> str:
        """Return all rows with all digits."""
        packed = io.StringIO()
        writer = csv.writer(packed, lineterminator="\n")
        if self.rows:
            writer.writerow(self.rows[0])
            writer.writerows([_plain(value) for value in row.values()] for row in self.rows)
        return packed.getvalue()


def _plain(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def text(key: str) -> Callable[[Row], str]:
    """Show a value as it is."""
    return lambda row: DASH if row[key] in (None, "") else str(row[key])


def number(key: str, form: str) -> Callable[[Row], str]:
    """Show a number in this form, with a true minus."""
    return lambda row: DASH if row[key] is None else _shown(row[key], form)


def p_value(key: str) -> Callable[[Row], str]:
    """Show a p with two digits, and of a very small one only that it is."""
    return lambda row: DASH if row[key] is None else "< 0.0001" if row[key] < 1e-4 else format(row[key], ".2g")


def interval(low: str, high: str, form: str) -> Callable[[Row], str]:
    """Show two ends."""
    return lambda row: DASH if row[low] is None else f"[{_shown(row[low], form)}, {_shown(row[high], form)}]"


def shortened(key: str, digits: int = 10) -> Column:
    """A digest, of which the page shows the beginning and the CSV all."""
    return Column(key, lambda row: (row[key] or DASH)[:digits], is_number=False, hint=lambda row: row[key] or "")


def _shown(value: float, form: str) -> str:
    words = format(value, form)
    if not any(digit in words for digit in "123456789"):  # a rounded 0 has no sign of its own
        words = format(abs(value), form)
    return words.replace("-", "−")


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
