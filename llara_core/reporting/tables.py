"""The tables of a suite: its arms, parts of the lists, what stands beside the recommender, and costs."""

from typing import Any

import numpy as np

from llara_core.evaluation.comparison import Difference
from llara_core.reporting.curves import tuning_seconds
from llara_core.reporting.judgement import Judged
from llara_core.reporting.names import PROPERTIES, VERDICTS, metric_name, tone
from llara_core.reporting.results import RunResult, SuiteResults
from llara_core.reporting.table import Column, Table, interval, number, p_value, text


def _ends(prefix: str, found: Any) -> dict[str, float | None]:
    low, high = (None, None) if found is None else (found.low, found.high)
    return {f"{prefix}low": low, f"{prefix}high": high}


def arms_table(suite: SuiteResults, judged: Judged) -> Table:
    """Every arm of the suite, those without a result too."""
    name = metric_name(judged.metric)
    rows = [_arm_row(arm, suite, judged) for arm in suite.arms]
    several = len(judged.pairs) > 1
    columns = [
        Column("arm", text("arm")),
        Column(name, number("mean", ".4f")),
        Column("95 % interval", interval("low", "high", ".4f")),
        Column(f"difference to {suite.baseline}", number("difference", "+.4f")),
        Column("95 % interval of it", interval("difference_low", "difference_high", "+.4f")),
        Column("p (Holm)" if several else "p", p_value("p_holm")),
        Column("verdict", text("verdict"), is_number=False, tone=tone("verdict")),
        Column("seeds", text("seeds"), is_number=False),
        Column("sd of seeds", number("seed_sd", ".4f")),
        Column("ValidRatio", number("valid_ratio", ".3f")),
    ]
    pairs = len(judged.pairs)
    corrected = f" p is corrected by Holm for {pairs} comparisons." if several else ""
    return Table(
        "arms", f"{name} of every arm, and what it differs from {suite.baseline} by.{corrected}", columns, rows
    )


def _arm_row(arm: str, suite: SuiteResults, judged: Judged) -> dict[str, Any]:
    own, pair, runs = judged.owns.get(arm), judged.pairs.get(arm), [run for run in suite.runs if run.arm == arm]
    difference = pair.difference if pair else None
    return {
        "arm": arm,
        "mean": own.mean if own else None,
        **_ends("", own),
        "valid_ratio": _mean([float(run.answers.valid.mean()) for run in runs if run.answers]) if own else None,
        "seeds": _seeds(runs),
        "seed_means": " ".join(repr(mean) for mean in own.seed_means) if own else "",
        "seed_sd": own.seed_sd if own else None,
        "difference": difference.mean if difference else None,
        **_ends("difference_", difference),
        "p": difference.p if difference else None,
        "p_holm": pair.p_holm if pair else None,
        "verdict": _verdict(arm, suite.baseline, judged),
        "overrides": " ".join(suite.arms[arm]),
        "reason": judged.reasons.get(arm, judged.left_out.get(arm, "")),
    }


def _verdict(arm: str, baseline: str, judged: Judged) -> str:
    if arm in judged.left_out:
        return judged.left_out[arm].partition(" (")[0]
    if arm == baseline:
        return "baseline"
    return VERDICTS[judged.pairs[arm].verdict] if arm in judged.pairs else "beside"


def _seeds(runs: list[RunResult]) -> str:
    """`0 1; failed: 2`."""
    found: dict[str, list[str]] = {}
    for run in runs:
        status = "" if run.answers is not None else "unread" if run.status == "done" else run.status
        found.setdefault(f"{status}: " if status else "", []).append(str(run.seed))
    return "; ".join(how + " ".join(seeds) for how, seeds in sorted(found.items()))


def parts_table(property_: str, baseline: str, judged: Judged) -> Table:
    """Every arm by ranges of a property of the lists."""
    rows = []
    for arm, parts in judged.own_parts.items():
        slices = judged.pairs[arm].slices if arm in judged.pairs else {}
        for label, (own, n_lists, n_users) in parts[property_].items():
            difference = slices.get(property_, {}).get(label)
            rows.append(
                {
                    "arm": arm,
                    property_: label,
                    "lists": n_lists,
                    "users": n_users,
                    "mean": own.mean,
                    **_ends("", own),
                    "difference": difference.mean if difference else None,
                    **_ends("difference_", difference),
                }
            )
    shown, name = PROPERTIES[property_], metric_name(judged.metric)
    columns = [
        Column("arm", text("arm")),
        Column(shown, text(property_), is_number=False),
        Column("lists", number("lists", ",")),
        Column("users", number("users", ",")),
        Column(name, number("mean", ".4f")),
        Column("95 % interval", interval("low", "high", ".4f")),
        Column(f"difference to {baseline}", number("difference", "+.4f")),
        Column("95 % interval of it", interval("difference_low", "difference_high", "+.4f")),
    ]
    caption = f"{name} by {shown}. Each interval stands by itself, without correction for their number."
    return Table(f"by_{property_}", caption, columns, rows)


def recommender_table(judged: Judged) -> Table:
    """What every arm differs from its own recommender by, over all lists and by popularity of the target."""
    rows = [
        {"arm": arm, "target_n_train": label, **_difference(found)}
        for arm, parts in judged.beside_recommender.items()
        for label, found in {**parts["all"], **parts["target_n_train"]}.items()
    ]
    columns = [
        Column("arm", text("arm")),
        Column(PROPERTIES["target_n_train"], text("target_n_train"), is_number=False),
        Column("lists", number("lists", ",")),
        Column("users", number("users", ",")),
        Column("difference to its recommender", number("difference", "+.4f")),
        Column("95 % interval", interval("difference_low", "difference_high", "+.4f")),
    ]
    caption = f"{metric_name(judged.metric)} of every arm less that of its own recommender, by popularity"
    return Table("beside_recommender", caption, columns, rows)


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "lists": found.n_lists,
        "users": found.n_users,
        "difference": found.mean,
        **_ends("difference_", found),
    }


def costs_table(suite: SuiteResults, judged: Judged) -> Table:
    """What the arms cost, means over their finished runs, beside what they reach."""
    rows = []
    for arm, own in judged.owns.items():
        runs = [run for run in suite.runs if run.arm == arm and run.answers is not None]
        row = {
            "arm": arm,
            "examples": _mean([run.examples for run in runs]),
            "tuning_seconds": _mean([tuning_seconds(run) for run in runs]),
            "run_seconds": _mean([run.seconds for run in runs]),
        }
        rows.append({**row, "mean": own.mean, **_ends("", own)})
    columns = [
        Column("arm", text("arm")),
        Column("examples", number("examples", ",.0f")),
        Column("tuning (s)", number("tuning_seconds", ",.0f")),
        Column("whole run (s)", number("run_seconds", ",.0f")),
        Column(metric_name(judged.metric), number("mean", ".4f")),
        Column("95 % interval", interval("low", "high", ".4f")),
    ]
    caption = (
        "Cost and quality, means over finished runs. A whole run counts what it computed itself: stages that an "
        "earlier run had computed took no time."
    )
    return Table("costs", caption, columns, rows)


def _mean(values: list[Any]) -> float | None:
    return None if not values or None in values else float(np.mean(values))
