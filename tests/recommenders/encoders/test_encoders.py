"""What holds for every encoder, and how one is found."""

import re
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from llara_core.errors import ParamsError
from llara_core.params import encoders as params_encoders
from llara_core.params.encoders import registry as options_registry
from llara_core.params.encoders.registry import encoder_names
from llara_core.params.loading import describe_problems, load_params
from llara_core.params.recommenders import EncoderChoice
from llara_core.recommenders import encoders
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from tests.conftest import ROOT
from tests.recommenders.recipes import OPTIONS, tiny

N_ITEMS = 9
KINDS = sorted(OPTIONS)


def build(kind: str, **changes: object) -> SequentialRecommender:
    torch.manual_seed(0)
    model = build_recommender(tiny(kind, **changes), N_ITEMS, history_length=8).double().eval()
    with torch.no_grad():
        for parameter in model.encoder.parameters():  # biases that start at 0 must matter too
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


@pytest.mark.parametrize("kind", KINDS)
@given(position=st.integers(1, 7), item=st.integers(1, N_ITEMS), seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_a_changed_future_leaves_earlier_states_equal(kind: str, position: int, item: int, seed: int) -> None:
    model = build(kind)
    ids = torch.randint(1, N_ITEMS + 1, (2, 8), generator=torch.Generator().manual_seed(seed))
    changed = ids.clone()
    changed[:, position:] = item
    before, after = model(ids), model(changed)
    assert torch.allclose(before[:, :position], after[:, :position], rtol=0, atol=1e-12)
    if not torch.equal(ids[:, position], changed[:, position]):
        assert not torch.allclose(before[:, position], after[:, position])


@pytest.mark.parametrize("kind", KINDS)
@given(
    histories=st.lists(st.lists(st.integers(1, N_ITEMS), min_size=1, max_size=8), min_size=1, max_size=5),
    padding=st.integers(0, 4),
)
@settings(max_examples=20, deadline=None)
def test_neither_padding_nor_company_changes_scores(kind: str, histories: list[list[int]], padding: int) -> None:
    model = build(kind).float()
    width = max(map(len, histories)) + padding
    together = model.next_item_scores(torch.tensor([[0] * (width - len(items)) + items for items in histories]))
    for row, items in enumerate(histories):
        alone = model.next_item_scores(torch.tensor([items]))
        assert torch.allclose(together[row, 1:], alone[0, 1:], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns_and_padding_does_not(kind: str) -> None:
    model = build(kind, tied=False)
    states = model(torch.tensor([[1, 2, 3, 4, 5, 0], [6, 7, 8, 9, 0, 0]]))
    (states[:, :4] * torch.randn_like(states[:, :4])).sum().backward()
    for name, parameter in model.named_parameters():
        if not name.startswith("outputs"):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
    assert not model.items.weight.grad[0].any()


@pytest.mark.parametrize("kind", ["sasrec relative", "gru4rec", "hstu"])
def test_states_depend_on_the_history_and_not_on_where_it_stands(kind: str) -> None:
    """Histories of the same items at different places of a window: only for those without learned positions."""
    model = build(kind)
    states = model(torch.tensor([[1, 2, 3, 4]]))
    shorter = model(torch.tensor([[1, 2, 3]]))
    assert torch.allclose(states[:, :3], shorter, atol=1e-12)


def test_params_yaml_can_build_each_entry_and_names_each_module() -> None:
    params = load_params(ROOT / "params.yaml")
    for name, recommender in params.recommenders.items():
        model = build_recommender(recommender, 20, params.split.history_length).eval()
        assert model(torch.tensor([[1, 2, 3]])).shape == (1, 3, recommender.dim), name
    assert {entry.encoder.name for entry in params.recommenders.values()} == set(encoder_names())


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"name": "bert"}, r"encoder: name must be one of caser, gru4rec, hstu, sasrec, got 'bert'"),
        ({"name": "registry"}, r"encoder: name must be one of caser, gru4rec, hstu, sasrec, got 'registry'"),
        ({"name": "os.path"}, r"encoder: name must be one of"),
        ({"name": "gru4rec", "layers": 1, "hidden": 0, "dropout": 0.1}, r"encoder.hidden must be ≥ 1, got 0"),
        ({"name": "gru4rec", "layers": 1, "dropout": 0.1}, r"encoder.hidden is missing"),
        ({"name": "gru4rec", "layers": 1, "hidden": 4, "dropout": 0.1, "size": 1}, r"encoder.size is unknown.*, got 1"),
        (
            {"name": "sasrec", "blocks": 1, "heads": 3, "dropout": 0.0, "positions": "absolute"},
            r"dim must be a multiple of encoder.heads 3, got 8",
        ),
        (
            {"name": "hstu", "blocks": 1, "heads": 5, "dropout": 0.0},
            r"dim must be a multiple of encoder.heads 5, got 8",
        ),
        (
            {"name": "caser", "context": 3, "heights": [1, 4], "horizontal": 2, "vertical": 1, "dropout": 0.0},
            r"encoder: heights must be ≤ context 3, got 4",
        ),
        (
            {"name": "caser", "context": 3, "heights": [2, 2], "horizontal": 2, "vertical": 1, "dropout": 0.0},
            r"encoder: heights must ascend, got \[2, 2\]",
        ),
    ],
)
def test_unusable_encoders_are_named(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        tiny("gru4rec", encoder=choice)
    assert re.search(message, describe_problems(caught.value))


def test_an_unusable_encoder_is_found_when_params_are_read(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    changed = text.replace("blocks: 2, heads: 2", "blocks: 0, heads: 3", 1).replace(
        "context: 10, h", "context: 11, h", 1
    )
    (tmp_path / "params.yaml").write_text(changed)
    with pytest.raises(ParamsError, match=r"recommenders.sasrec.encoder.blocks must be ≥ 1, got 0"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text(changed.replace("blocks: 0", "blocks: 1"))
    with pytest.raises(ParamsError, match=r"recommenders.sasrec: dim must be a multiple of encoder.heads 3, got 64"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text(changed.replace("blocks: 0, heads: 3", "blocks: 1, heads: 2"))
    with pytest.raises(
        ParamsError, match=r"recommenders.caser.encoder.context must be ≤ split.history_length 10, got 11"
    ):
        load_params(tmp_path / "params.yaml")


def test_an_encoder_may_not_look_further_back_than_it_will_be_shown() -> None:
    with pytest.raises(ParamsError, match=r"encoder.context must be ≤ split.history_length 3, got 4"):
        build_recommender(tiny("caser"), N_ITEMS, history_length=3)


def test_a_new_encoder_is_its_options_and_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = """
        from llara_core.params.base import PositiveInt
        from llara_core.params.encoders.registry import EncoderOptions

        class Options(EncoderOptions):
            repeats: PositiveInt
    """
    module = """
        import torch

        class Encoder(torch.nn.Module):
            def __init__(self, options, dim, max_length):
                super().__init__()
                self.repeats = options.repeats

            def forward(self, vectors):
                return vectors.cumsum(1) * self.repeats
    """
    recipe = tiny("gru4rec")
    for package, source in ((params_encoders, options), (encoders, module)):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "summing.py").write_text(textwrap.dedent(source))
        monkeypatch.setattr(package, "__path__", [str(folder)])
    monkeypatch.setattr(options_registry, "_HERE", tmp_path / params_encoders.__name__ / "registry.py")
    try:
        recipe = recipe.model_copy(update={"encoder": EncoderChoice(name="summing", repeats=3)})
        model = build_recommender(recipe, N_ITEMS, history_length=8)
    finally:
        for package in (params_encoders, encoders):
            sys.modules.pop(f"{package.__name__}.summing", None)
    vectors = model.items.weight
    assert torch.allclose(model(torch.tensor([[4, 7]]))[0, 1], 3 * (vectors[4] + vectors[7]))
