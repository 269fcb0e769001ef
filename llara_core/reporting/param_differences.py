"""Which params differ between a suite's arms, read from what their runs recorded and not from what was asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

from llara_core.experiments.overrides import name_of
from llara_core.reporting.results import SuiteResults
from llara_core.reporting.table import Column, Table, text

_OF_RUNS = "seed"  # which differs between the runs of an arm


def params_table(suite: SuiteResults) -> Table:
    """A row for each arm with results, a column for each param that has several values."""
    by_arm = {arm: dict(_flat(run.params)) for arm in suite.arms for run in suite.runs if run.arm == arm and run.params}
    names = sorted({name for params in by_arm.values() for name in params} - {_OF_RUNS})
    differing = [name for name in names if len({repr(params.get(name)) for params in by_arm.values()}) > 1]
    rows = [{"arm": arm, **{name: _word(params.get(name)) for name in differing}} for arm, params in by_arm.items()]
    columns = [Column("arm", text("arm")), *(Column(name, text(name), is_number=False) for name in differing)]
    return Table("params", "Params that differ between arms, as the runs recorded them", columns, rows)


def unexplained(suite: SuiteResults, table: Table) -> list[str]:
    """Params that differ though no arm's override names them, nor a section that they are of."""
    named = [name_of(override) for overrides in suite.arms.values() for override in overrides]
    differing = [column.label for column in table.columns[1:]]
    return [name for name in differing if not any(name == one or name.startswith(f"{one}.") for one in named)]


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
