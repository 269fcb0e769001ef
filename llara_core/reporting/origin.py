"""Where a suite's numbers come from: its runs, what they were made from, and on which machine."""

from llara_core.reporting.curves import tuning_seconds
from llara_core.reporting.names import tone
from llara_core.reporting.results import SuiteResults
from llara_core.reporting.table import Column, Table, number, shortened, text


def runs_table(suite: SuiteResults) -> Table:
    """Every run, the failed ones too."""
    rows = [
        {
            "run": run.name,
            "arm": run.arm,
            "seed": run.seed,
            "status": run.status,
            "mean": None if run.answers is None else float(run.answers.values.mean()),
            "examples": run.examples,
            "tuning_seconds": tuning_seconds(run),
            "run_seconds": run.seconds,
            "commit": run.commit,
            "why": " | ".join(run.why),
        }
        for run in suite.runs
    ]
    columns = [
        Column("run", text("run")),
        Column("seed", number("seed", "d")),
        Column("status", text("status"), is_number=False, tone=tone("status")),
        Column("result", number("mean", ".4f")),
        Column("whole run (s)", number("run_seconds", ",.0f")),
        shortened("commit"),
    ]
    return Table("runs", "Every run of the suite", columns, rows)


def digests_table(suite: SuiteResults) -> Table:
    """Hashes of the lists and of what the answers were made from."""
    names = list(dict.fromkeys(name for run in suite.runs for name in run.digests))
    rows = [{"run": run.name, **{name: run.digests.get(name) for name in names}} for run in suite.runs if run.digests]
    columns = [Column("run", text("run")), *(shortened(name, 8) for name in names)]
    return Table("digests", "Hashes of lists and inputs (the CSV has all digits)", columns, rows)


def machines_table(suite: SuiteResults) -> Table:
    """Where runs were made: a row for each machine or set of versions."""
    kinds: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for run in suite.runs:
        if run.machine:
            kinds.setdefault(tuple(run.machine.items()), []).append(run.name)
    names = list(dict.fromkeys(name for kind in kinds for name, _ in kind))
    rows = [{"runs": len(runs), **{name: dict(kind).get(name) for name in names}} for kind, runs in kinds.items()]
    columns = [Column("runs", number("runs", "d")), *(Column(name, text(name), is_number=False) for name in names)]
    return Table("machines", "Machine and versions, as written down when runs ended", columns, rows)
