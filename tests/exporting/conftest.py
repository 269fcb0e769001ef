"""Tiny repositories of every kind that can be exported, each made once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from llara_core.params.datasets import OwnData
from llara_core.params.params import Params
from llara_core.params.sections import FolderLlm
from llara_core.runtime.paths import METRICS
from tests.conftest import make_llama
from tests.factories import PROJECTORS, make_chat_tokenizer, make_curriculum
from tests.recommending.tiny import make_repository, tiny_params

Repository = tuple[Path, Params]
OWN = {"source": "csv", "interactions": Path("mine.csv"), "items": None}
COLUMNS = {"user": "u", "item": "i", "timestamp": "t", "title": "name", "rating": None}


@pytest.fixture(scope="session")
def made_of(
    params: Params,
    llama_folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Repository]:
    """Make a repository of an objective; of own data, whose licence permits all, unless a dataset is named."""
    chat = tmp_path_factory.mktemp("instruct")
    make_chat_tokenizer(tokenizer).save_pretrained(chat)
    make_llama(len(tokenizer) + 1).save_pretrained(chat)
    known: dict[tuple[str, ...], Repository] = {}

    def make(
        objective: str, fusion: str = "append", mode: str = "hybrid", form: str = "raw", projector: str = "mlp"
    ) -> Repository:
        key = (objective, fusion, mode, form, projector)
        if key not in known:
            own = tiny_params(params, chat if form == "chat" else llama_folder, objective, template=1)
            nouns, filters = (getattr(params.selected_dataset, name) for name in ("nouns", "filters"))
            mine = OwnData.model_validate({**OWN, "columns": COLUMNS, "nouns": nouns, "filters": filters})
            changes = {
                "datasets": {**params.datasets, "mine": mine},
                "dataset": params.dataset.model_copy(update={"name": "mine"}),
                "fusion": params.fusion.model_copy(update={"kind": fusion}),
                "projector": PROJECTORS[projector],
                "prompt": params.prompt.model_copy(update={"mode": mode, "form": form}),
            }
            if mode == "text":
                changes["curriculum"] = make_curriculum("text_only")
            if form == "chat":
                changes["llms"] = {"tiny": FolderLlm(source="folder", path=chat, dtype="float32")}
            own = own.model_copy(update=changes)
            root = tmp_path_factory.mktemp("-".join(key))
            make_repository(root, own)
            (root / METRICS / "fetch.json").write_text(json.dumps({"dataset": "csv", "files": {}}))
            known[key] = root, own
        return known[key]

    return make
