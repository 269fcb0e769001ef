"""Loss and all gradients against the written-out reference in float64, for every mode, fusion and projector."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from llara_core.hybrid.batching import IGNORED, pad_examples
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.choice.prompts import encode_choice, pad_choices
from llara_core.objectives.stream.batching import pad_chunks
from llara_core.params.projector import Fusion
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.prompting.segments import Mode, PromptWriter
from tests.conftest import TITLES
from tests.factories import APPEND, FUSIONS, GATE, PROJECTORS
from tests.objectives import by_hand
from tests.objectives.by_hand import Reading
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

VARIANTS = [
    (shown, fusion, kind)
    for shown in MIXED
    for fusion in FUSIONS
    for kind in PROJECTORS
    if shown != "id" or fusion == APPEND  # params.yaml is refused otherwise
]
HALVES = [slice(0, 2), slice(2, 4)]  # micro-batches of a step


def _of(variants: Sequence[tuple[str, Fusion, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("shown", "fusion", "kind"), variants, ids=lambda part: getattr(part, "kind", part))


@pytest.fixture
def own_writer(writer: PromptWriter, fusion: Fusion) -> PromptWriter:
    return replace(writer, templates=TEMPLATES, separator=", ", fusion=fusion.kind)


def _require_equal(
    model: nn.Module,
    found: Tensor,
    expected: Tensor,
    *,
    has_tokens: bool,
    within: float = 1e-10,
) -> None:
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert found.dtype == expected.dtype == torch.float64
    assert found.item() == pytest.approx(expected.item(), rel=within, abs=0)
    gradients = torch.autograd.grad(found, list(weights.values()), allow_unused=True)
    by_name = dict(zip(weights, gradients, strict=True))
    # A constant added to all of a prompt's scores changes no probability.
    unused = "maps.item.bias"
    require_equal_gradients(model, by_name, expected, has_tokens=has_tokens, unused=unused, within=within)


def _answers(
    model: HybridCausalLM,
    modes: Sequence[Mode],
    writer: PromptWriter,
    encoder: PromptEncoder,
    tokenizer: PreTrainedTokenizerFast,
) -> tuple[nn.Module, Tensor, Tensor]:
    """What is trained, its loss, and the written-out one."""
    prompts = [
        encoder.encode(writer.compose(asked.template, asked.history, asked.candidates, mode))
        for asked, mode in zip(QUESTIONS, modes, strict=True)
    ]
    answers = [encoder.encode_answer(writer.answer(asked.target)) for asked in QUESTIONS]
    found = sum(model(**pad_examples(prompts[part], answers[part], encoder.filler_id)) for part in HALVES)
    return model, found, by_hand.answers_loss(model, tokenizer, TEMPLATES, QUESTIONS, modes)


def _choices(
    hybrid: HybridCausalLM,
    modes: Sequence[Mode],
    writer: PromptWriter,
    encoder: PromptEncoder,
    tokenizer: PreTrainedTokenizerFast,
) -> tuple[nn.Module, Tensor, Tensor]:
    model = make_choice(hybrid)
    encoded = [encode_choice(asked, mode, writer, encoder) for asked, mode in zip(QUESTIONS, modes, strict=True)]
    found = sum(model(**pad_choices(encoded[part], encoder.filler_id)) for part in HALVES)
    return model, found, by_hand.choices_loss(model, tokenizer, TEMPLATES, QUESTIONS, modes)


def _streams(
    hybrid: HybridCausalLM,
    modes: Sequence[Mode],
    _: PromptWriter,
    encoder: PromptEncoder,
    tokenizer: PreTrainedTokenizerFast,
) -> tuple[nn.Module, Tensor, Tensor]:
    model, histories = make_stream(hybrid), HistoryEncoder(encoder, TITLES, hybrid.fusion)
    found = sum(model(**_chunks(histories, modes, part, encoder.filler_id)) for part in HALVES)
    return model, found, by_hand.streams_loss(model, tokenizer, CHUNKS, modes)


def _chunks(histories: HistoryEncoder, modes: Sequence[Mode], part: slice, filler: int) -> dict[str, Tensor]:
    items, following = zip(*CHUNKS[part], strict=True)
    read = [histories.encode(row, mode) for row, mode in zip(items, modes[part], strict=True)]
    labels = [[IGNORED if item is None else item for item in row] for row in following]
    return pad_chunks(read, items, labels, filler)


LOSSES = {"answer": _answers, "choice": _choices, "stream": _streams}
Losses = Callable[..., tuple[nn.Module, Tensor, Tensor]]
every_objective = pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES)


@pytest.fixture
def both(
    losses: Losses,
    family: str,
    own_writer: PromptWriter,
    encoder: PromptEncoder,
    tokenizer: PreTrainedTokenizerFast,
    shown: str,
    fusion: Fusion,
    kind: str,
) -> tuple[nn.Module, Tensor, Tensor]:
    """What is trained, its loss, and the written-out one."""
    return losses(make_hybrid(len(tokenizer), kind, fusion, family), MIXED[shown], own_writer, encoder, tokenizer)


@every_objective
@_of(VARIANTS)
def test_a_llama(both: tuple[nn.Module, Tensor, Tensor], shown: str) -> None:
    _require_equal(*both, has_tokens=shown != "text")


@pytest.mark.every_family(but="llama")
@every_objective
@_of([("hybrid", APPEND, "mlp"), ("hybrid", GATE, "transformer"), ("id", APPEND, "linear"), ("text", APPEND, "mlp")])
def test_other_families(both: tuple[nn.Module, Tensor, Tensor], shown: str) -> None:
    """Against transformers' own model, which reads every text alone; in float32 where that insists on it."""
    _require_equal(*both, has_tokens=shown != "text", within=1e-5)


@pytest.mark.parametrize("has_rivals", [False, True])
@pytest.mark.parametrize("negatives", [None, [4, 8, 2, 4]])
def test_streams_with_dropped_states_replaced_vectors_and_drawn_negatives(
    encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast, has_rivals: bool, negatives: list[int] | None
) -> None:
    model, modes = make_stream(make_hybrid(len(tokenizer), "transformer", GATE)), MIXED["hybrid"]
    model.head.map.centre.normal_(generator=torch.Generator().manual_seed(1))
    if has_rivals:  # item 3 is compared with none, and no target
        model.head.replace(torch.tensor([3]), torch.ones(1, model.head.item_vectors.shape[1]))
    histories, noise = HistoryEncoder(encoder, TITLES, "gate"), list[Tensor]()
    drawn = {} if negatives is None else {"negatives": torch.tensor(negatives)}
    found = torch.zeros((), dtype=torch.float64)
    for part in HALVES:
        batch = _chunks(histories, modes, part, encoder.filler_id)
        generator = torch.Generator().manual_seed(part.start)
        factors = (torch.rand(*batch["labels"].shape, 16, generator=generator) < 0.75).double() / 0.75
        noise += factors
        found = found + model(**batch, noise=factors, **drawn)
    rivals = [1, 2, 4, 5, 6, 7, 8] if has_rivals else list(range(1, 9))
    reading, expected = Reading(tokenizer, "gate", marked=True), torch.zeros((), dtype=torch.float64)
    for (items, following), mode, own in zip(CHUNKS, modes, noise, strict=True):
        laid = reading.lay_out(items, mode)
        expected = expected + by_hand.stream_loss(model, laid, items, following, rivals, own, negatives)
    _require_equal(model, found, expected, has_tokens=True)
