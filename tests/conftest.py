"""A tiny random Llama with an offline tokenizer, miniature raw data, and the real MovieLens-100K."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter

ROOT = Path(__file__).resolve().parents[1]
TITLES = ["", "Toy Story", "GoldenEye", "Four Rooms", "Alien", "Alien 3", "Heat", "The Piano", "Babe"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the pipeline's own tests first: they take minutes, and would be the last at work while a core stands idle."""
    slow = ("stages/test_end_to_end", "stages/test_experiments", "stages/test_grid")
    items.sort(key=lambda item: not any(name in item.nodeid for name in slow))


@pytest.fixture(scope="session")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<eos>", "<pad>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    core.train_from_iterator([" ".join(TITLES) + " This user has watched, choose the next movie. Answer:"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>", pad_token="<pad>")  # noqa: S106


def make_llama(vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.3,  # large, so that different inputs give clearly different outputs
        pad_token_id=1,
        eos_token_id=0,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config).requires_grad_(requires_grad=False).eval()
    table = model.get_input_embeddings().weight
    table[config.pad_token_id] = table[config.eos_token_id].flip(0)  # at zero it would hide that the filler is read
    return model


@pytest.fixture
def llama(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    return make_llama(len(tokenizer))


needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="bitsandbytes isn't installed (extras gpu and dev have it)"
)


@pytest.fixture(scope="session")
def llama_folder(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-llama")
    make_llama(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(tokenizer: PreTrainedTokenizerFast) -> PromptEncoder:
    return PromptEncoder(tokenizer, max_length=1024)


@pytest.fixture(scope="session")
def writer(params: Params) -> PromptWriter:
    return PromptWriter.of(params.prompt, params.fusion, params.datasets["ml-100k"].nouns, TITLES)


@pytest.fixture(scope="session")
def item_embeddings() -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(len(TITLES), 4)).astype(np.float32)
    vectors[0] = 0
    return vectors


@pytest.fixture(scope="session")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the real, verified u.data and u.item; fetched once for all test processes."""
    from llara_core.datasets.sources import SOURCES
    from llara_core.sourcing.source import obtain

    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder = shared / "movielens"
    with FileLock(shared / "movielens.lock"):
        if not folder.exists():
            partial = shared / "movielens.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            for file in SOURCES["ml-100k"].files:
                obtain(file, partial / file.name, partial, "ml-100k", trust=False)
            partial.rename(folder)
    return folder
