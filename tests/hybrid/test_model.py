import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from llara_core.hybrid.adapter import build_hybrid
from llara_core.hybrid.batching import IGNORED, pad_examples
from llara_core.hybrid.model import HybridCausalLM
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter
from tests.factories import APPEND, PROJECTOR

pytestmark = pytest.mark.every_family


@pytest.fixture
def model(llm: PreTrainedModel, item_embeddings: np.ndarray) -> HybridCausalLM:
    torch.manual_seed(0)
    return build_hybrid(llm, item_embeddings, PROJECTOR, APPEND).eval()


@pytest.fixture
def examples(writer: PromptWriter, encoder: PromptEncoder) -> list[tuple[EncodedPrompt, list[int]]]:
    chosen = [(0, [1], [2, 3], 2), (1, [4, 5, 6], [1, 2, 3], 3), (2, [7], [5, 6], 6)]
    return [
        (
            encoder.encode(writer.compose(t, history, candidates, "hybrid")),
            encoder.encode_answer(writer.answer(goal)),
        )
        for t, history, candidates, goal in chosen
    ]


def _loop_loss(model: HybridCausalLM, examples: list[tuple[EncodedPrompt, list[int]]]) -> float:
    """One example and one answer token at a time, without padding, splicing by hand."""
    total = 0.0
    for prompt, answer in examples:
        for place, token in enumerate(answer):
            ids = prompt.input_ids + answer[:place]
            embeddings = model.llm.get_input_embeddings()(torch.tensor([ids])).clone()
            slots = [i for i, is_slot in enumerate(prompt.slot_mask) if is_slot]
            for position, item in zip(slots, prompt.slot_items, strict=True):
                embeddings[0, position] = model.projector(model.item_embeddings[item])
            logits = model.llm(inputs_embeds=embeddings).logits[0, -1]
            total += cross_entropy(logits, torch.tensor(token)).item()
    return total


@torch.no_grad()
def test_the_loss_is_that_of_a_loop(
    model: HybridCausalLM, examples: list[tuple[EncodedPrompt, list[int]]], encoder: PromptEncoder
) -> None:
    prompts, answers = zip(*examples, strict=True)
    loss = model(**pad_examples(prompts, answers, encoder.filler_id)).item()
    assert loss == pytest.approx(_loop_loss(model, examples), rel=1e-5)


@torch.no_grad()
def test_the_filler_token_and_padding_do_not_matter(
    model: HybridCausalLM, examples: list[tuple[EncodedPrompt, list[int]]], encoder: PromptEncoder
) -> None:
    prompts, answers = zip(*examples, strict=True)
    batch = pad_examples(prompts, answers, encoder.filler_id)
    other = pad_examples(prompts, answers, 5)
    other["input_ids"] = torch.where(other["slot_mask"], 7, other["input_ids"])
    assert model(**batch).item() == pytest.approx(model(**other).item(), rel=1e-6)
    apart = sum(model(**pad_examples([p], [a], encoder.filler_id)).item() for p, a in examples)
    assert model(**batch).item() == pytest.approx(apart, rel=1e-5)


def test_behavioural_tokens_matter_and_the_projector_learns(
    model: HybridCausalLM, examples: list[tuple[EncodedPrompt, list[int]]], encoder: PromptEncoder
) -> None:
    prompts, answers = zip(*examples, strict=True)
    batch = pad_examples(prompts, answers, encoder.filler_id)
    loss = model(**batch)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.projector.parameters())
    assert all(p.grad is None for p in model.llm.parameters())
    with torch.no_grad():
        assert abs(model(**batch | {"slot_items": batch["slot_items"].flip(0)}).item() - loss.item()) > 1e-3


def test_padding_by_hand() -> None:
    prompts = [EncodedPrompt([5, 6], [False, True], [3]), EncodedPrompt([7], [False], [])]
    right = pad_examples(prompts, [[8], [8, 9]], filler_id=1)
    assert right["input_ids"].tolist() == [[5, 6, 8], [7, 8, 9]]
    assert right["labels"].tolist() == [[IGNORED, IGNORED, 8], [IGNORED, 8, 9]]
    assert right["slot_mask"].tolist() == [[False, True, False], [False, False, False]]
    assert right["slot_items"].tolist() == [3]
