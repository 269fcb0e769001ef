"""A small processed dataset, and a way of choosing params."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from llara_core.params.params import Params
from llara_core.planning.shapes import Shape
from llara_core.planning.workload import Catalogue, Lengths, Workload
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed, write_processed
from tests.conftest import TITLES
from tests.factories import folder_llm, make_sequences, make_sets

Choose = Callable[..., Params]
TINY = {
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 50,
    "tie_word_embeddings": False,
}


@pytest.fixture
def shape() -> Shape:
    """H 8, A 8, K 4, I 20, V 50, three layers, with a head of its own."""
    return Shape.of(TINY, "tiny")


@pytest.fixture
def workload() -> Workload:
    """Micro-batches of 2 × 10 tokens, 3 slots and 4 targets each, of a catalogue of 30 items."""
    catalogue = Catalogue(interactions=100, items=30, examples=40, lists=5, origin="here")
    lengths = Lengths(mean=8.0, widest=10, padded=9.0, item=2.0, answer=3.0, slots=3, targets=4, origin="here")
    return Workload(catalogue, lengths, examples=64, steps=4, rows=2, validated=100)


@pytest.fixture
def choose(params: Params) -> Choose:
    """Return params with an objective, and with values by their dotted names."""

    def chosen(objective: str, **values: Any) -> Params:
        content = params.model_dump()
        content["train"]["objective"]["name"] = objective
        for name, value in values.items():
            section = content
            *parts, last = name.split("__")
            for part in parts:
                section = section[part]
            section[last] = value
        return Params.model_validate(content)

    return chosen


@pytest.fixture(scope="session")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two training users of seven items and one validation user of six."""
    lists = [[1, 2, 3, 4, 5, 6, 7], [8, 7, 6, 5, 4, 3, 2], [2, 4, 6, 8, 1, 3]]
    sequences = make_sequences(lists, ["train", "train", "validation"])
    counts = np.array([1, 2, 2, 2, 2, 2, 2, 1], dtype=np.int32)
    items = Items(pa.array([f"raw{i}" for i in range(1, 9)]), pa.array(TITLES[1:]), counts)
    sets = make_sets(
        example_ids=[0], draws=[0], user_ids=[3], positions=[5], targets=[3], candidates=[[3, 5]], split="validation"
    )
    folder = tmp_path_factory.mktemp("processed")
    write_processed(folder, Processed(items, sequences, sets))
    return folder


@pytest.fixture
def with_folder(choose: Choose, llama_folder: Path) -> Choose:
    """As `choose`, with the tiny Llama in a folder as the language model, and small inputs."""

    def chosen(objective: str, **values: Any) -> Params:
        small = {"batch_size": 4, "micro_batch_size": 2, "examples_per_epoch": 8}
        sizes = {f"objectives__{objective}__{name}": value for name, value in small.items()}
        if objective != "answer":
            sizes[f"objectives__{objective}__layers"] = 2
        tiny = folder_llm(llama_folder).model_dump()
        base = {"llms__tiny": tiny, "llm__name": "tiny", "candidates__size": 2, "candidates__hard__pool": 5}
        return choose(objective, **{**base, **sizes, **values})

    return chosen
