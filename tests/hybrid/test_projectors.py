"""Every kind of projector against its formula, one slot at a time; its scale, and what a slot may see."""

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from llara_core.hybrid.projector import Projector, SlotTransformer, build_projector
from llara_core.params.loading import describe_problems
from llara_core.params.projector import Fusion
from llara_core.params.projector import Projector as ProjectorParams
from tests.factories import APPEND, GATE, PROJECTORS
from tests.hybrid.by_hand import behavioural_tokens

DIM, WIDTH = 4, 5
MASK = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)


def _build(kind: str, fusion: Fusion = APPEND, *, trained: bool = True) -> Projector:
    torch.manual_seed(0)
    projector = build_projector(PROJECTORS[kind], fusion, DIM, WIDTH)
    if trained:  # far from its start, at which blocks and gates do nothing
        with torch.no_grad():
            for weight in projector.parameters():
                weight.normal_(std=0.6)
    return projector


@torch.no_grad()
@pytest.mark.parametrize("fusion", [APPEND, GATE])
@pytest.mark.parametrize("kind", PROJECTORS)
def test_tokens_are_those_of_a_loop_over_prompts_and_slots(kind: str, fusion: Fusion) -> None:
    projector = _build(kind, fusion)
    vectors = torch.randn(int(MASK.sum()), DIM, generator=torch.Generator().manual_seed(1))
    found, place = projector.at_slots(vectors, MASK), 0
    for count in MASK.sum(dim=1).tolist():
        expected = behavioural_tokens(projector, list(vectors[place : place + count]))
        for slot, token in enumerate(expected):
            torch.testing.assert_close(found[place + slot], token, rtol=1e-4, atol=1e-5)
        place += count
    assert place == len(found)


def test_the_perceptron_s_weights_keep_their_names() -> None:
    names = [f"{layer}.{part}" for layer in ("first", "last") for part in ("weight", "bias")]
    assert list(_build("mlp").state_dict()) == names
    assert [name for name in _build("deep").state_dict() if name.endswith("weight")] == [
        "first.weight",
        "middle.0.weight",
        "middle.1.weight",
        "last.weight",
    ]


@torch.no_grad()
@pytest.mark.parametrize("fusion", [APPEND, GATE])
@pytest.mark.parametrize("kind", PROJECTORS)
def test_tokens_start_at_the_size_of_words_in_any_company(kind: str, fusion: Fusion) -> None:
    projector = _build(kind, fusion, trained=False)
    items = 30 * torch.randn(3000, DIM, generator=torch.Generator().manual_seed(2))  # more than calibrate takes at once
    projector.calibrate(items, output_rms=0.02)
    for width in (1, 10):
        tokens = projector.at_slots(items, torch.ones(3000 // width, width, dtype=torch.bool))
        assert tokens.square().mean().sqrt().item() == pytest.approx(0.02, rel=1e-3)
    inner = [layer.bias.abs().max().item() for layer in projector.inner]
    assert [*inner, projector.last.bias.abs().max().item()] == [0] * (len(inner) + 1)
    for place in range(len(projector.inner)):  # each sees inputs as large as if they were its own initialisation's
        size = projector.features(items, place).square().mean().sqrt().item()
        fresh = _build(kind, fusion, trained=False).inner[place].weight
        torch.testing.assert_close(projector.inner[place].weight * size, fresh, rtol=1e-3, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", PROJECTORS)
def test_a_slot_sees_itself_and_those_before_it_in_its_prompt(kind: str) -> None:
    projector = _build(kind, GATE)
    vectors = torch.randn(int(MASK.sum()), DIM, generator=torch.Generator().manual_seed(1))
    before = projector.at_slots(vectors, MASK)
    first, changed = 4, vectors.clone()  # slots 0 to 2 are of prompt 0, 3 of prompt 2, the last four of prompt 3
    changed[first + 1] += 1
    after = projector.at_slots(changed, MASK)
    torch.testing.assert_close(after[: first + 1], before[: first + 1])
    assert not torch.allclose(after[first + 1], before[first + 1])
    sees_company = isinstance(projector, SlotTransformer)
    assert torch.allclose(after[first + 2 :], before[first + 2 :]) != sees_company


@torch.no_grad()
@pytest.mark.parametrize("kind", PROJECTORS)
def test_neither_neighbours_nor_their_order_nor_padding_count(kind: str) -> None:
    projector = _build(kind, GATE)
    vectors = torch.randn(int(MASK.sum()), DIM, generator=torch.Generator().manual_seed(1))
    together, parts = projector.at_slots(vectors, MASK), vectors.split(MASK.sum(dim=1).tolist())
    alone = [
        projector.at_slots(part, row[None]) if len(part) else part[:, :0].new_zeros(0, WIDTH)
        for part, row in zip(parts, MASK, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone))
    turned = projector.at_slots(torch.cat(parts[::-1]), MASK.flip(0))
    torch.testing.assert_close(turned, torch.cat(alone[::-1]))
    wider = torch.nn.functional.pad(MASK, (3, 2))
    torch.testing.assert_close(projector.at_slots(vectors, wider), together)


def test_a_gate_starts_open_and_learns() -> None:
    gated, plain = _build("mlp", GATE, trained=False), _build("mlp", trained=False)
    vectors = torch.randn(3, DIM)
    tokens = gated.at_slots(vectors, torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(tokens, plain(vectors))
    tokens.sum().backward()
    assert gated.gate.weight.grad.abs().min() > 0
    assert gated.gate.bias.grad.abs().min() > 0


def test_blocks_learn_from_their_start() -> None:
    projector = _build("transformer", trained=False)
    projector.at_slots(torch.randn(3, DIM), torch.ones(1, 3, dtype=torch.bool)).square().sum().backward()
    for block in projector.blocks:
        assert block.attended.weight.grad.abs().max() > 0
        assert block.down.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kind": "linear", "hidden": 4}, "linear.hidden is unknown"),
        ({"kind": "mlp", "depth": 1, "hidden": 4}, "mlp.depth must be ≥ 2, got 1"),
        ({"kind": "mlp", "depth": 2}, "mlp.hidden is missing"),
        (
            {"kind": "transformer", "blocks": 1, "heads": 3, "hidden": 4},
            "transformer: hidden must be a multiple of heads 3, got 4",
        ),
        ({"kind": "cnn"}, "must have 'kind' one of 'linear', 'mlp', 'transformer'"),
    ],
)
def test_kinds_have_options_of_their_own(fields: dict[str, object], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(ProjectorParams).validate_python(fields)
    assert expected in describe_problems(caught.value)
