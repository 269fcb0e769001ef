"""Training on answers (paper, equations 6 and 9): prompts in both modes, watched by the loss on held-out answers."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from llara_core.hybrid.batching import pad_examples, to_device
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.questions import encode_questions
from llara_core.objectives.answer.prompts import AnsweredPrompt, AnswerPlan
from llara_core.objectives.objective import Objective, Sources, evaluating, lora_and_projector
from llara_core.prompting.segments import Mode
from llara_core.runtime.compute import autocast
from llara_core.sequences.windows import histories, of_candidate_sets


class AnswerObjective(Objective[AnsweredPrompt]):
    """The hybrid language model as it is."""

    watched = "negative_loss"

    def __init__(self, sources: Sources) -> None:
        """Plan the prompts and encode the validation users' questions."""
        params, sequences = sources.params, sources.tables.sequences
        self.recipe = params.objectives.answer
        self.plan = AnswerPlan.of(params, self.recipe, sequences, sources.writer, sources.encoder)
        self._filler_id, self._precision = sources.encoder.filler_id, params.train.precision
        self._questions = validation_questions(sources, self.recipe.validation.positions, self.plan.last_mode)
        self.model: HybridCausalLM = sources.hybrid()

    def collate(self, examples: Sequence[AnsweredPrompt]) -> dict[str, Tensor]:
        """Stack prompts with their answers, as `pad_examples` does."""
        prompts, answers = zip(*examples, strict=True)
        return pad_examples(prompts, answers, self._filler_id)

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """LoRA's weights, and the projector's."""
        return lora_and_projector(self.model, self.recipe)

    def validate(self) -> float:
        """Mean log-likelihood per answer token (nats), asked as the last steps of training are."""
        with autocast(self._precision):
            return -answer_loss(self.model, self._questions, self._filler_id, self.recipe.rows)


def validation_questions(sources: Sources, n_questions: int, mode: Mode) -> list[AnsweredPrompt]:
    """Ask the first validation users about their first candidate set."""
    params, writer, encoder, sequences = sources.params, sources.writer, sources.encoder, sources.tables.sequences
    sets = sources.tables.sets.of("validation", n_draws=1)
    sets = sets.select(np.arange(min(len(sets), n_questions)))
    answers = [encoder.encode_answer(writer.answer(int(target))) for target in sets.targets]
    prompts = encode_questions(
        sets,
        histories(sequences, of_candidate_sets(sequences, sets), params.split.history_length),
        writer,
        encoder,
        template=params.eval.template,
        mode=mode,
    )
    return list(zip(prompts, answers, strict=True))


@torch.no_grad()
def answer_loss(model: HybridCausalLM, examples: Sequence[AnsweredPrompt], filler_id: int, batch_size: int) -> float:
    """Mean cross-entropy per answer token (nats) over `examples`, whatever the batch size."""
    ordered = sorted(examples, key=lambda example: len(example[0].input_ids))
    total = 0.0
    with evaluating(model):
        for start in range(0, len(ordered), batch_size):
            prompts, answers = zip(*ordered[start : start + batch_size], strict=True)
            total += float(model(**to_device(pad_examples(prompts, answers, filler_id), model.device)))
    return total / sum(len(answer) for _, answer in ordered)
