from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from llara_core.errors import ModelError
from llara_core.hybrid.adapter import build_hybrid
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.answer import writing
from llara_core.objectives.answer.asking import ask
from llara_core.objectives.answer.generation import Answer, generate_answers
from llara_core.objectives.answer.scoring import candidate_log_likelihoods
from llara_core.objectives.answer.writing import portions
from llara_core.params.params import Params
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter, Text
from llara_core.tables.predictions import NO_ITEM
from tests.factories import APPEND, PROJECTOR
from tests.objectives.answer.liking import like

pytestmark = pytest.mark.every_family

CANDIDATES = np.array([[1, 2, 3], [4, 5, 8], [6, 7, 2], [3, 5, 1]])
HISTORIES = [[5], [1, 2, 3], [8, 1], [2, 4, 6, 7]]


@pytest.fixture
def model(llm: PreTrainedModel, item_embeddings: np.ndarray) -> HybridCausalLM:
    torch.manual_seed(0)
    return build_hybrid(llm, item_embeddings, PROJECTOR, APPEND).eval()


@pytest.fixture
def prompts(writer: PromptWriter, encoder: PromptEncoder) -> list[EncodedPrompt]:
    return [
        encoder.encode(writer.compose(0, history, row.tolist(), "hybrid"))
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


@torch.no_grad()
def _slow_answer(model: HybridCausalLM, prompt: EncodedPrompt, encoder: PromptEncoder, limit: int) -> Answer:
    """One token at a time, each from a pass over the whole unpadded sequence."""
    ids: list[int] = []
    while len(ids) < limit and not (ids and ids[-1] in encoder.stop_ids):
        mask = torch.tensor([prompt.slot_mask + [False] * len(ids)])
        inputs = model.embed(torch.tensor([prompt.input_ids + ids]), mask, torch.tensor(prompt.slot_items))
        ids.append(int(model.llm(inputs_embeds=inputs).logits[0, -1].argmax()))
    return Answer(encoder.decode(ids), ids[-1] in encoder.stop_ids)


def test_generation_is_greedy_decoding_up_to_each_answer_s_own_limit(
    model: HybridCausalLM, prompts: list[EncodedPrompt], encoder: PromptEncoder
) -> None:
    limits = [2, 9, 1, 5]
    expected = [_slow_answer(model, prompt, encoder, limit) for prompt, limit in zip(prompts, limits, strict=True)]
    assert len({answer.text for answer in expected}) > 1
    for size in (1, 2, 3, 4):
        assert generate_answers(model, prompts, encoder, limits, size) == expected
    for order in ([3, 2, 1, 0], [2, 0], [1, 1, 3]):
        found = generate_answers(model, [prompts[i] for i in order], encoder, [limits[i] for i in order], 2)
        assert found == [expected[i] for i in order]


@pytest.mark.every_family(but="gemma")  # whose tiny model writes the same behind every prompt
def test_rows_that_have_ended_before_they_are_read_leave_the_others_their_prompts(
    model: HybridCausalLM, prompts: list[EncodedPrompt], encoder: PromptEncoder
) -> None:
    limits = [0, 9, 0, 9]
    answers = [_slow_answer(model, prompt, encoder, 9) for prompt in prompts]
    assert len(set(answers)) == 4  # each prompt has an answer of its own
    found = generate_answers(model, prompts, encoder, limits, 2)
    assert found == [Answer("", False), answers[1], Answer("", False), answers[3]]


def _speaking(model: HybridCausalLM, monkeypatch: pytest.MonkeyPatch, row: list[int]) -> None:
    """Let the model like best the tokens of `row` one after the other, over and over, behind each prompt."""
    like(model, monkeypatch, lambda step: [row[step % len(row)]])


def test_a_whole_answer_is_one_that_stopped_within_its_own_limit(
    model: HybridCausalLM, prompts: list[EncodedPrompt], encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    heat = encoder.encode_answer(Text(" Heat"))
    _speaking(model, monkeypatch, heat)
    answers = generate_answers(model, prompts, encoder, [len(heat) - 1, len(heat), len(heat) + 3, 1], 4)
    assert [answer.is_whole for answer in answers] == [False, True, True, len(heat) == 1]
    assert [answer.text for answer in answers[:3]] == ["Heat"] * 3


def test_a_line_s_end_ends_an_answer(
    model: HybridCausalLM, prompts: list[EncodedPrompt], encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    line_end = next(token for token in encoder.stop_ids if token != encoder.eos_id)
    passes = like(model, monkeypatch, lambda step: [[20, line_end, 21, encoder.eos_id][step]])
    answers = generate_answers(model, prompts[:2], encoder, [9, 1], batch_size=2)
    assert answers == [Answer(encoder.decode([20]), True), Answer(encoder.decode([20]), False)]
    assert passes == [2, 1]


def test_prompts_are_read_in_portions_by_hand() -> None:
    """Two of 200 and 300 tokens take 600 with padding; with a third, 900."""
    lengths = [200, 300, 300, 500, 900, 100]
    assert portions(lengths, 4, 800) == [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6)]
    assert portions(lengths, 4, 1000) == [(0, 3), (3, 4), (4, 5), (5, 6)]
    assert portions(lengths, 4, None) == [(0, 4), (4, 6)]
    assert portions(lengths[:2], 1, 800) == [(0, 1), (1, 2)]
    assert portions([100] * 8, 8, 800) == [(0, 8)]


def test_no_pass_is_made_for_a_row_that_has_ended(
    model: HybridCausalLM, prompts: list[EncodedPrompt], encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All say the same four tokens and the end. Three prompts are read, then the fourth; then all go on."""
    said = [20, 21, 22, 23, encoder.eos_id]
    passes = like(model, monkeypatch, lambda step: [said[step]])
    answers = generate_answers(model, prompts, encoder, [3, 9, 1, 4], batch_size=3)
    assert [answer.is_whole for answer in answers] == [False, True, False, False]
    assert [answer.text for answer in answers] == [encoder.decode(said[:limit]) for limit in (3, 9, 1, 4)]
    assert passes == [3, 1, 3, 3, 2, 1]


def test_a_cpu_reads_few_tokens_at_a_time(
    model: HybridCausalLM, prompts: list[EncodedPrompt], encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = like(model, monkeypatch, lambda _: [encoder.eos_id])
    monkeypatch.setattr(writing, "_CPU_TOKENS", 2 * len(prompts[1].input_ids))
    found = generate_answers(model, [prompts[1]] * 3, encoder, [5] * 3, batch_size=3)
    assert found == [Answer("", True)] * 3
    assert passes == [2, 1]


@pytest.mark.parametrize(
    ("method", "expected", "told"),
    [
        ("scoring", [1, 1] * 8, [1] * 8),  # a prompt, its candidates
        ("generation", [1, 1, 1, 1, 4] * 2, [4, 4]),  # four prompts, and the second token behind all of them
        ("constrained", [1, 1, 1, 1] * 2, [4, 4]),  # the first token decides
    ],
)
def test_batches_are_read_one_by_one_and_answered_by_fours(
    model: HybridCausalLM,
    prompts: list[EncodedPrompt],
    writer: PromptWriter,
    encoder: PromptEncoder,
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    expected: list[int],
    told: list[int],
) -> None:
    """Eight prompts in batches of one; all say one token and the end."""
    passes = like(model, monkeypatch, lambda step: [[20], [encoder.eos_id]][step])
    settings = params.eval.model_copy(update={"method": method, "batch_size": 1})
    done: list[int] = []
    candidates = np.tile([[1, 3, 6]], (8, 1))
    answers = ask(model, prompts * 2, candidates, writer, encoder, settings, done.append)
    assert len(answers.answers) == 8
    assert (passes, done) == (expected, told)


def test_no_generated_answer_depends_on_the_others_in_its_batch(
    model: HybridCausalLM,
    prompts: list[EncodedPrompt],
    writer: PromptWriter,
    encoder: PromptEncoder,
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The model always says "Heat! Heat! …" and never stops. Candidates of one row are short, of another very long.
    titles = [*writer.titles, "The Englishman Who Went Up a Hill But Came Down a Mountain"]
    writer = replace(writer, titles=titles)
    candidates = np.array([[6, 4, 8], [6, 9, 1], [6, 8, 4], [6, 7, 9]])
    _speaking(model, monkeypatch, encoder.encode_answer(Text(" Heat!"))[:-1])
    limits = [max(len(encoder.encode_answer(writer.answer(item))) for item in row) for row in candidates.tolist()]
    said = encoder.encode_answer(Text(" Heat!" * 100))
    expected = [encoder.decode(said[:limit]) for limit in limits]
    assert max(limits) > 3 * min(limits)
    for size in (1, 2, 3, 4):
        settings = params.eval.model_copy(update={"method": "generation", "batch_size": size})
        answers = ask(model, prompts, candidates, writer, encoder, settings)
        assert answers.answers == expected
        assert answers.matched_items.tolist() == [6, 6, 6, 6]


def test_an_answer_is_judged_by_all_titles(
    model: HybridCausalLM,
    prompts: list[EncodedPrompt],
    writer: PromptWriter,
    encoder: PromptEncoder,
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _speaking(model, monkeypatch, encoder.encode_answer(Text(" Alien 3")))
    settings = params.eval.model_copy(update={"method": "generation"})
    answers = ask(model, prompts, np.array([[4, 7, 1], [4, 5, 7], [5, 7, 1], [7, 8, 3]]), writer, encoder, settings)
    assert answers.answers == ["Alien 3"] * 4
    assert answers.matched_items.tolist() == [NO_ITEM, 5, 5, NO_ITEM]


def test_a_cut_answer_is_read_as_one_that_may_go_on(
    model: HybridCausalLM,
    prompts: list[EncodedPrompt],
    writer: PromptWriter,
    encoder: PromptEncoder,
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind "Alien" stands its end, or a space, and then there is no room for what may be "Alien 3"."""
    settings = params.eval.model_copy(update={"method": "generation"})
    *alien, end = encoder.encode_answer(Text(" Alien"))
    [space] = encoder.encode_answer(Text(" "))[:-1]
    for last, item in ((end, 4), (space, NO_ITEM)):
        _speaking(model, monkeypatch, [*alien, last])
        answers = ask(model, prompts[:1], np.array([[4]]), writer, encoder, settings)
        assert answers.answers == ["Alien"]
        assert answers.matched_items.tolist() == [item]


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
    model: HybridCausalLM,
    prompts: list[EncodedPrompt],
    writer: PromptWriter,
    encoder: PromptEncoder,
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = params.eval.model_copy(update={"method": "generation"})
    _speaking(model, monkeypatch, encoder.encode_answer(Text(" Casablanca")))
    answers = ask(model, prompts, CANDIDATES, writer, encoder, settings)
    assert answers.scores is None
    assert all(answer and "Casablanca".startswith(answer) for answer in answers.answers)  # so far as there is room
    assert answers.matched_items.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("method", ["scoring", "generation"])
def test_a_model_that_computes_no_numbers_is_refused(
    model: HybridCausalLM,
    prompts: list[EncodedPrompt],
    writer: PromptWriter,
    encoder: PromptEncoder,
    params: Params,
    method: str,
) -> None:
    torch.nn.init.constant_(model.projector.last.bias, float("nan"))
    settings = params.eval.model_copy(update={"method": method})
    with pytest.raises(ModelError, match="scores must be finite numbers, got nan"):
        ask(model, prompts, CANDIDATES, writer, encoder, settings)
