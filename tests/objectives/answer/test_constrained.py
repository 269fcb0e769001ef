from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from llara_core.errors import ArtifactError, ModelError
from llara_core.evaluation.artifacts import Artifacts, load_tuned
from llara_core.hybrid.adapter import build_hybrid
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.answer.asking import ask
from llara_core.objectives.answer.constrained import write_candidates
from llara_core.objectives.answer.scoring import candidate_log_likelihoods
from llara_core.params.params import Params
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import Mode, PromptWriter, Text
from llara_core.tables.predictions import WHOLE
from tests.conftest import TITLES
from tests.factories import APPEND, PROJECTOR
from tests.objectives.answer.liking import like

pytestmark = pytest.mark.every_family

MORE = ["The Pianist", "The Piano Lesson", "The Piano Teacher", "Heat and Dust", "Toy Story 2", "Aliens", "Babel"]
CANDIDATES = np.array([[1, 13, 3, 7, 10], [4, 5, 14, 6, 12], [7, 10, 11, 9, 2], [8, 15, 1, 13, 5], [5, 14, 4, 15, 8]])
HISTORIES = [[5], [1, 2, 3], [8, 1], [2, 4, 6, 7, 9, 11], [3, 3, 8]]


@pytest.fixture
def model(llm: PreTrainedModel) -> HybridCausalLM:
    vectors = np.random.default_rng(1).normal(size=(len(TITLES) + len(MORE), 4)).astype(np.float32)
    torch.manual_seed(0)
    return build_hybrid(llm, vectors, PROJECTOR, APPEND).eval()


@pytest.fixture
def writer(writer: PromptWriter) -> PromptWriter:
    return replace(writer, titles=[*TITLES, *MORE])


def _prompts(writer: PromptWriter, encoder: PromptEncoder, mode: Mode = "hybrid") -> list[EncodedPrompt]:
    return [
        encoder.encode(writer.compose(0, history, row.tolist(), mode))
        for history, row in zip(HISTORIES, CANDIDATES, strict=True)
    ]


def _options(writer: PromptWriter, encoder: PromptEncoder) -> list[list[list[int]]]:
    return [[encoder.encode_answer(writer.answer(item)) for item in row] for row in CANDIDATES.tolist()]


@torch.no_grad()
def _slow_choice(model: HybridCausalLM, prompt: EncodedPrompt, answers: list[list[int]]) -> int:
    """One token at a time up to the answer's end, each from a pass over the whole unpadded sequence."""
    ids: list[int] = []
    while ids not in answers:
        mask = torch.tensor([prompt.slot_mask + [False] * len(ids)])
        inputs = model.embed(torch.tensor([prompt.input_ids + ids]), mask, torch.tensor(prompt.slot_items))
        logits = model.llm(inputs_embeds=inputs).logits[0, -1].tolist()
        allowed = {answer[len(ids)] for answer in answers if answer[: len(ids)] == ids}
        ids.append(max(allowed, key=lambda token: logits[token]))
    return answers.index(ids)


@pytest.mark.parametrize("mode", ["hybrid", "text", "id"])
def test_it_is_greedy_decoding_over_the_row_s_own_candidates(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, params: Params, mode: Mode
) -> None:
    prompts, options = _prompts(writer, encoder, mode), _options(writer, encoder)
    expected = [_slow_choice(model, prompt, row) for prompt, row in zip(prompts, options, strict=True)]
    assert len(set(expected)) > 1
    items = CANDIDATES[np.arange(len(expected)), expected].tolist()
    for size in (1, 2, 3, 4):
        settings = params.eval.model_copy(update={"method": "constrained", "batch_size": size})
        found = ask(model, prompts, CANDIDATES, writer, encoder, settings)
        assert found.matched_items.tolist() == items
        assert found.matched_items.dtype == np.int32
        assert found.answers == [writer.titles[item] for item in items]
        assert found.matches == [WHOLE] * len(items)
        assert found.scores is None


def test_it_is_not_scoring(model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder) -> None:
    """The likeliest title needn't begin with the likeliest token: most of the random model's don't."""
    prompts, options = _prompts(writer, encoder), _options(writer, encoder)
    likeliest = candidate_log_likelihoods(model, prompts, options, encoder.filler_id).argmax(axis=1)
    assert write_candidates(model, prompts, options, encoder.filler_id, 8) != likeliest.tolist()


def test_no_answer_depends_on_the_others_in_its_batch(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder
) -> None:
    """Rows that are decided by their first token stand beside one whose titles part after many."""
    prompts, options = _prompts(writer, encoder), _options(writer, encoder)
    hill = " The Englishman Who Went Up a Hill But Came Down a"
    options[2] = [encoder.encode_answer(Text(f"{hill} {end}")) for end in ("Mountain", "Valley", "Heat", "Hill")]
    alone = [
        write_candidates(model, [prompt], [row], encoder.filler_id, 8)[0]
        for prompt, row in zip(prompts, options, strict=True)
    ]
    assert alone == [_slow_choice(model, prompt, row) for prompt, row in zip(prompts, options, strict=True)]
    for order in ([0, 1, 2, 3, 4], [4, 2, 0], [3, 2], [2, 2, 1]):
        together = write_candidates(
            model, [prompts[i] for i in order], [options[i] for i in order], encoder.filler_id, 2
        )
        assert together == [alone[i] for i in order]


def test_nothing_is_read_where_all_is_decided(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = _liking(model, monkeypatch, [])
    answers = [[[5, encoder.eos_id]], [[6, 7, encoder.eos_id]] * 2]
    assert write_candidates(model, _prompts(writer, encoder)[:2], answers, encoder.filler_id, 8) == [0, 0]
    assert passes == []


def test_short_prompts_beside_long_ones_are_answered_as_alone(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder
) -> None:
    generator = np.random.default_rng(0)
    prompts, options = [], []
    for length in [1, 30] * 16:
        history, row = generator.integers(1, 16, length).tolist(), (1 + generator.permutation(15)[:12]).tolist()
        prompts.append(encoder.encode(writer.compose(0, history, row, "hybrid")))
        options.append([encoder.encode_answer(writer.answer(item)) for item in row])
    expected = [_slow_choice(model, prompt, row) for prompt, row in zip(prompts, options, strict=True)]
    assert write_candidates(model, prompts, options, encoder.filler_id, 8) == expected


def _liking(
    model: HybridCausalLM, monkeypatch: pytest.MonkeyPatch, liked: list[list[int]], least: float = 0.0
) -> list[int]:
    """Let every row like best the tokens liked[0], then liked[1], …; return how many rows each pass has."""
    return like(model, monkeypatch, liked.__getitem__, least)


@pytest.mark.parametrize(("place", "title"), [(0, "Alien"), (1, "Alien 3")])
def test_a_title_that_begins_another_is_told_from_it_by_its_end(
    model: HybridCausalLM,
    writer: PromptWriter,
    encoder: PromptEncoder,
    monkeypatch: pytest.MonkeyPatch,
    place: int,
    title: str,
) -> None:
    short, long = (encoder.encode_answer(Text(f" {name}")) for name in ("Alien", "Alien 3"))
    assert long[: len(short) - 1] == short[:-1]
    said = encoder.encode_answer(Text(f" {title}"))
    passes = _liking(model, monkeypatch, [[token] for token in said])
    assert write_candidates(model, _prompts(writer, encoder)[:1], [[short, long]], encoder.filler_id, 8) == [place]
    assert passes == [1] * len(short)  # up to where they part


def test_one_pass_tells_titles_of_one_token_apart(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = encoder.eos_id
    answers = [[[7, end], [8, end], [9, end]], [[9, end], [7, end], [end]], [[7, end], [5, end], [6, end]]]
    passes = _liking(model, monkeypatch, [[20, end, 9, 5, 7]])
    assert write_candidates(model, _prompts(writer, encoder)[:3], answers, encoder.filler_id, 8) == [2, 2, 1]
    assert passes == [3]


def test_no_pass_is_made_for_what_is_decided(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = encoder.eos_id
    answers = [[[5, 6, 7, 8, 9, end], [5, 7, 7, 8, 9, end]], [[10, 11, 12, 13, end], [14, 11, 12, 13, end]]]
    passes = _liking(model, monkeypatch, [[5, 10], [7, 11]])
    assert write_candidates(model, _prompts(writer, encoder)[:2], answers, encoder.filler_id, 8) == [1, 0]
    assert passes == [2, 1]


def test_a_model_that_would_rather_write_something_else_writes_a_candidate(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It likes best the end at once, a line's end, and GoldenEye, which is offered in the third list alone."""
    likes = [encoder.eos_id, *encoder.stop_ids[1:3], *encoder.encode_answer(Text(" GoldenEye"))]
    settings = params.eval.model_copy(update={"method": "constrained", "batch_size": 8})
    _liking(model, monkeypatch, [likes] * 20, least=-1e4)
    found = ask(model, _prompts(writer, encoder), CANDIDATES, writer, encoder, settings)
    assert found.answers[2] == "GoldenEye"
    for item, title, row in zip(found.matched_items, found.answers, CANDIDATES, strict=True):
        assert item in row
        assert title == writer.titles[item]


def test_titles_that_go_on_behind_a_line_s_end_can_be_written(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    line_end, end = next(token for token in encoder.stop_ids if token != encoder.eos_id), encoder.eos_id
    answers = [[[5, line_end, 6, end], [5, line_end, 7, end]]]
    _liking(model, monkeypatch, [[5], [line_end], [7]])
    assert write_candidates(model, _prompts(writer, encoder)[:1], answers, encoder.filler_id, 8) == [1]


def test_of_titles_with_the_same_tokens_the_first_is_taken(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = encoder.eos_id
    _liking(model, monkeypatch, [[6], [5]])
    first, other = [6, 5, end], [5, 6, end]
    answers = [[other, first, first], [first, first, first], [other, other, first]]
    assert write_candidates(model, _prompts(writer, encoder)[:3], answers, encoder.filler_id, 8) == [1, 0, 2]


@pytest.mark.parametrize("wrong", ["nan", "inf"])
def test_a_model_that_computes_no_numbers_is_refused(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """Though it be for a token that no candidate has."""
    end, prompts = encoder.eos_id, _prompts(writer, encoder)[:1]
    answers = [[[5, 6, end], [6, 5, end]]]
    _liking(model, monkeypatch, [[6, 5]])
    assert write_candidates(model, prompts, answers, encoder.filler_id, 8) == [1]
    _liking(model, monkeypatch, [[6, 5]], least=float(wrong))
    with pytest.raises(ModelError, match="scores must be finite numbers"):
        write_candidates(model, prompts, answers, encoder.filler_id, 8)


def test_a_row_whose_every_candidate_is_impossible_is_refused(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its candidates go on with token 7, whose score is −inf; where one doesn't, it is that one."""
    end, prompts = encoder.eos_id, _prompts(writer, encoder)[:1]
    _liking(model, monkeypatch, [[20, 21, 5]], least=-np.inf)
    assert write_candidates(model, prompts, [[[7, end], [5, end]]], encoder.filler_id, 8) == [1]
    with pytest.raises(ModelError, match="scores must be finite numbers, got -inf"):
        write_candidates(model, prompts, [[[7, 5, end], [7, 6, end]]], encoder.filler_id, 8)


def test_broken_weights_are_refused(
    model: HybridCausalLM, writer: PromptWriter, encoder: PromptEncoder, params: Params
) -> None:
    torch.nn.init.constant_(model.projector.last.bias, float("nan"))
    settings = params.eval.model_copy(update={"method": "constrained"})
    with pytest.raises(ModelError, match="scores must be finite numbers, got nan"):
        ask(model, _prompts(writer, encoder), CANDIDATES, writer, encoder, settings)


@pytest.mark.parametrize("objective", ["choice", "stream"])
def test_what_does_not_answer_in_words_cannot_be_asked_to(params: Params, objective: str) -> None:
    found = SimpleNamespace(manifest=SimpleNamespace(objective=objective), tables=None, adapter=Path("adapter"))
    expected = f"eval.method must be scoring for adapter, which was trained by {objective}, got constrained"
    with pytest.raises(ArtifactError, match=expected):
        load_tuned(params.eval.model_copy(update={"method": "constrained"}), cast("Artifacts", found))
