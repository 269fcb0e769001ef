import math

import pytest
import torch

from llara_core.recommenders.dropout import BatchDropout, share_rows


@pytest.mark.parametrize(("rows", "world"), [(5, 2), (4, 3), (1, 2)])
def test_processes_together_drop_what_one_alone_drops(rows: int, world: int) -> None:
    values = torch.randn(rows, 3, 4)
    torch.manual_seed(1)
    expected = BatchDropout(0.5).train()(values)
    for rank in range(world):
        layer = BatchDropout(0.5).train()
        share_rows(torch.nn.Sequential(layer), rank, world, rows)
        torch.manual_seed(1)
        own = values[rank::world] if rank < rows else values[:1]
        found = layer(own)
        assert found.shape == own.shape
        if rank < rows:
            assert torch.equal(found, expected[rank::world])


@pytest.mark.parametrize("p", [0.1, 0.4, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_share_p_is_dropped_independently_and_the_rest_scaled_up(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    n = 400_003  # no multiple of the numbers in one draw
    dropped = BatchDropout(p).train()(torch.full((n,), 3.0, dtype=dtype))
    kept = dropped != 0
    assert torch.allclose(
        dropped[kept], torch.tensor(3 / (1 - p), dtype=dtype), rtol=1e-2 if dtype.itemsize == 2 else 1e-6
    )
    assert dropped.dtype == dtype
    spread = math.sqrt(p * (1 - p) / n)
    assert kept.double().mean().item() == pytest.approx(1 - p, abs=5 * spread)
    for lag in (1, 2, 3, 4, 7, 64):  # elements of one draw, of neighbouring draws and of neighbouring positions
        both = (kept[lag:] & kept[:-lag]).double().mean().item()
        assert both == pytest.approx((1 - p) ** 2, abs=10 * spread)


def test_gradients_pass_where_values_do() -> None:
    values = torch.randn(50, 4, requires_grad=True)
    dropped = BatchDropout(0.5).train()(values)
    (gradient,) = torch.autograd.grad(dropped.sum(), values)
    assert torch.equal(gradient, torch.where(dropped == 0, 0.0, 2.0))


def test_nothing_is_dropped_outside_training() -> None:
    layer = BatchDropout(0.5)
    share_rows(layer, 1, 2, 4)
    values = torch.randn(2, 3)
    assert torch.equal(layer.eval()(values), values)
    torch.manual_seed(0)
    assert (layer.train()(values) == 0).any()
