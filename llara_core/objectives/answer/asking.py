"""Asking the tuned model about every candidate set, by scoring or by generation."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.answer.generation import generate_answers
from llara_core.objectives.answer.matching import TitleMatcher
from llara_core.objectives.answer.scoring import candidate_log_likelihoods
from llara_core.params.sections import Eval
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.tables.predictions import NO_ITEM, Predictions


def ask(
    model: HybridCausalLM,
    prompts: Sequence[EncodedPrompt],
    candidates: np.ndarray,
    writer: PromptWriter,
    encoder: PromptEncoder,
    params: Eval,
) -> Predictions:
    """Answer R prompts over candidates [R, C].

    Prompts of similar length are asked together; each answer depends on its own prompt alone.
    """
    order = np.argsort([len(prompt.input_ids) for prompt in prompts], kind="stable")
    chunks = [order[start : start + params.batch_size] for start in range(0, len(order), params.batch_size)]
    answers = [""] * len(prompts)
    matched = np.full(len(prompts), NO_ITEM, dtype=np.int32)
    scores = np.zeros(candidates.shape) if params.method == "scoring" else None
    matcher = TitleMatcher(writer.titles) if params.method == "generation" else None
    with tqdm(total=len(prompts), desc=f"evaluate ({params.method})", unit="prompt") as bar:
        for chunk in chunks:
            batch = [prompts[i] for i in chunk]
            options = [[encoder.encode_answer(writer.answer(int(item))) for item in candidates[i]] for i in chunk]
            if scores is not None:
                found = candidate_log_likelihoods(model, batch, options, encoder.filler_id)
                if params.length_normalized:
                    found = found / np.array([[len(answer) for answer in row] for row in options])
                scores[chunk] = found
                matched[chunk] = candidates[chunk, found.argmax(axis=1)]
                for i in chunk:
                    answers[i] = writer.titles[matched[i]]
            elif matcher is not None:
                limits = [max(map(len, row)) for row in options]
                for i, answer in zip(chunk, generate_answers(model, batch, encoder, limits), strict=True):
                    named = matcher.match(answer.text, candidates[i].tolist(), is_whole=answer.is_whole)
                    answers[i], matched[i] = answer.text, NO_ITEM if named is None else named
            bar.update(len(chunk))
    return Predictions(answers, matched, scores)
