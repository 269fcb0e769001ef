"""The loss on held-out answers: what tuning is meant to lower, and what choices are made by."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from llara_core.hybrid.batching import pad_examples
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.questions import encode_questions
from llara_core.params.params import Params
from llara_core.params.sections import Train
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.runtime.compute import autocast
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.sequences import Sequences

AnsweredPrompt = tuple[EncodedPrompt, list[int]]


def validation_questions(
    params: Params, sequences: Sequences, candidates: CandidateSets, writer: PromptWriter, encoder: PromptEncoder
) -> dict[str, list[AnsweredPrompt]]:
    """Ask the first validation users about their first candidate set, as "text_only" and as "hybrid" prompts."""
    sets = candidates.of("validation", n_draws=1)
    sets = sets.select(np.arange(min(len(sets), params.train.validation_examples)))
    answers = [encoder.encode_answer(writer.answer(int(target))) for target in sets.targets]

    def ask(*, hybrid: bool) -> list[AnsweredPrompt]:
        template, length = params.eval.template, params.split.history_length
        prompts = encode_questions(
            sets, sequences, writer, encoder, template=template, history_length=length, hybrid=hybrid
        )
        return list(zip(prompts, answers, strict=True))

    return {"text_only": ask(hybrid=False), "hybrid": ask(hybrid=True)}


def validation_losses(
    model: HybridCausalLM, questions: Mapping[str, Sequence[AnsweredPrompt]], filler_id: int, params: Train
) -> dict[str, float]:
    """Loss on each kind of questions, in the precision of training: the same for a tuned and an untuned model."""
    with autocast(params.precision):
        return {
            name: answer_loss(model, examples, filler_id, params.micro_batch_size)
            for name, examples in questions.items()
        }


@torch.no_grad()
def answer_loss(model: HybridCausalLM, examples: Sequence[AnsweredPrompt], filler_id: int, batch_size: int) -> float:
    """Mean cross-entropy per answer token (nats) over `examples`, whatever the batch size."""
    training = model.training
    model.eval()
    ordered = sorted(examples, key=lambda example: len(example[0].input_ids))
    total = 0.0
    for start in range(0, len(ordered), batch_size):
        prompts, answers = zip(*ordered[start : start + batch_size], strict=True)
        batch = pad_examples(prompts, answers, filler_id)
        total += float(model(**{name: tensor.to(model.device) for name, tensor in batch.items()}))
    model.train(training)
    return total / sum(len(answer) for _, answer in ordered)
