"""What counts as a result, what doesn't, and numbers worked out by hand."""

import pytest

from llara_core.reporting.judgement import judge
from llara_core.reporting.origin import runs_table
from llara_core.reporting.results import RunResult
from llara_core.reporting.section import make_section
from llara_core.reporting.tables import arms_table, costs_table, parts_table, recommender_table
from tests.evaluation.stored import make_asked
from tests.reporting.suites import ASKED, first, make_curve, make_run, make_suite, make_whole_suite, popular

METRIC = "hit_ratio_at_1"


def _failed(arm: str, seed: int) -> RunResult:
    return RunResult(f"suite-{arm}-s{seed}-0", arm, seed, "failed", ("out of memory",))


def test_arms_with_and_without_results() -> None:
    suite = make_suite(
        make_run("base", 0, first(10)),
        make_run("base", 1, first(14)),
        make_run("a", 0, first(25)),
        _failed("a", 1),
        _failed("b", 0),
        _failed("b", 1),
        RunResult("suite-c-s0-0", "c", 0, "not run"),
        RunResult("suite-d-s0-0", "d", 0, "done", ("nothing in DVC's cache",)),
        make_run("e", 0, first(9)),
        make_run("e", 1, first(9), make_asked(list(range(2, 32)))),
    )
    judged = judge(suite, METRIC, 200)
    assert judged.left_out.pop("e").startswith(
        "can't be read (suite-e-s0-0 and suite-e-s1-0 must have been asked about"
    )
    assert judged.left_out == {"b": "failed", "c": "has no run yet", "d": "can't be read"}
    rows = {row["arm"]: row for row in arms_table(suite, judge(suite, METRIC, 200)).rows}
    assert {arm: row["verdict"] for arm, row in rows.items()} == {
        "base": "baseline",
        "a": "better",
        "b": "failed",
        "c": "has no run yet",
        "d": "can't be read",
        "e": "can't be read",
    }
    # The baseline by both its seeds; the difference by the one that both have.
    assert (rows["base"]["mean"], rows["a"]["mean"]) == pytest.approx((12 / 30, 25 / 30))
    assert rows["a"]["difference"] == pytest.approx(15 / 30)
    assert rows["a"]["seeds"] == "0; failed: 1"
    assert (rows["d"]["seeds"], rows["c"]["seeds"], rows["base"]["seeds"]) == ("unread: 0", "not run: 0", "0 1")
    assert rows["b"]["mean"] is None
    assert [row["status"] for row in runs_table(suite).rows] == [run.status for run in suite.runs]
    notes = make_section("suite", suite, METRIC, 200).notes
    assert "a lacks seed 1 (failed)." in notes
    assert "b has no result here: it failed." in notes
    assert "a and base are compared by one common seed, 0: another may differ by more than the interval says." in notes


def test_p_is_corrected_for_all_arms() -> None:
    """15 users favour a, and 3 favour b: 2 / 2^15, times two comparisons, and 2 / 2^3."""
    suite = make_suite(make_run("base", 0, first(10)), make_run("a", 0, first(25)), make_run("b", 0, first(13)))
    rows = {row["arm"]: row for row in arms_table(suite, judge(suite, METRIC, 200)).rows}
    assert [(rows[arm]["p"], rows[arm]["p_holm"]) for arm in ("a", "b")] == [
        (pytest.approx(2 / 2**15), pytest.approx(4 / 2**15)),
        (pytest.approx(0.25), pytest.approx(0.25)),
    ]
    assert rows["base"]["p_holm"] is None


def test_parts_are_the_baselines_and_of_the_right_lists() -> None:
    """Ten targets of 2, ten of 10 and ten of 50 interactions; training counts of another arm are its own."""
    asked = popular(ASKED, [2] * 10 + [10] * 10 + [50] * 10)
    hits = [1] * 5 + [0] * 5 + [1] * 10 + [0] * 10
    suite = make_suite(make_run("base", 0, hits, asked), make_run("a", 0, first(10), popular(ASKED, [200] * 30)))
    judged = judge(suite, METRIC, 200)
    rows = parts_table("target_n_train", "base", judged).rows
    assert [(row["arm"], row["target_n_train"], row["lists"], row["mean"], row["difference"]) for row in rows] == [
        ("base", "1–4", 10, 0.5, None),
        ("base", "5–19", 10, 1.0, None),
        ("base", "20–99", 10, 0.0, None),
        ("a", "1–4", 10, 1.0, 0.5),
        ("a", "5–19", 10, 0.0, -1.0),
        ("a", "20–99", 10, 0.0, 0.0),
    ]
    lengths = parts_table("history_length", "base", judged).rows
    assert [(row["arm"], row["history_length"], row["lists"]) for row in lengths] == [
        ("base", "10–19", 30),
        ("a", "10–19", 30),
    ]


def test_beside_its_own_recommender() -> None:
    asked = popular(ASKED, [2] * 15 + [50] * 15)
    suite = make_suite(
        make_run("base", 0, first(10), asked, first(16)),
        make_run("base", 1, first(10), asked, first(18)),
        make_run("a", 0, first(30), asked),
    )
    rows = recommender_table(judge(suite, METRIC, 200)).rows
    # Of 15 rare targets the recommender hits all, the arm 10; of 15 others 1 and 3, the arm none.
    assert [(row["arm"], row["target_n_train"], row["lists"]) for row in rows] == [
        ("base", "all", 30),
        ("base", "1–4", 15),
        ("base", "20–99", 15),
    ]
    assert [row["difference"] for row in rows] == pytest.approx([-7 / 30, -5 / 15, -2 / 15])


def test_costs_are_means_of_finished_runs() -> None:
    """64 examples in 4 steps of 16: 8 + 4 + 2 + 2 seconds, and half of that at twice the speed."""
    slow, fast = make_curve([2.0, 4.0, 8.0, 8.0]), make_curve([4.0, 8.0, 16.0, 16.0])
    suite = make_suite(
        make_run("base", 0, first(10), curve=slow, examples=64, seconds=30.0),
        make_run("base", 1, first(10), curve=fast, examples=64, seconds=None),
        make_run("a", 0, first(12), curve=fast, examples=64, seconds=20.0),
        make_run("a", 1, first(12), curve=fast, examples=64, seconds=10.0),
    )
    rows = costs_table(suite, judge(suite, METRIC, 200)).rows
    assert [(row["arm"], row["examples"], row["tuning_seconds"], row["run_seconds"]) for row in rows] == [
        ("base", 64, 12.0, None),
        ("a", 64, 8.0, 15.0),
    ]


def test_a_suite_without_any_result_is_still_shown() -> None:
    section = make_section("suite", make_suite(_failed("base", 0), _failed("a", 0)), METRIC, 200)
    assert section.conclusion == (
        "Nothing may be concluded, as no arm can be paired with base; base failed and isn't judged; a failed and isn't "
        "judged."
    )
    assert section.failures == {"out of memory": ["suite-base-s0-0", "suite-a-s0-0"]}
    assert not section.figures


def test_a_whole_suite_has_every_block() -> None:
    section = make_section("suite", make_whole_suite("a"), METRIC, 200)
    assert [block.title for block in section.blocks] == [
        "By length of the history and popularity of the target",
        "Beside the recommender alone",
        "Training curves",
        "Cost against quality",
        "Params that differ",
        "Runs, machine and hashes",
    ]
    assert len({figure.key for figure in section.figures}) == len(section.figures) == 9
    assert len({table.key for table in section.tables}) == len(section.tables) == 10
    assert section.answer.tables[0].key == "arms"
