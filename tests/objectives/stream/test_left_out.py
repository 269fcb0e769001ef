"""A history without each of its items, from one pass, against a pass for each."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from llara_core.objectives.asking import CatalogueRespondent
from llara_core.objectives.stream.left_out import lay_out
from llara_core.objectives.stream.model import StreamModel
from llara_core.objectives.stream.respondent import StreamRespondent
from llara_core.params.projector import Fusion
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.histories import EncodedHistory, HistoryEncoder
from llara_core.prompting.segments import Mode, PromptWriter
from tests.factories import FUSIONS

pytestmark = pytest.mark.every_family


def _history(tokens: Sequence[int], slots: dict[int, int], readouts: list[int]) -> EncodedHistory:
    mask = [place in slots for place in range(len(tokens))]
    return EncodedHistory(EncodedPrompt(list(tokens), mask, [slots[place] for place in sorted(slots)]), readouts)


def test_what_precedes_the_item_that_is_left_out_is_shared() -> None:
    """Tokens 9 stand for slots: 5 ▢ 6 ▢ of items 1 and 2; without either of them."""
    tree = lay_out(
        _history([5, 9, 6, 9], {1: 1, 3: 2}, [1, 3]), [_history([6, 9], {1: 2}, [1]), _history([5, 9], {1: 1}, [1])]
    )
    assert tree.input_ids.tolist() == [[5, 9, 6, 9, 6, 9]]
    assert tree.slot_mask.tolist() == [[False, True, False, True, False, True]]
    assert tree.slot_items.tolist() == [1, 2, 2]
    assert tree.positions.tolist() == [[0, 1, 2, 3, 0, 1]]
    assert tree.readouts.tolist() == [5, 1]
    assert tree.visible.int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1, 1],
    ]


def test_the_same_words_with_another_item_s_token_are_not_shared() -> None:
    tree = lay_out(_history([5, 9, 5, 9], {1: 1, 3: 2}, [1, 3]), [_history([5, 9], {1: 2}, [1])])
    assert tree.input_ids.tolist() == [[5, 9, 5, 9, 9]]  # the word is
    assert tree.positions.tolist() == [[0, 1, 2, 3, 1]]
    assert tree.visible[4].tolist() == [True, False, False, False, True]
    assert tree.readouts.tolist() == [4]


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.kind)
@pytest.mark.parametrize("mode", ["hybrid", "text"])
@pytest.mark.parametrize("history", [[1, 4, 5], [4, "Alien", 4, 4, 7], [2, 3]], ids=["plain", "repeats", "two"])
def test_scores_are_those_of_a_pass_for_each(
    make_model: Callable[..., StreamModel],
    encoder: PromptEncoder,
    writer: PromptWriter,
    fusion: Fusion,
    mode: Mode,
    history: list[int | str],
) -> None:
    respondent = _respondent(make_model(0.0, fusion), encoder, replace(writer, fusion=fusion.kind), mode, "mlp")
    expected = CatalogueRespondent.score_left_out(respondent, history)
    assert expected.shape == (len(history), len(writer.titles))
    torch.testing.assert_close(respondent.score_left_out(history), expected, rtol=1e-4, atol=1e-5)
    assert (expected[0] - expected[-1])[1:].abs().max() > 0.01


def test_a_projector_that_sees_a_row_s_slots_gets_a_row_for_each(
    make_model: Callable[..., StreamModel],
    encoder: PromptEncoder,
    writer: PromptWriter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    respondent = _respondent(make_model(0.0), encoder, writer, "hybrid", "transformer")
    asked: list[object] = []
    monkeypatch.setattr(respondent, "score_catalogue", lambda histories: asked.append(histories))
    respondent.score_left_out([1, 2, "Alien"])
    assert asked == [[[2, "Alien"], [1, "Alien"], [1, 2]]]


def _respondent(
    model: StreamModel, encoder: PromptEncoder, writer: PromptWriter, mode: Mode, projector: str
) -> StreamRespondent:
    """A respondent around a model at hand."""
    respondent = StreamRespondent.__new__(StreamRespondent)
    manifest = SimpleNamespace(projector=SimpleNamespace(kind=projector))
    respondent.model = model
    respondent._tuned = SimpleNamespace(
        manifest=manifest,
        mode=mode,
        encoder=encoder,
        hybrid=model.hybrid,
        params=SimpleNamespace(batch_size=2),
        folder=Path("x"),
    )
    respondent._encoder = HistoryEncoder(encoder, writer.titles, writer.fusion)
    return respondent
