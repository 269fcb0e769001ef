"""Replies as a row: against fractions that are worked out by hand, and beside the evaluation's rows."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llara_core.errors import ArtifactError, RequestError
from llara_core.outside_judge.judging import (
    Verdict,
    conclude,
    count_replies,
    judge_replies,
    read_stored,
    require_free,
    rows_beside,
    write_verdict,
)
from llara_core.outside_judge.lists import compose_prompts
from llara_core.outside_judge.replies import Reply
from llara_core.params.params import Params
from llara_core.runtime.files import sha256_of_folder
from llara_core.runtime.paths import CANDIDATES, PROCESSED, RECOMMENDER
from llara_core.tables.asked_lists import write_hard_lists
from llara_core.tables.predictions import (
    INSIDE,
    NO_ITEM,
    NONE,
    WHOLE,
    Answered,
    Asked,
    read_predictions,
    write_predictions,
)
from tests.conftest import TITLES
from tests.outside_judge.answers import HIGH, LOW, answer_to
from tests.outside_judge.conftest import make_scored, make_tables
from tests.outside_judge.test_endpoint import settings_for

SETTINGS = settings_for("https://h/v1")


def reply(text: str, finish: str | None = "stop") -> Reply:
    return Reply(answer=text, finish=finish, prompt_tokens=30, reply_tokens=3, model="tiny-2026")


def _asked(draws: int = 2) -> Asked:
    tables = make_tables()
    return Asked.of(tables.sets.select(tables.sets.draws < draws), tables.items)


def _replies(params: Params, asked: Asked) -> list[Reply]:
    return [reply(answer_to(prompt)) for prompt in compose_prompts(params, make_tables(), asked.sets)]


def _conclude(params: Params, draws: int, **beside: list[int]) -> Verdict:
    asked = _asked(draws)
    rows = {name: make_scored(asked, hits) for name, hits in beside.items()}
    return conclude("tiny", SETTINGS, _replies(params, asked), asked, TITLES, rows)


def test_answers_name_what_they_name(params: Params) -> None:
    asked = _asked()
    found = judge_replies(_replies(params, asked), asked, TITLES)
    assert found.matched_items.tolist() == [3, 3, 6, NO_ITEM, 1, 5, NO_ITEM, NO_ITEM]
    assert found.matches == [WHOLE, WHOLE, INSIDE, NONE, WHOLE, WHOLE, NONE, NONE]
    assert found.answers[2] == 'After Alien 3, I would pick "Heat" next.'
    assert found.scores is None


def test_the_first_draws_come_to_the_fractions_of_the_hand(params: Params) -> None:
    metrics = _conclude(params, 1).metrics
    assert metrics["lists"] == {"n_lists": 4, "n_users": 4}
    assert metrics["models"]["tiny"] == {
        "hit_ratio_at_1": 2 / 4,
        "hit_ratio_at_1_low": pytest.approx(LOW, abs=1e-6),
        "hit_ratio_at_1_high": pytest.approx(HIGH, abs=1e-6),
        "valid_ratio": 3 / 4,
    }


def test_two_draws_a_user_are_one_cluster(params: Params) -> None:
    found = _conclude(params, 2).metrics["models"]["tiny"]
    assert (found["hit_ratio_at_1"], found["valid_ratio"]) == (4 / 8, 5 / 8)
    # Users have 2, 1, 1, 0 of 2: jackknife variance 3/4 Σ((4 − h)/6 − 1/2)² = 3/4 · 2/36 = 1/24, so n_eff = 24/4 = 6,
    # and Wilson's with Student's t of 3 degrees, 3.182446: .5 ± t / (1 + t²/6) · √(1/24 + t²/144).
    half = 3.182446 / (1 + 3.182446**2 / 6) * (1 / 24 + 3.182446**2 / 144) ** 0.5
    assert found["hit_ratio_at_1_low"] == pytest.approx(0.5 - half, abs=1e-6)
    assert found["hit_ratio_at_1_high"] == pytest.approx(0.5 + half, abs=1e-6)


def test_rows_beside_it_are_compared_pair_by_pair(params: Params) -> None:
    metrics = _conclude(params, 1, llara=[1, 1, 1, 0], recommender=[1, 1, 1, 1]).metrics
    assert list(metrics["models"]) == ["tiny", "llara", "recommender"]
    assert metrics["models"]["llara"]["hit_ratio_at_1"] == 3 / 4
    assert metrics["models"]["llara"]["ndcg_at_5"] == pytest.approx((3 + 0.5) / 4)  # 1 / log2(1 + 3) where it is last
    # llara alone is right for the third user: the mean of 0, 0, 1, 0.
    assert metrics["differences"]["llara - tiny"]["difference"] == 1 / 4
    assert list(metrics["differences"]) == ["llara - tiny"]  # the others' stand in the evaluation's details


@pytest.mark.parametrize("finish", ["length", "model_length"])
def test_a_cut_answer_may_go_on(finish: str) -> None:
    asked = _asked(1)
    replies = [reply("Alien", finish), reply("Heat, for", finish), reply("Alien 3", finish), reply("Alien")]
    found = judge_replies(replies, asked, TITLES)
    assert found.matched_items.tolist() == [NO_ITEM, 6, 5, 4]  # "Alien" may become "Alien 3" where it was cut
    assert found.matches == [NONE, INSIDE, INSIDE, WHOLE]


def test_replies_are_counted() -> None:
    uncounted = Reply(answer=" \n", finish=None, prompt_tokens=None, reply_tokens=None, model=None)
    assert count_replies([reply("Heat"), reply("Alien", "length")]) == {
        "n": 2,
        "empty": 0,
        "by_finish": {"length": 1, "stop": 1},
        "by_model": {"tiny-2026": 2},
        "prompt_tokens": 60,
        "reply_tokens": 6,
    }
    assert count_replies([reply("Heat"), uncounted]) == {
        "n": 2,
        "empty": 1,
        "by_finish": {"stop": 1, "unknown": 1},
        "by_model": {"tiny-2026": 1, "unknown": 1},
    }


def test_remarks_say_what_may_mislead(params: Params) -> None:
    said = _conclude(params, 2, llara=[1, 0] * 4).remarks
    assert said[0] == "1 of 8 replies are empty, and count as wrong answers"
    assert said[1].startswith("tiny's answers name one candidate in only 62.5% of the lists")
    assert said[2].startswith("tiny's HitRatio@1 can't be told from chance, 0.333, on these lists")
    assert said[3].startswith("tiny and llara can't be told apart on these lists")
    asked = _asked(2)
    right = [reply(TITLES[target]) for target in asked.sets.targets]
    rows = {"llara": make_scored(asked, [0] * 8)}
    assert conclude("tiny", SETTINGS, right, asked, TITLES, rows).remarks == []
    cut = [reply(answer.answer, "length") for answer in right]
    [remark] = conclude("tiny", SETTINGS, cut, asked, TITLES, rows).remarks[:1]
    assert remark.startswith("8 of 8 replies were cut at --reply-tokens 9")


def test_what_is_written_is_read_as_any_predictions(params: Params, tmp_path: Path) -> None:
    verdict = _conclude(params, 1, llara=[1, 1, 1, 0])
    write_verdict(tmp_path / "tiny", verdict, {"settings": SETTINGS.digest})
    answered = read_predictions(tmp_path / "tiny")
    assert sorted(answered.predictions) == ["llara", "tiny"]
    assert answered.predictions["tiny"].matched_items.tolist() == [3, 6, 1, NO_ITEM]
    assert answered.asked.digest == _asked(1).digest
    stored = json.loads((tmp_path / "tiny/metrics.json").read_text())
    assert stored["models"]["tiny"]["hit_ratio_at_1"] == 0.5
    assert stored["remarks"] == verdict.remarks
    first = {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()}
    write_verdict(tmp_path / "tiny", verdict, {"settings": SETTINGS.digest})
    assert {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()} == first


def test_rows_are_taken_where_the_evaluation_has_these_very_lists(tmp_path: Path) -> None:
    whole = _asked()
    rows = {"llara": make_scored(whole, [1, 0, 0, 1, 1, 1, 0, 0])}
    write_predictions(tmp_path, Answered(whole, rows), {})
    for wanted, hits in (([6, 3], [0, 1]), (range(8), [1, 0, 0, 1, 1, 1, 0, 0])):
        asked = Asked.of(whole.sets.select(np.array(wanted)), make_tables().items)
        found, why = rows_beside(tmp_path, asked)
        assert why is None
        assert (found["llara"].matched_items == asked.sets.targets).astype(int).tolist() == hits
    others = whole.sets.candidates.copy()
    others[5, 0] = 1
    for change in (
        {"candidates": others},
        {"draws": whole.sets.draws + 1},
        {"scopes": np.full(8, "all", dtype=object)},
    ):
        found, why = rows_beside(tmp_path, Asked.of(replace(whole.sets, **change), make_tables().items))
        assert found == {}
        assert "was asked about 8 other lists" in str(why)


def test_without_an_evaluation_there_are_no_rows(tmp_path: Path) -> None:
    assert rows_beside(tmp_path, _asked()) == (
        {},
        f"no rows beside it: {tmp_path} holds no evaluation; run `dvc repro`",
    )


def test_a_name_is_no_other_row_s() -> None:
    require_free("tiny", {})
    for name in ("llara", "lists"):
        with pytest.raises(RequestError, match=rf"--name must be none of lists, llara, got {name}"):
            require_free(name, {"llara": make_scored(_asked(), [0] * 8)})


@pytest.mark.usefixtures("repository")
def test_no_trained_model_is_needed_but_for_hard_lists() -> None:
    tables, stored = read_stored(PROCESSED, RECOMMENDER, CANDIDATES)
    assert stored.chosen_by is None
    assert stored.sets.digest == make_tables().sets.digest
    RECOMMENDER.mkdir()
    (RECOMMENDER / "model").write_text("weights")
    write_hard_lists(CANDIDATES, tables.sets, tables, sha256_of_folder(RECOMMENDER))
    assert read_stored(PROCESSED, RECOMMENDER, CANDIDATES)[1].chosen_by == sha256_of_folder(RECOMMENDER)
    (RECOMMENDER / "model").write_text("others")
    with pytest.raises(ArtifactError, match="was made from other recommender"):
        read_stored(PROCESSED, RECOMMENDER, CANDIDATES)
