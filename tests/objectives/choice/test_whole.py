"""A choice from params to metrics, on the artifacts that streams are tested with."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from llara_core.errors import ArtifactError, DataError, ModelError
from llara_core.evaluation.artifacts import load_tuned, read_artifacts
from llara_core.finetuning import tuning
from llara_core.objectives.asking import build_respondent
from llara_core.objectives.choice.objective import ChoiceObjective, validation_prompts
from llara_core.objectives.choice.prompts import pad_choices
from llara_core.params.objectives import ObjectiveChoice
from llara_core.params.objectives import Ridge as RidgeParams
from llara_core.params.params import Params
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter, Text
from tests.factories import make_sequences
from tests.objectives.stream.test_whole import LENGTH, LISTS, _judge, _run, encoder, make_params  # noqa: F401

pytestmark = pytest.mark.every_family

Make = Callable[..., Params]


@pytest.fixture
def make(make_params: Make) -> Make:  # noqa: F811
    def build(schedule: str = "hybrid_only", mode: str = "as_trained", shown: str = "hybrid", **own: Any) -> Params:
        params = make_params(schedule, mode)
        small = {"examples_per_epoch": 8, "batch_size": 4, "micro_batch_size": 2, "layers": 1, "average": 0.5}
        small |= {"lr": 0.02, "projector_lr": 0.02, "head_lr": 0.02, "ridge": RidgeParams(positions=6, penalty=2.0)}
        choice = params.objectives.choice.model_copy(update=small | own)
        return params.model_copy(
            update={
                "objectives": params.objectives.model_copy(update={"choice": choice}),
                "train": params.train.model_copy(update={"objective": ObjectiveChoice(name="choice")}),
                "prompt": params.prompt.model_copy(update={"mode": shown}),
                "eval": params.eval.model_copy(update={"mode": mode, "batch_size": 2, "draws": 2, "template": 1}),
            }
        )

    return build


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[ChoiceObjective]:
    objectives: list[ChoiceObjective] = []
    original = tuning.build_objective

    def note(name: str, sources: Any) -> ChoiceObjective:
        objectives.append(original(name, sources))
        return objectives[0]

    monkeypatch.setattr(tuning, "build_objective", note)
    return objectives


@pytest.mark.parametrize(
    ("schedule", "shown", "read_as"),
    [("hybrid_only", "hybrid", "hybrid"), ("text_only", "hybrid", "text"), ("hybrid_only", "id", "id")],
)
def test_what_is_judged_is_what_was_tuned(
    tmp_path: Path,
    make: Make,
    built: list[ChoiceObjective],
    encoder: PromptEncoder,  # noqa: F811
    writer: PromptWriter,
    schedule: str,
    shown: str,
    read_as: str,
) -> None:
    params = make(schedule, shown=shown)
    tuned, tables, _ = _run(tmp_path, params)
    found = _judge(tmp_path, params)
    sets = tables.sets.of("test", n_draws=2)
    assert found.answered.asked.sets.candidates.tolist() == sets.candidates.tolist()
    [objective] = built
    model = objective.model.eval()
    sequences = tables.sequences
    for row, (user, position) in enumerate(zip(sets.user_ids, sets.positions, strict=True)):
        history = sequences.items_of(user - 1)[max(0, position - LENGTH) : position].tolist()
        candidates = sets.candidates[row].tolist()
        segments = writer.compose(1, history, candidates, "hybrid" if read_as == "text" else read_as)
        prompt = encoder.encode(segments)
        slots = [place for place, is_slot in enumerate(prompt.slot_mask) if is_slot][len(history) :]
        read = prompt
        if read_as == "text":  # a line's end for each slot
            line_end = encoder.encode([Text("a\n")]).input_ids[-1]
            pairs = zip(prompt.input_ids, prompt.slot_mask, strict=True)
            ids = [line_end if is_slot else token for token, is_slot in pairs]
            read = EncodedPrompt(ids, [False] * len(ids), [])
        with torch.no_grad():
            states = model.hybrid.states(
                torch.tensor([read.input_ids]), torch.tensor([read.slot_mask]), torch.tensor(read.slot_items).long()
            )[0]
            scores = model.maps.item(states[slots]) @ model.maps.user(states[-1])
        np.testing.assert_allclose(found.answered.predictions["llara"].scores[row], scores, rtol=1e-4, atol=1e-5)
        assert found.answered.predictions["llara"].matched_items[row] == candidates[int(scores.argmax())]
    # As a whole, and not in pieces of an example each.
    made = read_artifacts(
        *(tmp_path / name for name in ("", "recommender", "embeddings", "adapter", "candidates.parquet"))
    )
    again = build_respondent(load_tuned(params.eval, made)).answer(sets)
    np.testing.assert_allclose(again.scores, found.answered.predictions["llara"].scores, rtol=1e-4, atol=1e-5)
    assert set(tuned.head) == {"user.weight", "user.bias", "item.weight", "item.bias"}
    assert "llara_with_recommender" in found.answered.predictions
    assert tuned.report["validation"]["hit_ratio_at_1"]["tuned"] == pytest.approx(objective.validate())


def test_validation_is_the_share_of_its_prompts_that_are_right(
    tmp_path: Path, make: Make, built: list[ChoiceObjective]
) -> None:
    _run(tmp_path, make())
    [objective] = built
    # Leave one out: the last but one item of the users who have three and more, each once.
    expected = sorted((user[: len(user) - 2][-LENGTH:], user[-2]) for user in LISTS if len(user) >= 3)
    asked = [(prompt.history, prompt.candidates[prompt.target]) for prompt in objective._validation]
    assert sorted(asked) == expected
    for prompt in objective._validation:
        assert prompt.prompt.slot_items == [*prompt.history, *prompt.candidates]  # shown as the last steps show them
    hits = 0
    for prompt in objective._validation:
        assert len(set(prompt.candidates)) == 3
        assert not set(prompt.candidates) & set(prompt.history) - {prompt.candidates[prompt.target]}
        batch = pad_choices([prompt], 1)
        names = ("input_ids", "slot_mask", "slot_items", "ends", "places")
        with torch.no_grad():
            scores = objective.model.eval().maps(*objective.model.read(*(batch[name] for name in names)))[0]
        hits += int(scores.argmax()) == prompt.target
    assert objective.validate() == hits / len(expected)


def test_the_maps_start_at_the_ridge_regressions_of_scikit_learn(
    tmp_path: Path, make: Make, built: list[ChoiceObjective]
) -> None:
    still = {"lr": 1e-30, "projector_lr": 1e-30, "head_lr": 1e-30}
    tuned, _, recommender = _run(
        tmp_path, make("linear", examples_per_epoch=48, ridge=RidgeParams(positions=7, penalty=2.0), **still)
    )
    [objective] = built
    model = objective.model.eval()
    modes = objective.plan.modes
    assert modes == ["hybrid", "text"]
    ends, places, users, items = [], [], [], []
    for index in range(7):
        drawn = objective.plan.drawn(index)
        batch = pad_choices([objective._encode(drawn, modes[index % len(modes)])], 1)
        names = ("input_ids", "slot_mask", "slot_items", "ends", "places")
        with torch.no_grad():
            end, place = model.read(*(batch[name] for name in names))
            users.append(recommender(torch.tensor([drawn.history]))[0, -1].numpy())
            items += list(recommender.output_weights[drawn.candidates].numpy())
        ends.append(end[0].numpy())
        places += list(place[0].numpy())
    for name, features, goals in (("user", ends, users), ("item", places, items)):
        scaler = StandardScaler().fit(features)
        reference = Ridge(alpha=2.0).fit(scaler.transform(features), goals)
        found = getattr(model.maps, name)(torch.tensor(np.array(features))).detach()
        np.testing.assert_allclose(found, reference.predict(scaler.transform(features)), rtol=1e-3, atol=1e-3)
    assert set(tuned.manifest.modes) == set(modes)


def test_groups_have_their_rates(tmp_path: Path, make: Make, built: list[ChoiceObjective]) -> None:
    _run(tmp_path, make(lr=0.1, projector_lr=0.2, head_lr=0.3))
    groups = built[0].rates()
    assert [rate for _, rate in groups] == [0.1, 0.2, 0.3]
    grouped = [id(weight) for weights, _ in groups for weight in weights]
    assert sorted(grouped) == sorted(id(weight) for weight in built[0].model.parameters() if weight.requires_grad)


def test_modes_that_were_not_trained_are_not_asked(tmp_path: Path, make: Make) -> None:
    _run(tmp_path, make(shown="id"))
    for mode in ("hybrid", "text"):
        with pytest.raises(ArtifactError, match=f"eval.mode must be as_trained or id, .* got {mode}"):
            _judge(tmp_path, make(mode=mode, shown="id"))


def test_what_computes_no_numbers_is_refused(tmp_path: Path, make: Make, built: list[ChoiceObjective]) -> None:
    params = make()
    _, tables, _ = _run(tmp_path, params)
    made = read_artifacts(
        *(tmp_path / name for name in ("", "recommender", "embeddings", "adapter", "candidates.parquet"))
    )
    respondent = build_respondent(load_tuned(params.eval, made))
    for model in (built[0].model, respondent.model):
        torch.nn.init.constant_(model.maps.user.bias, torch.nan)
    with pytest.raises(ModelError, match="must be finite numbers, got nan"):
        built[0].validate()
    with pytest.raises(ModelError, match="must be finite numbers, got nan"):
        respondent.answer(tables.sets.of("test", n_draws=1))


def test_the_precision_of_params_reaches_validation_and_the_fit_of_the_maps(
    tmp_path: Path, make: Make, built: list[ChoiceObjective], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = make()
    _run(tmp_path, params.model_copy(update={"train": params.train.model_copy(update={"precision": "bfloat16"})}))
    [objective] = built
    read, found = objective.model.read, list[list[torch.Tensor]]()
    monkeypatch.setattr(objective.model, "read", lambda *batch: found[-1].append(read(*batch)[0]) or read(*batch))
    wanted = objective._precision
    for measure in (objective.validate, objective._fit_maps):
        for precision in (wanted, "float32"):
            objective._precision = precision
            found.append([])
            measure()
        coarse, fine = found[-2:]
        assert coarse
        assert not any(torch.equal(one.float(), other) for one, other in zip(coarse, fine, strict=True))


def test_a_tie_is_no_hit(tmp_path: Path, make: Make, built: list[ChoiceObjective]) -> None:
    _run(tmp_path, make())
    with torch.no_grad():
        for weight in built[0].model.maps.parameters():
            weight.zero_()
    assert built[0].validate() == 0


def test_params_reach_the_model_and_its_validation(
    tmp_path: Path,
    make: Make,
    built: list[ChoiceObjective],
    writer: PromptWriter,
    encoder: PromptEncoder,  # noqa: F811
) -> None:
    validation = make().objectives.choice.validation.model_copy(update={"positions": 3})
    params = make("linear", distillation=0.4, validation=validation, examples_per_epoch=48)
    rule = params.candidates.model_copy(update={"negatives": "outside_history"})
    _, tables, _ = _run(tmp_path, params.model_copy(update={"candidates": rule}))
    [objective] = built
    assert objective.model.distillation == 0.4
    asked = objective._validation
    assert len(asked) == 3
    assert [asked[0].candidates[asked[0].target], asked[2].candidates[asked[2].target]] == [LISTS[0][-2], LISTS[-1][-2]]
    for prompt in asked:
        assert prompt.prompt == encoder.encode(writer.compose(1, prompt.history, prompt.candidates, "hybrid"))
    modes = [objective.plan.modes_of(step)[0] for step in range(1, 13)]
    assert set(modes) == {"text", "hybrid"}
    shown = [bool(objective.plan[4 * step].prompt.slot_items) for step in range(12)]
    assert shown == [mode == "hybrid" for mode in modes]
    objective.model.train()
    assert objective.validate() == objective.validate()  # without dropout
    assert objective.model.training
    # What is held out for the test may be a wrong answer on validation, or it would be given away.
    seen = {(row, item) for seed in range(60) for row, item in _held_out_negatives(params, rule, tables, seed)}
    assert seen


def _held_out_negatives(params: Params, rule: Any, tables: Any, seed: int) -> list[tuple[int, int]]:
    sources = SimpleNamespace(params=params.model_copy(update={"candidates": rule, "seed": seed}), tables=tables)
    rows = [row for row, user in enumerate(LISTS) if len(user) >= 3]
    asked = validation_prompts(sources, 99)
    assert len(asked) == len(rows)
    found = []
    for row, question in zip(rows, asked, strict=True):
        negatives = set(question.candidates) - {question.target}
        assert not negatives & set(LISTS[row][:-1])
        found += [(row, item) for item in negatives if item == LISTS[row][-1]]
    return found


def test_negatives_of_validation_come_by_popularity_where_that_is_the_rule(params: Params) -> None:
    """Training had item 1 nine times and item 2 once, and has one more of each for the draw: 10, 2, 1, 1, 1 and 1."""
    sequences = make_sequences([[1] * 9 + [2], [3, 4]], ["train", "validation"])
    tables = SimpleNamespace(sequences=sequences, items=range(8))
    split = params.split.model_copy(update={"min_history": 1})
    found = {}
    for rule in ("popularity", "hard", "outside_history"):
        candidates = params.candidates.model_copy(update={"size": 2, "negatives": rule})
        how = params.model_copy(update={"candidates": candidates, "split": split})
        asked = [
            validation_prompts(SimpleNamespace(params=how.model_copy(update={"seed": seed}), tables=tables), 9)
            for seed in range(800)
        ]
        found[rule] = [next(item for item in question.candidates if item != 4) for [question] in asked]
    assert np.mean(np.array(found["popularity"]) == 1) == pytest.approx(10 / 16, abs=0.07)
    assert found["hard"] == found["outside_history"]


def test_what_a_validation_user_has_is_no_negative_of_his(params: Params) -> None:
    """He has five of eight items, so that a list of four holds the target and the three others."""
    sequences = make_sequences([[1, 2, 3], [4, 5, 6, 7, 8]], ["train", "validation"])
    rule = params.candidates.model_copy(update={"size": 4, "negatives": "outside_history"})
    split = params.split.model_copy(update={"min_history": 1, "history_length": 3})
    how = params.model_copy(update={"candidates": rule, "split": split})
    tables = SimpleNamespace(sequences=sequences, items=range(8))
    asked = validation_prompts(SimpleNamespace(params=how, tables=tables), 99)
    assert [question.target for question in asked] == [5, 6, 7, 8]
    for question in asked:
        assert sorted(question.candidates) == [1, 2, 3, question.target]


def test_validation_asks_after_as_much_history_as_training(params: Params) -> None:
    tables = SimpleNamespace(sequences=make_sequences([[1, 2, 3], [4, 5, 6, 7, 8]], ["train", "validation"]))
    tables.items = range(10)
    for least, expected in ((1, [5, 6, 7, 8]), (3, [7, 8]), (5, [])):
        split = params.split.model_copy(update={"min_history": least})
        candidates = params.candidates.model_copy(update={"size": 3})
        how = SimpleNamespace(
            params=params.model_copy(update={"split": split, "candidates": candidates}), tables=tables
        )
        if expected:
            assert [question.target for question in validation_prompts(how, 99)] == expected
        else:
            with pytest.raises(DataError, match="must hold a position with 5 items before it, got none"):
                validation_prompts(how, 99)
