"""What the optimiser is given in a step of each objective: the written-out reference's mean loss and its gradients."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast, TrainerCallback

from llara_core.finetuning.trainer import HybridTrainer, training_arguments
from llara_core.finetuning.watch import Watch, WatchSettings
from llara_core.hybrid.batching import IGNORED
from llara_core.objectives.answer.objective import AnswerObjective
from llara_core.objectives.choice.objective import ChoiceObjective
from llara_core.objectives.choice.prompts import encode_choice
from llara_core.objectives.objective import Objective
from llara_core.objectives.stream.chunks import EncodedChunk
from llara_core.objectives.stream.objective import StreamObjective
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.prompting.segments import Mode, PromptWriter
from tests.conftest import TITLES
from tests.factories import GATE
from tests.objectives import by_hand
from tests.objectives.exact import (
    CHUNKS,
    MIXED,
    QUESTIONS,
    TEMPLATES,
    make_choice,
    make_hybrid,
    make_stream,
    require_equal_gradients,
)

MODES = MIXED["hybrid"]


class _Step(Dataset):
    """A plan of one step."""

    def __init__(self, examples: Sequence[Any]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Any:
        return self._examples[index]

    def trains_projector_alone(self, step: int) -> bool:
        return False


class _Given(TrainerCallback):
    """Notes the gradients that the optimiser is given."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.gradients: dict[str, Tensor | None] = {}

    def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
        for name, weight in self._model.named_parameters():
            if weight.requires_grad:
                self.gradients[name] = None if weight.grad is None else weight.grad.clone()


def _as_planned(made: Objective[Any], model: nn.Module, examples: Sequence[Any], recipe: Any, filler: int) -> None:
    made.model, made.plan, made.recipe, made._filler_id = model, _Step(examples), recipe, filler


def _answers(writer: PromptWriter, encoder: PromptEncoder, params: Params, size: int) -> Objective[Any]:
    prompts = [
        encoder.encode(writer.compose(asked.template, asked.history, asked.candidates, mode))
        for asked, mode in zip(QUESTIONS, MODES, strict=True)
    ]
    answers = [encoder.encode_answer(writer.answer(asked.target)) for asked in QUESTIONS]
    made, examples = AnswerObjective.__new__(AnswerObjective), list(zip(prompts, answers, strict=True))
    model = make_hybrid(size, "transformer", GATE)
    _as_planned(made, model, examples, params.objectives.answer, encoder.filler_id)
    return made


def _choices(writer: PromptWriter, encoder: PromptEncoder, params: Params, size: int) -> Objective[Any]:
    examples = [encode_choice(asked, mode, writer, encoder) for asked, mode in zip(QUESTIONS, MODES, strict=True)]
    made = ChoiceObjective.__new__(ChoiceObjective)
    model = make_choice(make_hybrid(size, "transformer", GATE))
    _as_planned(made, model, examples, params.objectives.choice, encoder.filler_id)
    return made


def _chunk(histories: HistoryEncoder, items: list[int], following: list[int | None], mode: Mode) -> EncodedChunk:
    labels = [IGNORED if item is None else item for item in following]
    return EncodedChunk(histories.encode(items, mode), items, labels, list(range(len(items))), 1)


def _streams(writer: PromptWriter, encoder: PromptEncoder, params: Params, size: int) -> Objective[Any]:
    histories = HistoryEncoder(encoder, TITLES, "gate")
    examples = [_chunk(histories, *chunk, mode) for chunk, mode in zip(CHUNKS, MODES, strict=True)]
    made, recipe = StreamObjective.__new__(StreamObjective), params.objectives.stream
    made._rivals, made._n_items = None, len(TITLES) - 1
    model = make_stream(make_hybrid(size, "transformer", GATE))
    _as_planned(made, model, examples, recipe.model_copy(update={"state_dropout": 0.0}), encoder.filler_id)
    return made


def _mean_by_hand(objective: Objective[Any], tokenizer: PreTrainedTokenizerFast) -> Tensor:
    model: Any = objective.model
    match objective:
        case AnswerObjective():
            tokens = sum(len(by_hand.answer_of(tokenizer, asked)) for asked in QUESTIONS)
            return by_hand.answers_loss(model, tokenizer, TEMPLATES, QUESTIONS, MODES) / tokens
        case ChoiceObjective():
            return by_hand.choices_loss(model, tokenizer, TEMPLATES, QUESTIONS, MODES) / len(QUESTIONS)
    targets = sum(item is not None for _, following in CHUNKS for item in following)
    return by_hand.streams_loss(model, tokenizer, CHUNKS, MODES) / targets


@pytest.mark.parametrize("micro_batch_size", [1, 2, 4])
@pytest.mark.parametrize("make", [_answers, _choices, _streams], ids=lambda make: make.__name__[1:])
def test_a_step_s_gradients_are_those_of_the_mean_over_its_targets(
    tmp_path: Path,
    writer: PromptWriter,
    encoder: PromptEncoder,
    tokenizer: PreTrainedTokenizerFast,
    params: Params,
    make: Any,
    micro_batch_size: int,
) -> None:
    own = replace(writer, templates=TEMPLATES, separator=", ", fusion="gate")
    objective = make(own, encoder, params, len(tokenizer))
    small = {"batch_size": 4, "micro_batch_size": micro_batch_size}
    recipe = objective.recipe.model_copy(update=small)
    train = params.train.model_copy(update={"max_grad_norm": 1e9, "workers": 0, "warmup": 0.0})  # nothing is clipped
    given, watch = _Given(objective.model), Watch(objective.model, lambda: 0.0, WatchSettings("score", 1, 1, 0.0))
    expected = _mean_by_hand(objective, tokenizer).item()
    trainer = HybridTrainer(objective, training_arguments(train, recipe, 1, tmp_path, seed=0), watch, [given])
    start = {name: weight.detach().clone() for name, weight in objective.model.named_parameters()}
    trainer.train()
    [logged] = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == pytest.approx(expected, rel=1e-6)  # the Trainer adds losses up in float32
    with torch.no_grad():
        for name, weight in objective.model.named_parameters():
            weight.copy_(start[name])
    require_equal_gradients(
        objective.model, given.gradients, _mean_by_hand(objective, tokenizer), has_tokens=True, unused="maps.item.bias"
    )
