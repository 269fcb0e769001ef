import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from llara_core.errors import ArtifactError
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from llara_core.recommenders.saving import RecommenderConfig, load_recommender, save_recommender
from tests.recommenders.recipes import tiny

N_ITEMS = 9

LINEAGE = {"items": "a", "sequences": "b"}


@pytest.fixture(params=["tied", "untied"])
def model(request: pytest.FixtureRequest) -> SequentialRecommender:
    torch.manual_seed(0)
    recipe = tiny("sasrec", tied=request.param == "tied")
    return build_recommender(recipe, N_ITEMS, history_length=8).double().eval()


def test_scores_are_dot_products_with_the_output_vectors(model: SequentialRecommender) -> None:
    scores = model.next_item_scores(torch.tensor([[0, 3, 1]]))
    state = model(torch.tensor([[3, 1]]))[0, 1]
    table = model.items.weight if model.outputs is None else model.outputs.weight
    for item in range(1, N_ITEMS + 1):
        assert scores[0, item].item() == pytest.approx((state @ table[item]).item())
    assert scores.shape == (1, N_ITEMS + 1)
    assert scores[0, 0] == -torch.inf


def test_only_the_latest_items_of_a_long_history_count(model: SequentialRecommender) -> None:
    assert model.max_length == 8
    latest = [1, 2, 3, 4, 5, 6, 7, 8]
    long = model.next_item_scores(torch.tensor([[9, 8, *latest]]))
    assert torch.allclose(long, model.next_item_scores(torch.tensor([latest])), atol=1e-12)


def test_saved_recommenders_come_back(tmp_path: Path, model: SequentialRecommender) -> None:
    recipe = tiny("sasrec", tied=model.outputs is None)
    model = model.float()
    config = RecommenderConfig(recommender=recipe, n_items=N_ITEMS, history_length=8, made_from=LINEAGE)
    save_recommender(tmp_path, model, config)
    ids = torch.tensor([[1, 2, 3]])
    loaded, lineage = load_recommender(tmp_path, LINEAGE)
    assert torch.equal(loaded.next_item_scores(ids), model.next_item_scores(ids))
    listed = "".join(
        f"{name}\0{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}\0"
        for name in ("config.json", "model.safetensors", "sha256.json")
    )
    assert lineage == {**LINEAGE, "recommender": hashlib.sha256(listed.encode()).hexdigest()}
    with pytest.raises(ArtifactError, match="was made from other sequences than those at hand: .* must have digest d"):
        load_recommender(tmp_path, {"items": "a", "sequences": "d"})
    of_another_run = {name: tensor + 1 for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    save_file(of_another_run, tmp_path / "model.safetensors")
    with pytest.raises(ArtifactError, match="model.safetensors: must be the file that was written with the others"):
        load_recommender(tmp_path, LINEAGE)
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ArtifactError, match="not a readable recommender"):
        load_recommender(tmp_path, LINEAGE)
