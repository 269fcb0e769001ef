"""A pretrained recommender on disk: model.safetensors and config.json."""

import json
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from llara_core.errors import ArtifactError, ParamsError
from llara_core.params.base import Section
from llara_core.params.recommenders import Recommender
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from llara_core.runtime.files import write_json

_WEIGHTS, _CONFIG = "model.safetensors", "config.json"


class RecommenderConfig(Section):
    """Everything needed to rebuild a recommender, and the item table that its ids refer to."""

    recommender: Recommender
    n_items: int
    history_length: int
    items_digest: str


def save_recommender(folder: Path, model: SequentialRecommender, config: RecommenderConfig) -> None:
    """Write the weights and the configuration into `folder`."""
    save_file({name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}, folder / _WEIGHTS)
    write_json(folder / _CONFIG, config.model_dump())


def load_recommender(folder: Path, items_digest: str) -> SequentialRecommender:
    """Rebuild the recommender in `folder`.

    Raises:
        ArtifactError: it is missing, broken, or was trained on another item table.
    """
    if not (folder / _CONFIG).is_file():
        raise ArtifactError(f"{folder / _CONFIG}: no such file; run `dvc repro pretrain`")
    try:
        config = RecommenderConfig.model_validate(json.loads((folder / _CONFIG).read_text()))
        model = build_recommender(config.recommender, config.n_items, config.history_length)
        model.load_state_dict(load_file(folder / _WEIGHTS))
    except (ValidationError, ValueError, SafetensorError, RuntimeError, OSError, ParamsError) as error:
        raise ArtifactError(f"{folder}: not a readable recommender: {str(error).splitlines()[0]}") from error
    if config.items_digest != items_digest:
        raise ArtifactError(
            f"{folder}: was trained on another item table: digest must be {items_digest[:12]}…, "
            f"got {config.items_digest[:12]}…; rerun `dvc repro pretrain`"
        )
    return model.eval()
