"""Every objective with every fusion, and with the projector whose tokens depend on one another."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TrainerCallback

from llara_core.evaluation.artifacts import load_tuned, read_artifacts
from llara_core.finetuning import tuning
from llara_core.finetuning.trainer import HybridTrainer
from llara_core.hybrid.adapter import build_hybrid
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.recommender_head import RecommenderHead
from llara_core.objectives.answer.generation import generate_answers
from llara_core.objectives.answer.scoring import candidate_log_likelihoods
from llara_core.objectives.asking import build_respondent
from llara_core.objectives.choice.model import ChoiceModel
from llara_core.objectives.choice.prompts import encode_choice, pad_choices
from llara_core.objectives.objective import Objective
from llara_core.objectives.stream.batching import pad_histories
from llara_core.objectives.stream.model import StreamModel
from llara_core.params.objectives import ObjectiveChoice
from llara_core.params.params import Params
from llara_core.params.projector import Fusion
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.prompting.question import Question
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from tests.conftest import ATTENTION, TITLES, make_llm
from tests.factories import FUSIONS, PROJECTORS, folder_llm, make_chat_tokenizer, make_curriculum
from tests.objectives.stream.test_whole import _judge, _run, make_params  # noqa: F401
from tests.recommenders.recipes import tiny

pytestmark = pytest.mark.every_family

VARIANTS = [(kind, fusion) for kind in ("mlp", "transformer") for fusion in FUSIONS]
by_name = pytest.mark.parametrize(("kind", "fusion"), VARIANTS, ids=lambda part: getattr(part, "kind", part))


@pytest.fixture(scope="module")
def recommender() -> SequentialRecommender:
    torch.manual_seed(3)
    return build_recommender(tiny("sasrec", tied=True), len(TITLES) - 1, history_length=8).eval()


@pytest.fixture
def hybrid(llm: PreTrainedModel, recommender: SequentialRecommender, kind: str, fusion: Fusion) -> HybridCausalLM:
    torch.manual_seed(4)
    vectors = recommender.output_weights.detach().numpy().copy()  # tests change them
    built = build_hybrid(llm, vectors, PROJECTORS[kind], fusion).eval()
    with torch.no_grad():
        for weight in built.projector.parameters():
            weight.normal_(std=0.5)
    return built


@torch.no_grad()
@by_name
def test_a_stream_sees_nothing_of_what_comes_later(
    hybrid: HybridCausalLM, recommender: SequentialRecommender, encoder: PromptEncoder, fusion: Fusion
) -> None:
    model = StreamModel(hybrid, RecommenderHead(16, recommender.output_weights), recommender, 0.0)
    histories = HistoryEncoder(encoder, TITLES, fusion.kind)
    items = [3, 5, 5, 8, 7]

    def read(*rows: list[int]) -> Tensor:
        return model.read(**pad_histories([histories.encode(row, "hybrid") for row in rows], 1))

    whole = read(items)[0]
    for t in range(5):
        changed = [*items[: t + 1], *(1 if item != 1 else 2 for item in items[t + 1 :])]
        torch.testing.assert_close(read(changed)[0, : t + 1], whole[: t + 1])
        torch.testing.assert_close(read(items[: t + 1])[0, t], whole[t])
        if t < 4:
            assert not torch.allclose(read(changed)[0, t + 1], whole[t + 1], atol=1e-3)
    # Neither what stands beside it in a batch, nor the place in it, nor padding.
    others = read([2], items, [1, 2, 3, 4, 5, 6, 7, 8])
    torch.testing.assert_close(others[1, :5], whole)
    vectors = hybrid.item_embeddings.clone()
    hybrid.item_embeddings[7] += 1  # the last item's
    torch.testing.assert_close(read(items)[0, :4], whole[:4])
    assert (read(items)[0, 4] - whole[4]).abs().max() > 1e-4
    hybrid.item_embeddings.copy_(vectors)
    hybrid.item_embeddings[3] *= -3  # the first one's
    if hybrid.llm.config.model_type != "mistral":  # whose windows don't reach so far back in any layer
        assert (read(items)[0, 4] - whole[4]).abs().max() > 1e-5


@torch.no_grad()
@by_name
@pytest.mark.parametrize("mode", ["hybrid", "text"])
def test_a_choice_points_behind_each_candidate(
    hybrid: HybridCausalLM,
    recommender: SequentialRecommender,
    writer: PromptWriter,
    encoder: PromptEncoder,
    tokenizer: PreTrainedTokenizerFast,
    fusion: Fusion,
    mode: str,
) -> None:
    model, own = ChoiceModel(hybrid, recommender, 0.0).eval(), replace(writer, fusion=fusion.kind)
    asked = [
        Question(0, [3, 5], [6, 1, 2], 2, "this"),
        Question(2, [7, 8, 1, 3], [4, 5, 6], 4, "this"),
        Question(1, [2], [2, 8, 7], 8, "this"),
    ]
    encoded = [encode_choice(question, mode, own, encoder) for question in asked]
    names = ("input_ids", "slot_mask", "slot_items", "ends", "places")

    def scores(*prompts: int) -> Tensor:
        batch = pad_choices([encoded[i] for i in prompts], 1)
        return model.maps(*model.read(*(batch[name] for name in names)))

    together = scores(0, 1, 2)
    torch.testing.assert_close(together, torch.cat([scores(i) for i in range(3)]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scores(2, 1, 0), together.flip(0), rtol=1e-4, atol=1e-4)
    for question, prompt in zip(asked, encoded, strict=True):
        for place, item in zip(prompt.places, question.candidates, strict=True):
            assert tokenizer.decode(prompt.prompt.input_ids[:place]).endswith(TITLES[item])


@torch.no_grad()
@by_name
def test_answers_are_scored_and_written_as_after_whole_unpadded_prompts(
    hybrid: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, fusion: Fusion
) -> None:
    """Scoring keeps a prompt's keys and values; so its tokens may not depend on what follows."""
    own = replace(writer, fusion=fusion.kind)
    lists = [([5], [1, 2, 3]), ([1, 2, 3], [4, 5, 8]), ([2, 4, 6, 7], [3, 5, 1])]
    prompts = [encoder.encode(own.compose(0, history, candidates, "hybrid")) for history, candidates in lists]
    options = [[encoder.encode_answer(own.answer(item)) for item in candidates] for _, candidates in lists]
    found = candidate_log_likelihoods(hybrid, prompts, options, encoder.filler_id)
    for prompt, row, scores in zip(prompts, options, found, strict=True):
        for answer, score in zip(row, scores, strict=True):
            ids = torch.tensor([[*prompt.input_ids, *answer]])
            mask = torch.tensor([[*prompt.slot_mask, *[False] * len(answer)]])
            embeddings = hybrid.embed(ids, mask, torch.tensor(prompt.slot_items))
            logits = hybrid.llm(inputs_embeds=embeddings).logits[0, len(prompt.input_ids) - 1 : -1].log_softmax(-1)
            expected = sum(float(logits[place, token]) for place, token in enumerate(answer))
            assert score == pytest.approx(expected, rel=1e-3)
    written = generate_answers(hybrid, prompts, encoder, [6] * 3, 2)
    assert written == [generate_answers(hybrid, [prompt], encoder, [6], 1)[0] for prompt in prompts]


Make = Callable[..., Params]
WHOLE = [
    ("stream", "transformer", "gate", make_curriculum("linear", "example"), "raw"),
    ("answer", "transformer", "add", make_curriculum("two_stage", text=0.34, projector=0.33), "chat"),
    ("choice", "linear", "replace", make_curriculum("reverse", "example"), "chat"),
]


@pytest.mark.parametrize(("objective", "kind", "fusion", "curriculum", "form"), WHOLE, ids=lambda part: str(part)[:12])
def test_a_tuned_variant_comes_back_from_its_files_and_is_judged(
    tmp_path: Path,
    make_params: Make,  # noqa: F811
    tokenizer: PreTrainedTokenizerFast,
    family: str,
    objective: str,
    kind: str,
    fusion: str,
    curriculum: object,
    form: str,
) -> None:
    small = {"examples_per_epoch": 12, "batch_size": 4, "micro_batch_size": 2, "lr": 0.02, "projector_lr": 0.02}
    base = make_params(state_dropout=0.2, item_dropout=0.2)
    recipe = getattr(base.objectives, objective)
    validation = recipe.validation.model_copy(update={"positions": 3, "times": 1})
    own = small | {"validation": validation} | ({"layers": 1} if objective != "answer" else {})
    recipe = recipe.model_copy(update=own)
    params = base.model_copy(
        update={
            "objectives": base.objectives.model_copy(update={objective: recipe}),
            "train": base.train.model_copy(update={"objective": ObjectiveChoice(name=objective)}),
            "projector": PROJECTORS[kind],
            "fusion": Fusion(kind=fusion),
            "curriculum": curriculum,
        }
    )
    if form == "chat":
        folder = tmp_path / "instruct"
        make_chat_tokenizer(tokenizer).save_pretrained(folder)
        make_llm(family, len(tokenizer) + 1).save_pretrained(folder)
        entry = folder_llm(folder, attention=ATTENTION.get(family, "sdpa"))
        prompt = params.prompt.model_copy(update={"form": "chat"})
        params = params.model_copy(update={"llms": {"tiny": entry}, "prompt": prompt})
    tuned, tables, _ = _run(tmp_path, params)
    assert (tuned.manifest.chat is not None) == (form == "chat")
    assert tuned.report["examples"] == sum(tuned.report["examples_by_mode"].values()) == 12
    assert tuned.manifest.projector == PROJECTORS[kind]
    assert tuned.manifest.fusion.kind == fusion
    parts = ("recommender", "embeddings", "adapter", "candidates.parquet")
    made = read_artifacts(tmp_path, *(tmp_path / part for part in parts))
    again = load_tuned(params.eval, made)
    moved = dict(tuned.model.projector.named_parameters())
    for name, weight in again.hybrid.projector.named_parameters():
        assert torch.equal(weight, moved[name])
    assert again.writer.fusion == fusion
    assert again.encoder.frame == tuned.manifest.chat
    sets = tables.sets.of("test", n_draws=1)
    found = build_respondent(again).answer(sets)
    in_memory = build_respondent(replace(again, hybrid=tuned.model.eval())).answer(sets)
    np.testing.assert_allclose(found.scores, in_memory.scores, rtol=1e-4)
    assert "llara" in _judge(tmp_path, params).answered.predictions


def _part(name: str) -> str:
    """Whose a trained weight is, by its name in the model."""
    return next((part for part in ("lora_", "projector.") if part in name), "head")


class _Learning(TrainerCallback):
    """Notes, step by step, whose weights have a gradient other than zero, and whose have moved."""

    def __init__(self, model: nn.Module) -> None:
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.taught: list[set[str]] = []
        self.moved: list[set[str]] = []

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        self._before = {name: weight.detach().clone() for name, weight in self._weights.items()}

    def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
        gradients = {name: weight.grad for name, weight in self._weights.items() if weight.grad is not None}
        self.taught.append({_part(name) for name, gradient in gradients.items() if gradient.any()})

    def on_step_end(self, args, state, control, **kwargs) -> None:
        moved = {name for name, weight in self._weights.items() if not torch.equal(weight, self._before[name])}
        self.moved.append({_part(name) for name in moved})


@pytest.mark.parametrize("name", ["choice", "stream"])
def test_in_its_own_stage_the_projector_learns_while_head_and_lora_stay(
    tmp_path: Path,
    make_params: Make,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    seen: list[_Learning] = []

    def build(objective: Objective[Any], arguments: Any, watch: Any, callbacks: list[TrainerCallback]) -> HybridTrainer:
        seen.append(_Learning(objective.model))
        return HybridTrainer(objective, arguments, watch, [*callbacks, *seen])

    monkeypatch.setattr(tuning, "HybridTrainer", build)
    base = make_params()
    small = {"examples_per_epoch": 24, "batch_size": 4, "micro_batch_size": 2, "layers": 1}
    recipe = getattr(base.objectives, name)
    recipe = recipe.model_copy(update=small | {"lr": 0.02, "projector_lr": 0.02, "head_lr": 0.02})
    train = {"objective": ObjectiveChoice(name=name), "weight_decay": 0.1}
    sections = {
        "objectives": base.objectives.model_copy(update={name: recipe}),
        "train": base.train.model_copy(update=train),
        "curriculum": make_curriculum("two_stage", text=1 / 3, projector=1 / 3),
    }
    _run(tmp_path, base.model_copy(update=sections))
    stages = [{"lora_", "head"}] * 2 + [{"projector."}] * 2 + [{"lora_", "projector.", "head"}] * 2
    assert seen[0].taught == stages
    assert seen[0].moved == stages
