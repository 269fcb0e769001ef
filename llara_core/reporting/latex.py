"""A table for a paper: LaTeX with the rules of the package booktabs."""

from llara_core.reporting.table import DASH, Row, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    DASH: "--",
    "<": "$<$",
    ">": "$>$",
}


def booktabs(table: Table, label: str) -> str:
    """Return a `table` environment; whatever stands in its cells is text."""
    columns = table.columns
    kinds = "".join("r" if column.is_number else "l" for column in columns[1:])
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape(table.caption)}}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{l{kinds}}}",
        r"    \toprule",
        f"    {_line([column.label for column in columns])}",
        r"    \midrule",
        *(f"    {_line(_cells(table, row))}" for row in table.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(words: str) -> str:
    """Return words that LaTeX sets as they are."""
    return "".join(_SPECIAL.get(char, char) for char in words)


def _cells(table: Table, row: Row) -> list[str]:
    return [column.show(row) for column in table.columns]


def _line(cells: list[str]) -> str:
    # A row that begins with [ would be an option of the line break before it.
    return " & ".join("{}" + escape(cell) if cell.startswith("[") else escape(cell) for cell in cells) + r" \\"
