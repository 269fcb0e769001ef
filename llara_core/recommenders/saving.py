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
from llara_core.runtime.files import sha256_of_folder, write_json
from llara_core.runtime.seal import require_seal, seal
from llara_core.tables.lineage import Lineage, require_lineage

_WEIGHTS, _CONFIG = "model.safetensors", "config.json"


class RecommenderConfig(Section):
    """Everything needed to rebuild a recommender, and digests of the items and sequences that it was trained on."""

    recommender: Recommender
    n_items: int
    history_length: int
    made_from: Lineage


def save_recommender(folder: Path, model: SequentialRecommender, config: RecommenderConfig) -> None:
    """Write the weights, the configuration, and the digests of both into `folder`."""
    save_file({name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}, folder / _WEIGHTS)
    write_json(folder / _CONFIG, config.model_dump())
    seal(folder)


def load_recommender(folder: Path, made_from: Lineage) -> tuple[SequentialRecommender, Lineage]:
    """Rebuild the recommender in `folder`, which must be made from `made_from` or more.

    Returns:
        the recommender in evaluation mode, and the lineage of what is made from it.

    Raises:
        ArtifactError: it is missing, broken, was trained on other items or sequences, or its files weren't written
            together.
    """
    if not (folder / _CONFIG).is_file():
        raise ArtifactError(f"{folder / _CONFIG}: no such file; run `dvc repro pretrain`")
    try:
        config = RecommenderConfig.model_validate(json.loads((folder / _CONFIG).read_text()))
        model = build_recommender(config.recommender, config.n_items, config.history_length)
        model.load_state_dict(load_file(folder / _WEIGHTS))
    except (ValidationError, ValueError, SafetensorError, RuntimeError, OSError, ParamsError) as error:
        raise ArtifactError(f"{folder}: not a readable recommender: {str(error).splitlines()[0]}") from error
    require_lineage(folder, config.made_from, made_from)
    require_seal(folder)
    return model.eval(), {**config.made_from, "recommender": sha256_of_folder(folder)}
