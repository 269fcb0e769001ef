"""The choice model against a slow reference: one unpadded prompt at a time, in float64."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from llara_core.objectives.choice.model import ChoiceModel
from llara_core.objectives.choice.prompts import encode_choice, pad_choices
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.question import Question
from llara_core.prompting.segments import ItemSlot, Mode, PromptWriter
from tests.conftest import read_words
from tests.objectives.choice.conftest import DRAWN

pytestmark = pytest.mark.every_family

MODES: list[Mode] = ["hybrid", "text", "id"]
Make = Callable[[float], ChoiceModel]


def _batch(
    writer: PromptWriter, encoder: PromptEncoder, mode: Mode, drawn: Sequence[Question], filler: int = 1
) -> dict[str, Tensor]:
    return pad_choices([encode_choice(prompt, mode, writer, encoder) for prompt in drawn], filler)


def _slow_scores(
    model: ChoiceModel, writer: PromptWriter, encoder: PromptEncoder, mode: Mode, drawn: Question
) -> Tensor:
    """[C], from a prompt put together segment by segment."""
    table, projector = read_words(model.hybrid.llm), model.hybrid.projector
    (line_end,) = encoder.encode_answer(type(writer.answer(1))("\n"))[:-1]
    vectors, behind = [], []
    for segment in writer.compose(drawn.template, drawn.history, drawn.candidates, "id" if mode == "id" else "hybrid"):
        if isinstance(segment, ItemSlot):
            behind.append((segment.item_id, len(vectors)))
            shown = model.hybrid.item_embeddings[segment.item_id]
            vectors.append(table[line_end] if mode == "text" else projector(shown))
        else:
            vectors += list(table[encoder.encode([segment]).input_ids])
    states = model.hybrid.llm.model(inputs_embeds=torch.stack(vectors)[None]).last_hidden_state[0]
    places = [place for _, place in behind[len(drawn.history) :]]  # our templates name the history first
    assert [item for item, _ in behind[len(drawn.history) :]] == drawn.candidates
    user = model.maps.user.weight @ states[-1] + model.maps.user.bias
    return torch.stack([user @ (model.maps.item.weight @ states[place] + model.maps.item.bias) for place in places])


def _slow_loss(
    model: ChoiceModel, writer: PromptWriter, encoder: PromptEncoder, mode: Mode, drawn: Sequence[Question]
) -> Tensor:
    [teacher], alpha = model._teacher, model.distillation
    total = torch.zeros((), dtype=torch.float64)
    for prompt in drawn:
        believed = _slow_scores(model, writer, encoder, mode, prompt).log_softmax(0)
        state = teacher(torch.tensor([prompt.history]))[0, -1].detach()
        vectors = teacher.output_weights.detach()
        taught = torch.stack([state @ vectors[item] for item in prompt.candidates]).softmax(0)
        right = prompt.candidates.index(prompt.target)
        total = total - (1 - alpha) * believed[right] - alpha * (taught * believed).sum()
    return total


@pytest.mark.parametrize("distillation", [0.0, 0.6])
@pytest.mark.parametrize("mode", MODES)
def test_loss_and_gradients_are_those_of_the_slow_reference(
    make_model: Make, writer: PromptWriter, encoder: PromptEncoder, mode: Mode, distillation: float
) -> None:
    model = make_model(distillation).double()
    model._teacher[0].double()
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    loss = model(**_batch(writer, encoder, mode, DRAWN))
    found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    expected_loss = _slow_loss(model, writer, encoder, mode, DRAWN)
    expected = torch.autograd.grad(expected_loss, list(trained.values()), allow_unused=True)
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-8)
    for name, one, other in zip(trained, found, expected, strict=True):
        assert (one is None) == (other is None) == (mode == "text" and "projector" in name), name
        if one is not None and name != "maps.item.bias":
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)  # Llama takes norms in float32
            assert one.abs().max() > 1e-6, name


@pytest.mark.parametrize("mode", MODES)
def test_neither_padding_nor_neighbours_count(
    make_model: Make, writer: PromptWriter, encoder: PromptEncoder, mode: Mode
) -> None:
    model = make_model(0.6)
    together = model(**_batch(writer, encoder, mode, DRAWN)).item()
    assert together == pytest.approx(model(**_batch(writer, encoder, mode, DRAWN, filler=9)).item(), rel=1e-6)
    assert together == pytest.approx(model(**_batch(writer, encoder, mode, DRAWN[::-1])).item(), rel=1e-5)
    alone = sum(model(**_batch(writer, encoder, mode, [prompt])).item() for prompt in DRAWN)
    assert together == pytest.approx(alone, rel=1e-5)


def test_candidates_are_found_where_the_template_offers_them_first(
    encoder: PromptEncoder, writer: PromptWriter
) -> None:
    turned = PromptWriter(("Of {candidates} after {history}:",), ", ", "append", writer.nouns, writer.titles)
    found = encode_choice(Question(0, [3, 6], [6, 1], 1, "this"), "hybrid", turned, encoder)
    slots = [place for place, is_slot in enumerate(found.prompt.slot_mask) if is_slot]
    assert found.prompt.slot_items == [6, 1, 3, 6]
    assert found.places == slots[:2]
    assert found.target == 1


def test_the_teacher_learns_nothing_and_is_no_part_of_the_model(
    make_model: Make, writer: PromptWriter, encoder: PromptEncoder
) -> None:
    model = make_model(0.6)
    [teacher] = model._teacher
    model(**_batch(writer, encoder, "hybrid", DRAWN)).backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert {name.split(".")[0] for name in model.state_dict()} == {"hybrid", "maps"}
    model.train()
    assert not teacher.training
