"""The stream model against a slow reference: one unpadded history at a time, one readout at a time, in float64."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from llara_core.hybrid.batching import IGNORED
from llara_core.objectives.stream.batching import pad_chunks, pad_histories
from llara_core.objectives.stream.model import StreamModel
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.prompting.segments import Mode
from tests.conftest import read_words

pytestmark = pytest.mark.every_family

MODES: list[Mode] = ["hybrid", "text", "id"]
CHUNKS = [([6, 4, 1], [IGNORED, 1, 8]), ([2], [7]), ([3, 5, 5, 8, 7], [5, 5, 8, 7, 2])]
Make = Callable[[float], StreamModel]


def _batch(
    histories: HistoryEncoder, mode: Mode, chunks: Sequence[tuple[list[int], list[int]]], filler: int = 1
) -> dict[str, Tensor]:
    items, following = zip(*chunks, strict=True)
    return pad_chunks([histories.encode(part, mode) for part in items], items, following, filler)


def _user_state(
    model: StreamModel, histories: HistoryEncoder, encoder: PromptEncoder, items: list[int], mode: Mode
) -> Tensor:
    """The state after the last of `items`, from the tokens of no later one."""
    table, projector = read_words(model.hybrid.llm), model.hybrid.projector
    prompt = histories.encode(items, mode).prompt
    vectors, slots = [], iter(items)
    for token, is_slot in zip(prompt.input_ids, prompt.slot_mask, strict=True):
        vectors.append(projector(model.hybrid.item_embeddings[next(slots)]) if is_slot else table[token])
    states = model.hybrid.llm.model(inputs_embeds=torch.stack(vectors)[None]).last_hidden_state[0]
    return model.head.map.weight @ states[-1] + model.head.map.bias


def _slow_loss(
    model: StreamModel,
    histories: HistoryEncoder,
    encoder: PromptEncoder,
    mode: Mode,
    chunks: Sequence[tuple[list[int], list[int]]],
    among: Sequence[int] | None = None,
) -> Tensor:
    """(1 − α) CE(item) + α CE(teacher), readout by readout."""
    vectors, [teacher], alpha = model.head.item_vectors, model._teacher, model.distillation
    total = torch.zeros((), dtype=torch.float64)
    for items, following in chunks:
        for t, target in enumerate(following):
            if target == IGNORED:
                continue
            state = _user_state(model, histories, encoder, items[: t + 1], mode)
            logits = torch.stack([state @ vectors[item] for item in range(1, len(vectors))])
            taught = teacher(torch.tensor([items[: t + 1]]))[0, t].detach()
            probabilities = torch.stack([taught @ vectors[item] for item in range(1, len(vectors))]).softmax(0)
            loss = logits.log_softmax(0)
            total = total - (1 - alpha) * loss[target - 1] - alpha * (probabilities * loss).sum()
    return total


@pytest.mark.parametrize("distillation", [0.0, 0.6])
@pytest.mark.parametrize("mode", MODES)
def test_loss_and_gradients_are_those_of_the_slow_reference(
    make_model: Make, histories: HistoryEncoder, encoder: PromptEncoder, mode: Mode, distillation: float
) -> None:
    model = make_model(distillation).double()
    model._teacher[0].double()
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    loss = model(**_batch(histories, mode, CHUNKS))
    found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    expected_loss = _slow_loss(model, histories, encoder, mode, CHUNKS)
    expected = torch.autograd.grad(expected_loss, list(trained.values()), allow_unused=True)
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-9)
    for name, one, other in zip(trained, found, expected, strict=True):
        assert (one is None) == (other is None) == (mode == "text" and "projector" in name), name
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)  # Llama takes norms in float32
            assert one.abs().max() > 1e-6, name


@pytest.mark.parametrize("mode", MODES)
def test_neither_padding_nor_neighbours_count(make_model: Make, histories: HistoryEncoder, mode: Mode) -> None:
    model = make_model(0.6)
    together = model(**_batch(histories, mode, CHUNKS)).item()
    assert together == pytest.approx(model(**_batch(histories, mode, CHUNKS, filler=9)).item(), rel=1e-6)
    assert together == pytest.approx(model(**_batch(histories, mode, CHUNKS[::-1])).item(), rel=1e-5)
    alone = sum(model(**_batch(histories, mode, [chunk])).item() for chunk in CHUNKS)
    assert together == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("t", [0, 1, 2, 3])
def test_what_comes_later_is_not_seen(make_model: Make, histories: HistoryEncoder, mode: Mode, t: int) -> None:
    model = make_model(0.0)
    items = [3, 5, 5, 8, 7]
    changed = [*items[: t + 1], *(1 if item != 1 else 2 for item in items[t + 1 :])]

    def read(part: list[int]) -> Tensor:
        with torch.no_grad():
            return model.read(**pad_histories([histories.encode(part, mode)], 1))[0]

    torch.testing.assert_close(read(items)[: t + 1], read(changed)[: t + 1])
    assert not torch.allclose(read(items)[t + 1], read(changed)[t + 1], atol=1e-3)
    with torch.no_grad():
        before = read(items)
        model.hybrid.item_embeddings[7] += 1  # the last item's vector
    torch.testing.assert_close(read(items)[:4], before[:4])
    assert torch.equal(read(items)[4], before[4]) == (mode == "text")


def test_the_teacher_learns_nothing_and_is_no_part_of_the_model(make_model: Make, histories: HistoryEncoder) -> None:
    model = make_model(0.6)
    [teacher] = model._teacher
    model(**_batch(histories, "hybrid", CHUNKS)).backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert not any("teacher" in name or "encoder" in name for name in model.state_dict())
    model.train()
    assert not teacher.training


def test_drawn_negatives_estimate_the_loss_over_all_items(make_model: Make, histories: HistoryEncoder) -> None:
    model, batch = make_model(0.0), _batch(histories, "hybrid", CHUNKS)
    generator = torch.Generator().manual_seed(0)
    everything = model(**batch).item()
    drawn = torch.randint(1, 9, (20_000,), generator=generator)
    assert model(**batch, negatives=drawn).item() == pytest.approx(everything, rel=0.02)
    few = model(**batch, negatives=torch.tensor([4, 4, 2])).item()
    by_hand = 0.0
    with torch.no_grad():
        states = model.head(model.read(**{name: batch[name] for name in _READ}))
    for row, column in (batch["labels"] != IGNORED).nonzero().tolist():
        target = int(batch["labels"][row, column])
        scores = states[row, column] @ model.head.item_vectors.T
        # Each stands for the 8 items over the 3 draws; one that is the target is left out.
        others = sum(8 / 3 * scores[item].exp().item() for item in (4, 4, 2) if item != target)
        by_hand -= torch.log(scores[target].exp() / (scores[target].exp() + others)).item()
    assert few == pytest.approx(by_hand, rel=1e-4)


def test_the_teacher_too_compares_with_drawn_negatives(make_model: Make, histories: HistoryEncoder) -> None:
    model, batch, drawn = make_model(0.6), _batch(histories, "hybrid", CHUNKS), [4, 4, 2]
    taught = model(**batch, negatives=torch.tensor(drawn)).item()
    model.distillation = 0.0
    untaught = model(**batch, negatives=torch.tensor(drawn)).item()
    [teacher], vectors, by_hand = model._teacher, model.head.item_vectors, 0.0
    with torch.no_grad():
        states = model.head(model.read(**{name: batch[name] for name in _READ}))
        for row, column in (batch["labels"] != IGNORED).nonzero().tolist():
            believed = teacher(torch.tensor([CHUNKS[row][0][: column + 1]]))[0, column]
            weights = [float((believed @ vectors[item]).exp()) for item in drawn]
            expected = sum(w * vectors[item] for w, item in zip(weights, drawn, strict=True)) / sum(weights)
            by_hand += float(states[row, column] @ (vectors[int(batch["labels"][row, column])] - expected))
    assert taught - untaught == pytest.approx(0.6 * by_hand, rel=1e-4)


_READ = ("input_ids", "slot_mask", "slot_items", "readouts")
