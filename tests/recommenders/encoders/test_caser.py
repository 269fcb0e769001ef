"""Caser's sliding filters against a literal reading of the paper, window by window."""

import torch

from llara_core.recommenders.encoders.caser import Encoder, Options
from tests.recommenders.recipes import OPTIONS


def test_each_state_is_that_of_its_own_window_as_in_equations_3_to_8() -> None:
    torch.manual_seed(0)
    dim, length = 6, 9
    encoder = Encoder(Options.model_validate(OPTIONS["caser"]), dim, length).double().eval()
    vectors = torch.randn(2, length, dim, dtype=torch.float64)
    states = encoder(vectors)
    context = encoder.context
    for row in range(2):
        for t in range(length):
            image = torch.zeros(context, dim, dtype=torch.float64)
            for back in range(min(context, t + 1)):
                image[context - 1 - back] = vectors[row, t - back] * dim**0.5
            features = []
            for height, filters in zip(encoder.heights, encoder.horizontal, strict=True):
                for weight, bias in zip(filters.weight, filters.bias, strict=True):  # weight [D, h]
                    products = [(weight * image[i : i + height].T).sum() + bias for i in range(context - height + 1)]
                    features.append(torch.stack(products).relu().max())
            for weight, bias in zip(encoder.vertical.weight, encoder.vertical.bias, strict=True):  # weight [1, L]
                features += [(weight[0] * image[:, d]).sum() + bias for d in range(dim)]
            # Vertical features come first by dimension, then by filter, as the flattening of the paper's ỹ leaves open.
            n_horizontal = sum(filters.out_channels for filters in encoder.horizontal)
            horizontal, vertical = torch.stack(features[:n_horizontal]), torch.stack(features[n_horizontal:])
            vertical = vertical.view(encoder.vertical.out_channels, dim).T.reshape(-1)
            expected = encoder.norm(encoder.out(torch.cat([horizontal, vertical])))
            assert torch.allclose(states[row, t], expected, atol=1e-12)
