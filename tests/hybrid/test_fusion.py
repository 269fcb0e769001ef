"""What the language model reads under each fusion, token by token, and that it does so whatever else is in a batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from llara_core.hybrid.adapter import build_hybrid
from llara_core.hybrid.batching import pad_examples, pad_on_the_right
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.splice import add_at_slots
from llara_core.params.projector import Fusion
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter
from tests.conftest import read_words
from tests.factories import FUSIONS, PROJECTORS

pytestmark = pytest.mark.every_family

QUESTIONS = [([1, 5], [2, 6], "hybrid"), ([7], [3, 8], "text"), ([4, 4, 2], [5, 1], "hybrid")]


@pytest.fixture(params=FUSIONS, ids=lambda fusion: fusion.kind)
def fusion(request: pytest.FixtureRequest) -> Fusion:
    return request.param


@pytest.fixture
def prompts(writer: PromptWriter, encoder: PromptEncoder, fusion: Fusion) -> list[EncodedPrompt]:
    own = replace(writer, fusion=fusion.kind)
    return [encoder.encode(own.compose(0, history, candidates, mode)) for history, candidates, mode in QUESTIONS]


def _model(llm: PreTrainedModel, vectors: np.ndarray, kind: str, fusion: Fusion) -> HybridCausalLM:
    torch.manual_seed(0)
    model = build_hybrid(llm, vectors, PROJECTORS[kind], fusion).eval()
    with torch.no_grad():
        for weight in model.projector.parameters():
            weight.normal_(std=0.6)
    return model


def _by_hand(model: HybridCausalLM, prompt: EncodedPrompt, fusion: Fusion) -> Tensor:
    """[S, H], from the formulas: w the word's embedding, b its item's behavioural token, g its gate."""
    table, shown, rows = read_words(model.llm), iter(range(len(prompt.slot_items))), []
    for token, is_slot in zip(prompt.input_ids, prompt.slot_mask, strict=True):
        word = table[token]
        if not is_slot:
            rows.append(word)
            continue
        place = next(shown)
        company = model.item_embeddings[prompt.slot_items[: place + 1]]
        b = model.projector(company)[-1]
        if fusion.kind == "gate":
            b = 2 * torch.sigmoid(model.projector.gate(company[-1])) * b
        rows.append(b if fusion.kind in ("append", "replace") else word + b)
    assert next(shown, None) is None
    return torch.stack(rows)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["linear", "mlp", "transformer"])
def test_the_language_model_reads_what_the_formulas_say(
    llm: PreTrainedModel, item_embeddings: np.ndarray, prompts: list[EncodedPrompt], fusion: Fusion, kind: str
) -> None:
    model = _model(llm, item_embeddings, kind, fusion)
    batch = pad_on_the_right(prompts, 1)
    found = model.embed(**batch)
    for row, prompt in enumerate(prompts):
        expected = _by_hand(model, prompt, fusion)
        torch.testing.assert_close(found[row, : len(expected)], expected, rtol=1e-4, atol=1e-5)
    assert bool(prompts[0].slot_items)
    assert not prompts[1].slot_items


@torch.no_grad()
@pytest.mark.parametrize("kind", ["linear", "transformer"])
def test_the_loss_of_a_batch_is_the_sum_of_each_prompt_s(
    llm: PreTrainedModel,
    item_embeddings: np.ndarray,
    prompts: list[EncodedPrompt],
    writer: PromptWriter,
    encoder: PromptEncoder,
    fusion: Fusion,
    kind: str,
) -> None:
    model = _model(llm, item_embeddings, kind, fusion)
    answers = [encoder.encode_answer(writer.answer(item)) for item in (2, 3, 5)]
    together = model(**pad_examples(prompts, answers, 1)).item()
    alone = sum(model(**pad_examples([p], [a], 7)).item() for p, a in zip(prompts, answers, strict=True))
    turned = model(**pad_examples(prompts[::-1], answers[::-1], 1)).item()
    assert together == pytest.approx(alone, rel=1e-5)
    assert together == pytest.approx(turned, rel=1e-5)


def test_all_parts_learn(
    llm: PreTrainedModel,
    item_embeddings: np.ndarray,
    prompts: list[EncodedPrompt],
    encoder: PromptEncoder,
    writer: PromptWriter,
    fusion: Fusion,
) -> None:
    for kind in PROJECTORS:
        model = _model(llm, item_embeddings, kind, fusion)
        answers = [encoder.encode_answer(writer.answer(item)) for item in (2, 3, 5)]
        model(**pad_examples(prompts, answers, 1)).backward()
        for name, weight in model.projector.named_parameters():
            assert weight.grad.abs().max() > 0, (kind, name)
        assert ("gate.weight" in dict(model.projector.named_parameters())) == (fusion.kind == "gate")


def test_vectors_are_added_at_slots_alone() -> None:
    tokens = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]], requires_grad=True)
    vectors = torch.tensor([[10.0, 20.0], [30.0, 40.0]], requires_grad=True)
    found = add_at_slots(tokens, torch.tensor([[True, False, True]]), vectors)
    assert found.tolist() == [[[11, 22], [3, 4], [35, 46]]]
    found.sum().backward()
    assert tokens.grad.tolist() == [[[1, 1]] * 3]
    assert vectors.grad.tolist() == [[1, 1]] * 2
    with pytest.raises(ValueError, match="must have one vector for each of the 1 slots, got 2"):
        add_at_slots(tokens, torch.tensor([[True, False, False]]), vectors)
