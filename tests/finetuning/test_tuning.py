import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import LlamaForCausalLM

from llara_core.errors import DataError, ModelError
from llara_core.finetuning import tuning
from llara_core.finetuning.trainer import HybridTrainer, rows_of_checkpoint
from llara_core.finetuning.tuning import tune, tuning_fingerprint
from llara_core.hybrid.adapter import build_hybrid, load_adapter, read_manifest, save_adapter
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.hybrid.nf4 import is_quantised
from llara_core.objectives.answer.objective import AnswerObjective, answer_loss, validation_questions
from llara_core.objectives.answer.prompts import AnswerPlan
from llara_core.objectives.objective import Sources
from llara_core.objectives.prompt_plan import PromptSettings
from llara_core.params.objectives import ObjectiveChoice, Validation
from llara_core.params.params import Params
from llara_core.params.sections import Popularity
from llara_core.prompting.chat import ChatFrame
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import Mode, PromptWriter
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from llara_core.runtime.checkpoints import latest_checkpoint
from llara_core.sequences.windows import Examples, all_positions
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.embeddings import ItemEmbeddings
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed
from llara_core.tables.sequences import Sequences
from tests.conftest import TITLES, needs_bitsandbytes
from tests.factories import ADD, APPEND, PROJECTOR, PROJECTORS, folder_llm, make_curriculum, make_sequences
from tests.finetuning.runs import trained
from tests.recommenders.recipes import tiny

Inputs = tuple[Processed, SequentialRecommender, ItemEmbeddings]
N_ITEMS = len(TITLES) - 1


@pytest.fixture(scope="module")
def split_sequences() -> Sequences:
    """One user trains, validates and tests; one trains alone; one only tests."""
    made = make_sequences([[1, 2, 3, 4, 5, 6, 7], [5, 6, 7, 8, 1], [3, 5, 7, 2]], ["train", "train", "test"])
    return replace(made, train_end=np.array([5, 5, 0], np.int32), validation_end=np.array([6, 5, 0], np.int32))


@pytest.fixture(scope="module")
def candidates() -> CandidateSets:
    """Two draws of user 1's validation question, and a test question."""
    return CandidateSets(
        example_ids=np.array([0, 0, 1], np.int32),
        draws=np.array([0, 1, 0], np.int32),
        user_ids=np.array([1, 1, 1], np.int32),
        splits=np.array(["validation", "validation", "test"]),
        scopes=np.array(["last"] * 3),
        positions=np.array([5, 5, 6], np.int32),
        targets=np.array([6, 6, 7], np.int32),
        candidates=np.array([[8, 6, 7], [6, 7, 8], [7, 8, 5]], np.int32),
    )


@pytest.fixture
def small(params: Params, llama_folder: Path) -> Params:
    sections = {
        "split": params.split.model_copy(update={"min_history": 2, "history_length": 3}),
        "candidates": params.candidates.model_copy(update={"size": 3, "negatives": "outside_recent"}),
        "projector": params.projector.model_copy(update={"hidden": 6}),
        "curriculum": params.curriculum.model_copy(update={"epochs": 2}),
        "train": params.train.model_copy(update={"objective": ObjectiveChoice(name="answer"), "checkpoint_every": 1}),
        "lora": params.lora.model_copy(update={"dropout": 0.1}),
        "llm": params.llm.model_copy(update={"name": "tiny"}),
        "llms": {"tiny": folder_llm(llama_folder)},
    }
    recipe = {"examples_per_epoch": 5, "batch_size": 4, "micro_batch_size": 2, "lr": 0.02, "projector_lr": 0.02}
    return _with_recipe(params.model_copy(update=sections), **recipe)


def _with_recipe(params: Params, **changes: object) -> Params:
    answer = params.objectives.answer.model_copy(update=changes)
    return params.model_copy(update={"objectives": params.objectives.model_copy(update={"answer": answer})})


@pytest.fixture
def inputs(split_sequences: Sequences, candidates: CandidateSets, item_embeddings: np.ndarray) -> Inputs:
    titles = pa.array(TITLES[1:])
    items = Items(titles, titles, np.ones(N_ITEMS, np.int32))
    recommender = build_recommender(tiny("sasrec"), N_ITEMS, history_length=3)
    embeddings = ItemEmbeddings(item_embeddings, {"recommender": "that"})
    return Processed(items, split_sequences, candidates), recommender, embeddings


@pytest.fixture
def sources(
    small: Params, inputs: Inputs, llama: LlamaForCausalLM, writer: PromptWriter, encoder: PromptEncoder
) -> Sources:
    tables, recommender, embeddings = inputs
    hybrid = build_hybrid(llama, embeddings.vectors, PROJECTOR, APPEND)
    return Sources(small, tables, recommender, lambda: hybrid, writer, encoder)


def test_only_positions_before_train_end_are_planned(
    small: Params, split_sequences: Sequences, writer: PromptWriter, encoder: PromptEncoder
) -> None:
    plan = AnswerPlan.of(small, small.objectives.answer, split_sequences, writer, encoder)
    assert plan.settings.n_steps == 3  # 10 examples in batches of 4
    planned = [plan.examples_of(step) for step in range(1, 4)]
    found = {pair for batch in planned for pair in zip(batch.rows.tolist(), batch.positions.tolist(), strict=True)}
    # At least two items before, and before train_end: 5 of both users who train.
    assert found == {(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)}
    answers = sorted(encoder.decode(plan[i][1]) for i in range(12))
    assert answers == sorted(TITLES[item] for item in 2 * (3, 4, 5, 7, 8, 1))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_held_out_positions_are_refused(
    small: Params, split_sequences: Sequences, writer: PromptWriter, encoder: PromptEncoder, split: str
) -> None:
    settings = AnswerPlan.of(small, small.objectives.answer, split_sequences, writer, encoder).settings
    examples = all_positions(split_sequences, split, 2)
    with pytest.raises(DataError, match=r"before their user's train_end 5, got position \d of user 1"):
        AnswerPlan(split_sequences, examples, N_ITEMS, writer, encoder, settings)
    last = Examples(np.array([1, 2]), np.array([4, 2]))
    with pytest.raises(DataError, match="before their user's train_end 0, got position 2 of user 3"):
        AnswerPlan(split_sequences, last, N_ITEMS, writer, encoder, settings)


@pytest.mark.parametrize("n_questions", [1, 9])
def test_validation_asks_the_first_draw_of_validation_users(sources: Sources, n_questions: int) -> None:
    encoder = sources.encoder
    ((prompt, answer),) = validation_questions(sources, n_questions, "hybrid")
    assert prompt.slot_items == [3, 4, 5, 8, 6, 7]
    assert encoder.decode(answer) == "Heat"
    ((prompt, answer),) = validation_questions(sources, n_questions, "text")
    assert prompt.slot_items == []
    assert encoder.decode(answer) == "Heat"


def test_no_more_validation_users_are_asked_than_wanted(sources: Sources, candidates: CandidateSets) -> None:
    three = candidates.select(np.array([0, 0, 0]))
    more = replace(three, example_ids=np.array([0, 1, 2], np.int32), targets=np.array([6, 7, 8], np.int32))
    asked = validation_questions(replace(sources, tables=replace(sources.tables, sets=more)), 2, "text")
    assert [sources.encoder.decode(answer) for _, answer in asked] == [TITLES[6], TITLES[7]]


@pytest.mark.parametrize(("schedule", "mode"), [("linear", "hybrid"), ("hybrid_only", "hybrid"), ("text_only", "text")])
def test_validation_asks_as_the_last_steps_do(sources: Sources, schedule: str, mode: Mode) -> None:
    curriculum = sources.params.curriculum.model_copy(update={"schedule": schedule})
    changed = replace(sources, params=sources.params.model_copy(update={"curriculum": curriculum}))
    losses = {
        kind: answer_loss(sources.hybrid(), validation_questions(sources, 1, kind), sources.encoder.filler_id, 1)
        for kind in ("hybrid", "text")
    }
    assert losses["hybrid"] != pytest.approx(losses["text"], rel=1e-3)
    assert AnswerObjective(changed).validate() == pytest.approx(-losses[mode], rel=1e-5)


def test_tuning_again_gives_the_same_and_resuming_too(small: Params, inputs: Inputs, tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        tuned = tune(small, *inputs, tmp_path / name)
        results.append({key: value.clone() for key, value in tuned.model.state_dict().items()})
        assert tuned.report["examples"] == 12
        assert [row["step"] for row in tuned.curve] == [1, 2, 3]
    again = tune(small, *inputs, tmp_path / "two")  # as after a kill while artifacts were being written
    results.append(again.model.state_dict())
    assert again.report == tuned.report
    for name, expected in results[0].items():
        assert torch.equal(results[1][name], expected), name
        assert torch.equal(results[2][name], expected), name
    tables = inputs[0]
    made_from = tuned.manifest.made_from
    assert {name: made_from[name] for name in ("items", "sequences")} == tables.lineage
    assert made_from["recommender"] == "that"
    assert set(made_from) == {"items", "sequences", "recommender", "embeddings", "llm"}
    assert tuned.report["examples_by_mode"] == {"hybrid": tuned.report["examples"]}
    assert tuned.manifest.modes == ["hybrid"]
    found = tuned.report["validation"]["negative_loss"]
    assert found["untuned"] != found["tuned"]
    assert max(found["untuned"], found["tuned"]) < 0
    assert found["step"] == 3
    assert [row["validation"] for row in tuned.curve] == [None, None, found["tuned"]]
    assert tuned.manifest.objective == "answer"
    assert tuned.manifest.layers is None
    assert tuned.head == {}


@needs_bitsandbytes
def test_a_base_model_of_4_bits_is_tuned_killed_resumed_and_asked_again(
    small: Params, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = small.selected_llm.model_copy(update={"quantization": "nf4"})
    train = small.train.model_copy(update={"gradient_checkpointing": True})
    params, results = small.model_copy(update={"llms": {"tiny": entry}, "train": train}), []
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        if name == "killed":
            with monkeypatch.context() as patched:
                patched.setattr(HybridTrainer, "training_step", _killed_at(2))
                with pytest.raises(KeyboardInterrupt):
                    tune(params, *inputs, tmp_path / name)
            checkpoint = latest_checkpoint(tmp_path / name)
            assert checkpoint == tmp_path / name / "step-2"
            assert rows_of_checkpoint(checkpoint) == 2
        tuned = tune(params, *inputs, tmp_path / name)
        results.append(trained(tuned.model))
    for name, expected in results[0].items():
        assert torch.equal(results[1][name], expected), name
    (tmp_path / "adapter").mkdir()
    save_adapter(tmp_path / "adapter", tuned.adapted, tuned.model.projector, tuned.manifest, tuned.head)
    manifest = read_manifest(tmp_path / "adapter", {})
    assert manifest.llm == entry
    base = load_base_llm(manifest.llm, torch.device("cpu"), manifest.layers)
    again = load_adapter(tmp_path / "adapter", manifest, base, inputs[2].vectors)
    assert is_quantised(again.llm)
    asked = {"input_ids": torch.arange(2, 9)[None], "slot_mask": torch.zeros(1, 7, dtype=torch.bool)}
    asked["slot_mask"][0, 3] = True
    with torch.no_grad():
        states = [model.eval().states(**asked, slot_items=torch.tensor([4])) for model in (tuned.model, again)]
    assert torch.equal(*states)


def _killed_at(step: int) -> Callable[..., torch.Tensor]:
    """Return a step of the Trainer that is killed once so many are done."""
    train = HybridTrainer.training_step

    def training_step(self: HybridTrainer, *arguments: object, **named: object) -> torch.Tensor:
        if self.state.global_step == step:
            raise KeyboardInterrupt
        return train(self, *arguments, **named)

    return training_step


@pytest.mark.parametrize(
    ("rows", "checkpointing", "advice"),
    [
        (
            2,
            False,
            "micro_batch_size to a divisor of batch_size below 2, or train.gradient_checkpointing to true",
        ),
        (1, True, "objectives.answer.micro_batch_size is 1 already; `llara plan` says"),
    ],
)
def test_a_gpu_that_is_too_small_is_told_in_a_line(
    small: Params,
    inputs: Inputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
    checkpointing: bool,
    advice: str,
) -> None:
    def used_up(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")

    monkeypatch.setattr(HybridTrainer, "training_step", used_up)
    train = small.train.model_copy(update={"gradient_checkpointing": checkpointing})
    params = _with_recipe(small.model_copy(update={"train": train}), micro_batch_size=rows)
    with pytest.raises(ModelError, match=re.escape(advice)) as caught:
        tune(params, *inputs, tmp_path)
    assert "memory is used up (CUDA out of memory. Tried to allocate 2.00 GiB.); " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rule", ["outside_history", "outside_recent", "popularity", "hard"])
def test_a_plan_s_settings_are_the_params(
    small: Params, split_sequences: Sequences, writer: PromptWriter, encoder: PromptEncoder, rule: str
) -> None:
    changes = {
        "seed": 9,
        "candidates": small.candidates.model_copy(
            update={"size": 2, "negatives": rule, "popularity": Popularity(smoothing=0.5)}
        ),
        "curriculum": small.curriculum.model_copy(update={"schedule": "hybrid_only", "epochs": 3}),
    }
    plan = AnswerPlan.of(
        small.model_copy(update=changes),
        small.model_copy(update=changes).objectives.answer,
        split_sequences,
        writer,
        encoder,
    )
    # Three epochs of five examples in batches of four.
    curriculum = make_curriculum("hybrid_only", epochs=3)
    assert plan.settings == PromptSettings(9, curriculum, "hybrid", 4, 4, 2, rule, 0.5, 3)


def test_weights_begin_by_the_seed_and_move_by_their_own_rates(small: Params, inputs: Inputs, tmp_path: Path) -> None:
    def weights(seed: int, lr: float, projector_lr: float) -> dict[str, torch.Tensor]:
        train = small.train.model_copy(update={"weight_decay": 0.0})
        params = _with_recipe(small.model_copy(update={"seed": seed, "train": train}), lr=lr, projector_lr=projector_lr)
        folder = tmp_path / f"{seed}-{lr}-{projector_lr}"
        folder.mkdir()
        named = tune(params, *inputs, folder).model.named_parameters()
        return {name: p.detach().clone() for name, p in named if "lora_A" in name or name == "projector.last.weight"}

    still, other = weights(0, 1e-12, 1e-12), weights(1, 1e-12, 1e-12)
    assert not any(torch.allclose(still[name], other[name], atol=1e-3) for name in still)
    moved = weights(0, 0.02, 1e-12)
    same = {name for name in still if torch.allclose(still[name], moved[name], atol=1e-6)}
    assert same == {"projector.last.weight"}


@pytest.mark.parametrize(
    ("dtype", "precision"), [("float32", "float32"), ("float32", "bfloat16"), ("bfloat16", "float32")]
)
def test_losses_before_and_after_are_of_one_precision(
    small: Params, inputs: Inputs, tmp_path: Path, dtype: str, precision: str
) -> None:
    """Training that moves nothing must change nothing, to the last bit."""
    llm = small.selected_llm.model_copy(update={"dtype": dtype})
    train = small.train.model_copy(update={"precision": precision})
    still = _with_recipe(small, lr=1e-30, projector_lr=1e-30)
    params = still.model_copy(update={"train": train, "llms": {"tiny": llm}})
    found = tune(params, *inputs, tmp_path).report["validation"]["negative_loss"]
    assert found["untuned"] == found["tuned"]


def test_the_weights_that_validation_likes_best_are_kept(
    small: Params, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def best_of(
        validation: Validation, average: float, *scores: float
    ) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        left = iter([0.0, *scores])  # the untuned model's first
        monkeypatch.setattr(AnswerObjective, "validate", lambda _: next(left))
        folder = tmp_path / str((validation, average, scores))
        folder.mkdir()
        tuned = tune(_with_recipe(small, validation=validation, average=average), *inputs, folder)
        weights = {name: p.detach().clone() for name, p in tuned.model.named_parameters() if p.requires_grad}
        return weights, tuned.report["validation"]["negative_loss"]

    all_of_three, first_worse = (Validation(positions=1, times=3, patience=patience) for patience in (2, 1))
    second, found = best_of(all_of_three, 0.5, 0.1, 0.9, 0.2)
    assert found == {"untuned": 0.0, "tuned": 0.9, "step": 2}
    last, found = best_of(all_of_three, 0.5, 0.1, 0.2, 0.9)
    assert found == {"untuned": 0.0, "tuned": 0.9, "step": 3}
    ended, found = best_of(first_worse, 0.5, 0.1, 0.9, 0.3)
    assert all(torch.equal(second[name], ended[name]) for name in second)
    plain, found = best_of(all_of_three, 0.0, 0.1, 0.9, 0.2)
    for other in (last, plain):
        assert any(not torch.equal(second[name], other[name]) for name in second)
    _, found = best_of(first_worse, 0.5, 0.2, 0.1, 0.9)
    assert found == {"untuned": 0.0, "tuned": 0.2, "step": 1}  # it has never come to .9


def test_the_fingerprint_follows_every_param_that_decides_weights(
    small: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "chat_frame", lambda _: ChatFrame(before="", after=""))
    (tmp_path / "items").write_text("items")
    path = small.selected_llm.path
    nouns = small.selected_dataset.nouns.model_copy(update={"item": "film"})
    dataset = small.selected_dataset.model_copy(update={"nouns": nouns})
    changes = [
        {"seed": 7},
        {"llms": {"tiny": folder_llm(path, dtype="bfloat16")}},
        {"llms": {"tiny": folder_llm(path, quantization="nf4")}},
        {"llms": {"tiny": folder_llm(path, attention="eager")}},
        {"objectives": _with_recipe(small, micro_batch_size="auto").objectives},
        {"split": small.split.model_copy(update={"min_history": 3})},
        {"candidates": small.candidates.model_copy(update={"size": 4})},
        {"candidates": small.candidates.model_copy(update={"negatives": "popularity"})},
        {"candidates": small.candidates.model_copy(update={"popularity": Popularity(smoothing=0.5)})},
        {"prompt": small.prompt.model_copy(update={"separator": "; "})},
        {"prompt": small.prompt.model_copy(update={"form": "chat"})},
        {"prompt": small.prompt.model_copy(update={"templates": small.prompt.templates[::-1]})},
        {"datasets": {small.dataset.name: dataset}},
        {"projector": small.projector.model_copy(update={"hidden": 7})},
        {"projector": PROJECTORS["linear"]},
        {"fusion": ADD},
        {"curriculum": make_curriculum("hybrid_only", "example", epochs=small.curriculum.epochs)},
        {"lora": small.lora.model_copy(update={"alpha": 3})},
        {"curriculum": small.curriculum.model_copy(update={"schedule": "text_only"})},
        {"eval": small.eval.model_copy(update={"template": 1})},
        {"train": small.train.model_copy(update={"precision": "bfloat16"})},
        {"train": small.train.model_copy(update={"objective": ObjectiveChoice(name="stream")})},
        {"objectives": _with_recipe(small, average=0.5).objectives},
        {"objectives": _with_recipe(small, validation=Validation(positions=2, times=1, patience=1)).objectives},
    ]
    found = {tuning_fingerprint(small.model_copy(update=change), [tmp_path / "items"]) for change in ({}, *changes)}
    assert len(found) == 1 + len(changes)
    (tmp_path / "items").write_text("other")
    assert tuning_fingerprint(small, [tmp_path / "items"]) not in found


def test_a_model_of_4_bits_is_not_divided(
    small: Params, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "is_divided", lambda: True)
    monkeypatch.setattr(tuning, "load_tokenizer", None)  # nothing of the model is looked for
    quantised = {"tiny": folder_llm(tmp_path / "none", quantization="nf4")}
    with pytest.raises(ModelError, match=r"quantization must be null where processes divide .*, got nf4"):
        tune(small.model_copy(update={"llms": quantised}), *inputs, tmp_path)


def test_the_fingerprint_follows_a_chat_s_frame(small: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some models' templates write the day's date: steps of another day's prompts can't go on from these."""
    prompt = small.prompt.model_copy(update={"form": "chat"})
    chat, found = small.model_copy(update={"prompt": prompt}), {}
    for day in ("1 Nov", "2 Nov"):
        monkeypatch.setattr(tuning, "chat_frame", lambda _, day=day: ChatFrame(before=day, after=""))
        found[day] = tuning_fingerprint(chat, [])
        assert tuning_fingerprint(chat, []) == found[day]
    assert found["1 Nov"] != found["2 Nov"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_the_fingerprint_follows_the_content_of_a_folder_llm(
    small: Params, llama_folder: Path, tmp_path: Path, name: str
) -> None:
    for path in llama_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    entry = folder_llm(tmp_path)
    params = small.model_copy(update={"llms": {"tiny": entry}})
    first = tuning_fingerprint(params, [])
    assert tuning_fingerprint(params, []) == first
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    assert tuning_fingerprint(params, []) != first
