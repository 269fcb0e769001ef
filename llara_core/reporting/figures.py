"""The plots of a suite: drawn from its tables' rows, with the same numbers in words for whoever can't see them."""

from collections.abc import Sequence

from llara_core.plotting.inline import Figure
from llara_core.reporting.curves import hybrid_shares, thinned
from llara_core.reporting.drawing import beside, by_range, intervals, lines
from llara_core.reporting.judgement import Judged
from llara_core.reporting.names import PROPERTIES, metric_name
from llara_core.reporting.results import SuiteResults
from llara_core.reporting.table import Row, Table, interval, number


def arms_figure(suite: SuiteResults, table: Table, judged: Judged) -> Figure | None:
    """Each arm by itself."""
    rows = [_dot(row["arm"], row, "mean", "", row["arm"] == suite.baseline) for row in table.rows]
    rows = [row for row in rows if row["value"] is not None]
    name = metric_name(judged.metric)
    title = f"{name} of each arm, with 95 % intervals"
    return (
        rows
        and Figure(
            f"{suite.name}-arms",
            title,
            _in_words(f"{name}; the baseline's dot is filled", rows, ".4f"),
            intervals(rows, name, zero=False),
            table.key,
        )
    ) or None


def differences_figure(suite: SuiteResults, table: Table, judged: Judged) -> Figure | None:
    """Each arm less the baseline."""
    rows = [
        _dot(row["arm"], row, "difference", "difference_", judged.pairs[row["arm"]].verdict in ("first", "second"))
        for row in table.rows
        if row["difference"] is not None
    ]
    if not rows:
        return None
    name = f"difference in {metric_name(judged.metric)} to {suite.baseline}"
    title = f"{name[0].upper()}{name[1:]}, paired, with 95 % intervals"
    words = _in_words("Filled dots are claims, empty ones can't be told from 0", rows, "+.4f")
    return Figure(f"{suite.name}-differences", title, words, intervals(rows, name, zero=True), table.key)


def parts_figure(suite: SuiteResults, table: Table, property_: str, judged: Judged) -> Figure | None:
    """Differences to the baseline by ranges of a property."""
    return _ranges(f"{suite.name}-by-{property_}", table, property_, suite.baseline, judged)


def recommender_figure(suite: SuiteResults, table: Table, judged: Judged) -> Figure | None:
    """Differences to each arm's own recommender by popularity."""
    rows = [row for row in table.rows if row["target_n_train"] != "all"]
    own = Table(table.key, table.caption, table.columns, rows)
    return _ranges(f"{suite.name}-beside-recommender", own, "target_n_train", "its recommender", judged)


def _ranges(key: str, table: Table, property_: str, baseline: str, judged: Judged) -> Figure | None:
    rows = [
        {"panel": row["arm"], "at": row[property_], **_ends(row, "difference", "difference_")}
        for row in table.rows
        if row["difference"] is not None
    ]
    if not rows:
        return None
    order = list(dict.fromkeys(row["at"] for row in rows))
    known = [label for label in _ordered(table, property_) if label in order]
    name = metric_name(judged.metric)
    title = f"Difference in {name} to {baseline}, by {PROPERTIES[property_]}, with 95 % intervals"
    words = _in_words(title, [{**row, "name": f"{row['panel']} at {row['at']}"} for row in rows], "+.4f")
    return Figure(key, title, words, by_range(rows, known), table.key)


def _ordered(table: Table, property_: str) -> list[str]:
    """Ranges from the lowest on: by the number that they begin with."""
    found = {row[property_] for row in table.rows}
    return sorted(found, key=lambda label: int("".join(char if char.isdigit() else " " for char in label).split()[0]))


def curve_figures(suite: SuiteResults, source: str) -> list[Figure]:
    """Loss, validation and share of hybrid examples of each arm, a line for each seed."""
    found = []
    objectives = {str(run.params.get("train", {}).get("objective")) for run in suite.runs if run.curve}
    for column, title in (("loss", "Training loss"), ("validation", "Validation")):
        rows = [{"panel": run.arm, **point} for run in suite.runs for point in thinned(run, column)]
        if rows:
            drawing = lines(rows, "step", column, kinds=False, shared=len(objectives) < 2)
            words = _ends_in_words(rows, f"{title} by step, a line for each seed")
            found.append(Figure(f"{suite.name}-{column}", f"{title} by step", words, drawing, source))
    shares = [{"panel": row["arm"], **row} for arm in suite.arms for row in hybrid_shares(arm, suite.runs)]
    if shares:
        title = "Hybrid examples: intended probability and realised share"
        drawing = lines(shares, "step", "share", kinds=True, shared=True)
        words = _ends_in_words(shares, f"{title} over all seeds, by step")
        found.append(Figure(f"{suite.name}-hybrid-share", title, words, drawing, source))
    return found


def cost_figure(suite: SuiteResults, table: Table, judged: Judged) -> Figure | None:
    """Seconds of tuning against quality."""
    rows = [
        {"name": row["arm"], "at": row["tuning_seconds"], **_ends(row, "mean", "")}
        for row in table.rows
        if row["tuning_seconds"] is not None
    ]
    if len(rows) < 2:
        return None
    name = metric_name(judged.metric)
    each = [f"{row['name']} {row['at']:,.0f} s, {row['value']:.4f}" for row in rows]
    title = f"Seconds of tuning, and {name} with its 95 % interval"
    drawing = beside(rows, "seconds of tuning", name)
    return Figure(f"{suite.name}-costs", title, f"{title}: {'; '.join(each)}.", drawing, table.key)


def _dot(name: str, row: Row, value: str, prefix: str, is_sure: bool) -> Row:
    return {"name": name, **_ends(row, value, prefix), "is_sure": is_sure}


def _ends(row: Row, value: str, prefix: str) -> dict[str, float | None]:
    return {"value": row[value], "low": row[f"{prefix}low"], "high": row[f"{prefix}high"]}


def _in_words(start: str, rows: Sequence[Row], form: str) -> str:
    value, ends = number("value", form), interval("low", "high", form)
    each = "; ".join(f"{row['name']} {value(row)} {ends(row)}" for row in rows)
    return f"{start}: {each}."


def _ends_in_words(rows: Sequence[Row], start: str) -> str:
    """Where each line begins and ends."""
    paths: dict[str, list[float]] = {}
    for row in rows:
        name = " ".join(str(row[key]) for key in ("panel", "kind") if key in row)
        paths.setdefault(f"{name}, seed {row['seed']}", []).append(row["value"])
    each = "; ".join(f"{name}, from {path[0]:.3f} to {path[-1]:.3f}" for name, path in paths.items())
    return f"{start}: {each}."
