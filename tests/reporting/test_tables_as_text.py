"""One table as CSV, on the page, and in LaTeX; curves and params behind them."""

import csv
import io

import pytest

from llara_core.reporting.anchors import anchors_table
from llara_core.reporting.curves import hybrid_shares, thinned, tuning_seconds
from llara_core.reporting.latex import booktabs, escape
from llara_core.reporting.names import metric_name
from llara_core.reporting.param_differences import params_table, unexplained
from llara_core.reporting.table import Column, Table, interval, listed, number, p_value, text
from tests.reporting.suites import first, make_curve, make_run, make_suite

TABLE = Table(
    "arms",
    "50 % of a_b & c",
    [Column("arm", text("arm")), Column("x", number("x", "+.2f")), Column("ends", interval("low", "high", ".1f"))],
    [
        {"arm": 'a_b, "quoted"', "x": -0.1 - 0.2, "low": -1.0, "high": 2.0, "n": 3},
        {"arm": "[c]", "x": None, "low": None, "high": None, "n": None},
    ],
)


def test_csv_keeps_every_digit() -> None:
    rows = list(csv.DictReader(io.StringIO(TABLE.as_csv())))
    assert rows[0] == {"arm": 'a_b, "quoted"', "x": "-0.30000000000000004", "low": "-1.0", "high": "2.0", "n": "3"}
    assert float(rows[0]["x"]) == -0.1 - 0.2
    assert rows[1] == {"arm": "[c]", "x": "", "low": "", "high": "", "n": ""}
    assert Table("none", "", [], []).as_csv() == ""


def test_cells_as_shown() -> None:
    assert [column.show(TABLE.rows[0]) for column in TABLE.columns] == ['a_b, "quoted"', "−0.30", "[−1.0, 2.0]"]
    assert [column.show(TABLE.rows[1]) for column in TABLE.columns[1:]] == ["–", "–"]
    signed = number("x", "+.4f")
    assert [signed({"x": x}) for x in (-0.00004, 0.0, -0.00006, 12.5)] == ["+0.0000", "+0.0000", "−0.0001", "+12.5000"]
    shown = p_value("p")
    assert [shown({"p": p}) for p in (None, 1.0, 0.0123, 1e-4, 9e-5)] == ["–", "1", "0.012", "0.0001", "< 0.0001"]
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert [metric_name(name) for name in ("hit_ratio_at_1", "ndcg_at_10", "mrr", "valid_ratio")] == [
        "HitRatio@1",
        "NDCG@10",
        "MRR",
        "ValidRatio",
    ]


def test_latex_of_booktabs() -> None:
    assert booktabs(TABLE, "suite-arms") == "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            r"  \caption{50 \% of a\_b \& c}",
            r"  \label{tab:suite-arms}",
            r"  \begin{tabular}{lrr}",
            r"    \toprule",
            r"    arm & x & ends \\",
            r"    \midrule",
            r'    a\_b, "quoted" & $-$0.30 & {}[$-$1.0, 2.0] \\',
            r"    {}[c] & -- & -- \\",
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )
    assert (
        escape("\\input{x} #1 ~^$<>") == r"\textbackslash{}input\{x\} \#1 \textasciitilde{}\textasciicircum{}\$$<$$>$"
    )


def test_curves_are_thinned_to_means_and_missing_values_left_out() -> None:
    run = make_run("a", 0, first(3), curve=make_curve([1.0] * 96), examples=96)
    points = thinned(run, "loss")
    assert len(points) == 48
    # Losses 9, 8, …: each point is the mean of two steps.
    assert [point["value"] for point in points[:2]] == [8.5, 6.5]
    assert [point["step"] for point in points[:2]] == [1.5, 3.5]
    few = make_run("a", 0, first(3), curve=make_curve([1.0] * 4), examples=4)
    assert [(point["step"], point["value"]) for point in thinned(few, "validation")] == [(2.0, 0.2), (4.0, 0.4)]
    assert thinned(make_run("a", 0, first(3)), "loss") == []


def test_realised_shares_are_of_all_seeds() -> None:
    """Of 24 steps whose batches are hybrid by turns, a stretch of two is half hybrid; intended is step/24."""
    runs = [make_run("a", seed, first(3), curve=make_curve([1.0] * 24), examples=24) for seed in (0, 1)]
    shares = hybrid_shares("a", [*runs, make_run("b", 0, first(3), curve=make_curve([1.0] * 2), examples=2)])
    intended, realised = ([row for row in shares if row["kind"] == kind] for kind in ("intended", "realised"))
    assert len(intended) == len(realised) == 12
    assert [row["value"] for row in realised] == [0.5] * 12
    assert [row["value"] for row in intended[:2]] == pytest.approx([1.5 / 24, 3.5 / 24])


def test_seconds_need_every_speed() -> None:
    assert tuning_seconds(make_run("a", 0, first(3), curve=make_curve([2.0, 4.0, 8.0, 8.0]), examples=32)) == 8.0
    assert tuning_seconds(make_run("a", 0, first(3), curve=make_curve([2.0, 4.0]))) is None
    holes = make_curve([2.0, 4.0])
    holes[1]["examples_per_second"] = None
    assert tuning_seconds(make_run("a", 0, first(3), curve=holes, examples=32)) is None


def test_params_that_differ_are_read_from_the_runs() -> None:
    shared = {"lora": {"r": 8}, "probes": []}
    suite = make_suite(
        make_run("base", 0, first(3), params={"seed": 0, "curriculum": {"schedule": "linear", "text": True}} | shared),
        make_run("base", 1, first(3), params={"seed": 1, "curriculum": {"schedule": "linear", "text": True}} | shared),
        make_run("a", 0, first(3), params={"seed": 0, "curriculum": {"schedule": "step"}, "lr": 0.1} | shared),
    )
    table = params_table(suite)
    assert [column.label for column in table.columns] == ["arm", "curriculum.schedule", "curriculum.text", "lr"]
    assert list(table.rows) == [
        {"arm": "base", "curriculum.schedule": "linear", "curriculum.text": "true", "lr": ""},
        {"arm": "a", "curriculum.schedule": "step", "curriculum.text": "", "lr": "0.1"},
    ]
    named = make_suite(*suite.runs)
    named = type(named)(**(vars(named) | {"arms": {"base": (), "a": ("curriculum.schedule=step", "~curriculum.text")}}))
    assert unexplained(named, table) == ["lr"]
    whole = type(named)(**(vars(named) | {"arms": {"base": (), "a": ("curriculum={schedule: step}", "+lr=0.1")}}))
    assert unexplained(whole, table) == []


def test_published_numbers_have_wilsons_interval_where_they_are_counts() -> None:
    rows = {(row["dataset"], row["model"]): row for row in anchors_table().rows}
    paper = rows["MovieLens-100K", "LLaRA (SASRec), Llama-2-7B"]
    assert (paper["hit_ratio_at_1"], paper["valid_ratio"]) == (0.4526, 0.9789)
    # Wilson by hand: p = 43/95, z = 1.96: (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n).
    assert (paper["low"], paper["high"]) == pytest.approx((0.3563, 0.5526), abs=1e-4)
    for row in rows.values():
        if row["hits"] is not None:
            assert round(row["hits"] / row["lists"], 4) == row["hit_ratio_at_1"]
        else:
            assert row["low"] is None
    assert rows["Steam", "LLaRA (SASRec), Llama-2-7B"]["hit_ratio_at_1"] == 0.5051
    assert rows["LastFM", "LLaRA (SASRec), Llama-2-7B"]["hit_ratio_at_1"] == 0.5246
    assert (rows["MovieLens-100K", "ST2SI"]["hit_ratio_at_1"], rows["MovieLens-100K", "ST2SI"]["spread"]) == (
        0.4734,
        0.036,
    )
