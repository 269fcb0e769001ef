"""Asking the tuned model about every candidate set, by scoring, by generation, or by generation of candidates alone."""

from collections.abc import Sequence

import numpy as np

from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.answer.constrained import write_candidates
from llara_core.objectives.answer.generation import generate_answers
from llara_core.objectives.answer.matching import TitleMatcher
from llara_core.objectives.answer.scoring import candidate_log_likelihoods
from llara_core.objectives.asking import Advance, best_of, ignore
from llara_core.params.sections import Eval
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.tables.predictions import NONE, WHOLE, Predictions

_WRITTEN_TOGETHER = 4  # batches: from the second to the fourth a step's time grows by a fifth each, memory by one each


def ask(
    model: HybridCausalLM,
    prompts: Sequence[EncodedPrompt],
    candidates: np.ndarray,
    writer: PromptWriter,
    encoder: PromptEncoder,
    params: Eval,
    advance: Advance = ignore,
) -> Predictions:
    """Answer R prompts over candidates [R, C].

    Prompts of similar length are read together; each answer depends on its own prompt alone.
    """
    order = np.argsort([len(prompt.input_ids) for prompt in prompts], kind="stable")
    size = params.batch_size if params.method == "scoring" else params.batch_size * _WRITTEN_TOGETHER
    chunks = [order[start : start + size] for start in range(0, len(order), size)]
    scores = np.zeros(candidates.shape)
    written = Predictions([""] * len(prompts), [NONE] * len(prompts), np.zeros(len(prompts), dtype=np.int32), None)
    matcher = TitleMatcher(writer.titles) if params.method == "generation" else None
    for chunk in chunks:
        batch = [prompts[i] for i in chunk]
        options = [[encoder.encode_answer(writer.answer(int(item))) for item in candidates[i]] for i in chunk]
        if params.method == "scoring":
            found = candidate_log_likelihoods(model, batch, options, encoder.filler_id)
            if params.length_normalized:
                found = found / np.array([[len(answer) for answer in row] for row in options])
            scores[chunk] = found
        elif matcher is None:
            places = write_candidates(model, batch, options, encoder.filler_id, params.batch_size)
            for i, place in zip(chunk, places, strict=True):
                item = int(candidates[i, place])
                written.answers[i], written.matched_items[i], written.matches[i] = writer.titles[item], item, WHOLE
        else:
            limits = [max(map(len, row)) for row in options]
            answers = generate_answers(model, batch, encoder, limits, params.batch_size)
            for i, answer in zip(chunk, answers, strict=True):
                written.answers[i] = answer.text
                named = matcher.read(answer.text, candidates[i].tolist(), is_whole=answer.is_whole)
                written.matched_items[i], written.matches[i] = named
        advance(len(chunk))
    return best_of(candidates, scores, writer.titles) if params.method == "scoring" else written
