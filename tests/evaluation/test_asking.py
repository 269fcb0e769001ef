import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from llara_core.evaluation.asking import ask
from llara_core.evaluation.generation import generate_answers
from llara_core.evaluation.scoring import candidate_log_likelihoods
from llara_core.hybrid.adapter import build_hybrid
from llara_core.hybrid.model import HybridCausalLM
from llara_core.params.params import Params
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter

CANDIDATES = np.array([[1, 2, 3], [4, 5, 8], [6, 7, 2], [3, 5, 1]])
HISTORIES = [[5], [1, 2, 3], [8, 1], [2, 4, 6, 7]]


@pytest.fixture
def model(llama: LlamaForCausalLM, item_embeddings: np.ndarray) -> HybridCausalLM:
    torch.manual_seed(0)
    return build_hybrid(llama, item_embeddings, hidden=6).eval()


@pytest.fixture
def prompts(writer: PromptWriter, encoder: PromptEncoder) -> list[EncodedPrompt]:
    return [
        encoder.encode(writer.compose(0, history, row.tolist(), hybrid=True))
        for history, row in zip(HISTORIES, CANDIDATES, strict=True)
    ]


@torch.no_grad()
def _slow_log_likelihood(model: HybridCausalLM, prompt: EncodedPrompt, answer: list[int]) -> float:
    """One whole unpadded sequence per candidate."""
    ids = torch.tensor([prompt.input_ids + answer])
    mask = torch.tensor([prompt.slot_mask + [False] * len(answer)])
    logits = model.llm(inputs_embeds=model.embed(ids, mask, torch.tensor(prompt.slot_items))).logits[0]
    start = len(prompt.input_ids)
    return sum(logits[start + i - 1].log_softmax(0)[token].item() for i, token in enumerate(answer))


def _options(writer: PromptWriter, encoder: PromptEncoder) -> list[list[list[int]]]:
    return [[encoder.encode_answer(writer.answer(item)) for item in row] for row in CANDIDATES.tolist()]


def test_scores_are_those_of_one_whole_sequence_per_candidate(
    model: HybridCausalLM, prompts: list[EncodedPrompt], writer: PromptWriter, encoder: PromptEncoder
) -> None:
    options = _options(writer, encoder)
    found = candidate_log_likelihoods(model, prompts, options, encoder.filler_id)
    expected = [
        [_slow_log_likelihood(model, prompt, answer) for answer in row]
        for prompt, row in zip(prompts, options, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_scores_do_not_depend_on_the_batch_or_on_the_order_of_answers(
    model: HybridCausalLM, prompts: list[EncodedPrompt], writer: PromptWriter, encoder: PromptEncoder
) -> None:
    options = _options(writer, encoder)
    together = candidate_log_likelihoods(model, prompts, options, encoder.filler_id)
    for i, prompt in enumerate(prompts):
        alone = candidate_log_likelihoods(model, [prompt], [options[i][::-1]], encoder.filler_id)
        np.testing.assert_allclose(alone[0, ::-1], together[i], rtol=1e-5)


def test_generation_does_not_depend_on_padding(
    model: HybridCausalLM, prompts: list[EncodedPrompt], encoder: PromptEncoder
) -> None:
    together = generate_answers(model, prompts, encoder, max_new_tokens=6)
    assert together == [generate_answers(model, [prompt], encoder, max_new_tokens=6)[0] for prompt in prompts]


@torch.no_grad()
def test_generation_is_greedy_decoding(
    model: HybridCausalLM, prompts: list[EncodedPrompt], encoder: PromptEncoder
) -> None:
    for prompt in prompts:
        ids: list[int] = []
        while len(ids) < 6 and not (ids and ids[-1] in encoder.stop_ids):
            mask = torch.tensor([prompt.slot_mask + [False] * len(ids)])
            inputs = model.embed(torch.tensor([prompt.input_ids + ids]), mask, torch.tensor(prompt.slot_items))
            ids.append(int(model.llm(inputs_embeds=inputs).logits[0, -1].argmax()))
        assert generate_answers(model, [prompt], encoder, max_new_tokens=6) == [encoder.decode(ids)]


def test_asking_by_scores_chooses_the_likeliest_for_any_batch_size(
    model: HybridCausalLM, prompts: list[EncodedPrompt], writer: PromptWriter, encoder: PromptEncoder, params: Params
) -> None:
    expected = CANDIDATES[
        np.arange(4),
        np.argmax(candidate_log_likelihoods(model, prompts, _options(writer, encoder), encoder.filler_id), axis=1),
    ]
    for size in (1, 3, 4):
        answers = ask(model, prompts, CANDIDATES, writer, encoder, params.eval.model_copy(update={"batch_size": size}))
        assert answers.matched_items.tolist() == expected.tolist()
        assert answers.answers == [writer.titles[item] for item in expected]


def test_length_normalised_scores_are_per_token(
    model: HybridCausalLM, prompts: list[EncodedPrompt], writer: PromptWriter, encoder: PromptEncoder, params: Params
) -> None:
    settings = params.eval.model_copy(update={"length_normalized": True})
    sums = candidate_log_likelihoods(model, prompts, _options(writer, encoder), encoder.filler_id)
    lengths = [[len(answer) for answer in row] for row in _options(writer, encoder)]
    answers = ask(model, prompts, CANDIDATES, writer, encoder, settings)
    np.testing.assert_allclose(answers.scores, sums / lengths, rtol=1e-5)


def test_a_generated_answer_that_names_no_candidate_is_invalid(
    model: HybridCausalLM, prompts: list[EncodedPrompt], writer: PromptWriter, encoder: PromptEncoder, params: Params
) -> None:
    settings = params.eval.model_copy(update={"method": "generation"})
    answers = ask(model, prompts, CANDIDATES, writer, encoder, settings)
    assert answers.scores is None
    assert answers.matched_items.tolist() == [0, 0, 0, 0]  # a random model babbles
