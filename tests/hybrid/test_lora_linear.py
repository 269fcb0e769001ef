"""LoRA's product against peft's own layer, in float64."""

from collections.abc import Iterator

import peft
import pytest
import torch
from peft.tuners import lora
from torch import Tensor, nn

from llara_core.hybrid.lora_linear import LoraLinear


class Two(nn.Module):
    """Two layers, so that a gradient has to pass through the upper one."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.lower, self.upper = nn.Linear(5, 7, bias=bias), nn.Linear(7, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.upper(self.lower(x).tanh())


def _adapted(*, bias: bool, ours: bool, dropout: float = 0.0, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=["lower", "upper"], lora_dropout=dropout)
    if ours:
        config._register_custom_module({nn.Linear: LoraLinear})
    model = peft.get_peft_model(Two(bias), config).to(dtype)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)
    return model


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def _gradients(model: nn.Module, x: Tensor) -> Iterator[Tensor]:
    x = x.clone().requires_grad_()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    result = model(x)
    yield result
    yield from torch.autograd.grad(result.square().sum(), [x, *weights])


@pytest.mark.parametrize("bias", [True, False])
def test_results_and_gradients_are_peft_s(inputs: Tensor, bias: bool) -> None:
    ours, theirs = _adapted(bias=bias, ours=True), _adapted(bias=bias, ours=False)
    assert [type(part) for part in ours.modules() if isinstance(part, lora.Linear)] == [LoraLinear, LoraLinear]
    found, expected = list(_gradients(ours, inputs)), list(_gradients(theirs, inputs))
    assert len(found) == 2 + 4
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
        assert one.abs().min() > 0


def test_gradients_stand_a_numerical_check(inputs: Tensor) -> None:
    model = _adapted(bias=False, ours=True)
    assert torch.autograd.gradcheck(model, inputs[0].clone().requires_grad_())


@pytest.mark.parametrize("shape", [(5,), (0, 5), (2, 0, 5), (0, 4, 5)])
def test_any_number_of_rows_will_do(shape: tuple[int, ...]) -> None:
    x = torch.ones(shape, dtype=torch.float64)
    ours, theirs = _adapted(bias=True, ours=True), _adapted(bias=True, ours=False)
    for one, other in zip(_gradients(ours, x), _gradients(theirs, x), strict=True):
        torch.testing.assert_close(one, other)


def test_an_input_that_is_not_learnt_costs_no_gradient(inputs: Tensor) -> None:
    model = _adapted(bias=False, ours=True)
    lower = next(part for part in model.modules() if isinstance(part, LoraLinear))
    [grad_x, *_] = lower(inputs).grad_fn.next_functions
    assert grad_x[0] is None
    lower(inputs).sum().backward()
    assert inputs.grad is None


def test_what_is_not_plain_goes_peft_s_way(inputs: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = lora.Linear.forward
    monkeypatch.setattr(lora.Linear, "forward", lambda self, *a, **k: calls.append(1) or original(self, *a, **k))
    plain = _adapted(bias=False, ours=True)
    result = plain(inputs)
    assert not calls
    with plain.disable_adapter():
        assert not torch.allclose(plain(inputs), result)
    assert len(calls) == 2
    _adapted(bias=False, ours=True, dropout=0.5)(inputs)
    assert len(calls) == 4
    single = _adapted(bias=False, ours=True, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert single(inputs.float()).dtype == torch.bfloat16
    assert len(calls) == 6
    base = next(part for part in plain.modules() if isinstance(part, LoraLinear)).base_layer
    base.weight.requires_grad_()
    plain(inputs).sum().backward()
    assert base.weight.grad.abs().max() > 0
    assert len(calls) == 7
    base.weight.requires_grad_(requires_grad=False)
    plain.merge_adapter()
    torch.testing.assert_close(plain(inputs), result)
    assert len(calls) == 9
