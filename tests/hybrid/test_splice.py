import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llara_core.hybrid.projector import Perceptron
from llara_core.hybrid.splice import splice


def test_by_hand() -> None:
    tokens = torch.zeros(2, 3, 4)
    mask = torch.tensor([[False, True, False], [True, False, True]])
    vectors = torch.arange(1.0, 4.0)[:, None].expand(3, 4)
    assert splice(tokens, mask, vectors)[..., 0].tolist() == [[0, 1, 0], [2, 0, 3]]


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=4))
def test_agrees_with_a_loop(mask_rows: list[list[bool]]) -> None:
    mask = torch.tensor(mask_rows)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(len(mask), 4, 3, generator=generator)
    vectors = torch.randn(int(mask.sum()), 3, generator=generator)
    expected, k = tokens.clone(), 0
    for row in range(len(mask)):
        for column in range(4):
            if mask[row, column]:
                expected[row, column] = vectors[k]
                k += 1
    assert torch.equal(splice(tokens, mask, vectors), expected)


def test_gradients_reach_vectors_and_the_tokens_that_stay() -> None:
    tokens = torch.zeros(1, 2, 1, requires_grad=True)
    vectors = torch.ones(1, 1, requires_grad=True)
    (splice(tokens, torch.tensor([[True, False]]), vectors) * torch.tensor([[[2.0], [3.0]]])).sum().backward()
    assert tokens.grad.flatten().tolist() == [0, 3]
    assert vectors.grad.item() == 2


def test_a_wrong_number_of_vectors_is_refused() -> None:
    with pytest.raises(ValueError, match="each of the 1 slots, got 2"):
        splice(torch.zeros(1, 2, 1), torch.tensor([[True, False]]), torch.zeros(2, 1))


def test_calibrated_tokens_have_the_size_of_word_embeddings() -> None:
    torch.manual_seed(0)
    embeddings = torch.randn(50, 4) * 30
    projector = Perceptron(4, 8, 16)
    projector.calibrate(embeddings, output_rms=0.1)
    assert projector(embeddings).square().mean().sqrt().item() == pytest.approx(0.1, rel=1e-4)


def test_calibration_projects_a_large_catalogue_in_chunks_with_the_result_of_the_whole() -> None:
    embeddings = torch.randn(5000, 4, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 50, 5000)[:, None]
    torch.manual_seed(0)
    projector = Perceptron(4, 8, 16)
    vectors, first, last = (
        part.detach().double() for part in (embeddings, projector.first.weight, projector.last.weight)
    )
    first = first / vectors.square().mean().sqrt()
    tokens = torch.nn.functional.gelu(vectors @ first.T) @ last.T
    seen: list[int] = []
    projector.first.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    projector.calibrate(embeddings, output_rms=0.1)
    assert sum(seen) == 5000
    assert max(seen) <= 1024
    torch.testing.assert_close(projector.first.weight.double(), first, rtol=1e-5, atol=0)
    torch.testing.assert_close(
        projector.last.weight.double(), last * 0.1 / tokens.square().mean().sqrt(), rtol=1e-5, atol=0
    )
