import torch

from llara_core.recommenders.encoders.gru4rec import Encoder, Options


@torch.no_grad()
def test_recurrent_layers_stay_in_float32_under_autocast() -> None:
    """On CUDA autocast would take cuDNN's recurrent layers to float16 even where bfloat16 is wanted."""
    torch.manual_seed(0)
    encoder = Encoder(Options(layers=2, hidden=12, dropout=0.0), dim=8, max_length=6)
    vectors = torch.randn(3, 5, 8)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    for layer in encoder.layers:
        layer.register_forward_hook(lambda _, inputs, outputs: seen.append((inputs[0], outputs[0])))
    expected = encoder(vectors)
    exact, seen[:] = list(seen), []
    with torch.autocast("cpu", torch.bfloat16):
        states = encoder(vectors)
    for (inputs, outputs), (exact_inputs, exact_outputs) in zip(seen, exact, strict=True):
        assert inputs.dtype == outputs.dtype == torch.float32
        assert torch.equal(inputs, exact_inputs)
        assert torch.equal(outputs, exact_outputs)
    assert not torch.equal(states.float(), expected)  # the linear map behind them is in bfloat16
    assert torch.allclose(states.float(), expected, atol=0.05)
