"""Tiny repositories of every kind that can be exported, each made once."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from llara_core.params.datasets import OwnData
from llara_core.params.params import Params
from tests.conftest import make_llama
from tests.factories import PROJECTORS, make_chat_tokenizer, make_curriculum, name_source
from tests.recommending.tiny import make_repository, tiny_params

Repository = tuple[Path, Params]
OWN = {"source": "csv", "interactions": Path("mine.csv"), "items": None}
COLUMNS = {"user": "u", "item": "i", "timestamp": "t", "title": "name", "rating": None}


def make_qwen(vocabulary: int) -> Qwen3ForCausalLM:
    """Return a tiny model whose config says of each of its layers what kind it is."""
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = Qwen3Config(vocab_size=vocabulary, num_hidden_layers=2, head_dim=4, initializer_range=0.3, **sizes)
    return Qwen3ForCausalLM(config).eval()


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
    qwen = tmp_path_factory.mktemp("qwen")
    tokenizer.save_pretrained(qwen)
    make_qwen(len(tokenizer)).save_pretrained(qwen)
    known: dict[tuple[str, ...], Repository] = {}

    def make(
        objective: str,
        fusion: str = "append",
        mode: str = "hybrid",
        form: str = "raw",
        projector: str = "mlp",
        llm: str = "llama",
    ) -> Repository:
        key = (objective, fusion, mode, form, projector, llm)
        if key not in known:
            base = chat if form == "chat" else {"qwen": qwen}.get(llm, llama_folder)
            own = tiny_params(params, base, objective, template=1)
            if llm == "nf4":
                small = own.selected_llm.model_copy(update={"quantization": "nf4"})
                own = own.model_copy(update={"llms": {"tiny": small}})
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
            own = own.model_copy(update=changes)
            root = tmp_path_factory.mktemp("-".join(key))
            make_repository(root, own)
            name_source(root, "csv")
            known[key] = root, own
        return known[key]

    return make
