import pytest
import torch

from llara_core.recommenders.dropout import BatchDropout, share_rows


@pytest.mark.parametrize(("rows", "world"), [(5, 2), (4, 3), (1, 2)])
def test_processes_together_drop_what_one_alone_drops(rows: int, world: int) -> None:
    values = torch.randn(rows, 3, 4)
    torch.manual_seed(1)
    expected = torch.nn.functional.dropout(values, 0.5)
    for rank in range(world):
        layer = BatchDropout(0.5).train()
        share_rows(torch.nn.Sequential(layer), rank, world, rows)
        torch.manual_seed(1)
        own = values[rank::world] if rank < rows else values[:1]
        found = layer(own)
        assert found.shape == own.shape
        if rank < rows:
            assert torch.equal(found, expected[rank::world])


def test_nothing_is_dropped_outside_training() -> None:
    layer = BatchDropout(0.5)
    share_rows(layer, 1, 2, 4)
    values = torch.randn(2, 3)
    assert torch.equal(layer.eval()(values), values)
    torch.manual_seed(0)
    assert (layer.train()(values) == 0).any()
