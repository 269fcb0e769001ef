"""Tiny random language models with an offline tokenizer, miniature raw data, and the real MovieLens-100K."""

import gc
import math
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.params.sections import FolderLlm
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from tests.factories import folder_llm

ROOT = Path(__file__).resolve().parents[1]
TITLES = ["", "Toy Story", "GoldenEye", "Four Rooms", "Alien", "Alien 3", "Heat", "The Piano", "Babe"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the pipeline's own tests first: they take minutes, and would be the last at work while a core stands idle."""
    slow = ("stages/test_end_to_end", "stages/test_experiments", "stages/test_grid")
    items.sort(key=lambda item: not any(name in item.nodeid for name in slow))


def pytest_collection_finish() -> None:
    """Spare the collector what stays: each training has it look at everything, the libraries' objects among it."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let DuckDB's objects be collected before it looks for some that were lost."""
    gc.unfreeze()


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


WINDOW = 5
"""Of sliding layers: shorter than every prompt."""

OF_FAMILIES: dict[str, dict[str, object]] = {
    "llama": {},
    "mistral": {"sliding_window": WINDOW},
    "qwen2": {},
    "qwen3": {"head_dim": 4, "sliding_window": WINDOW, "use_sliding_window": True, "max_window_layers": 1},
    "gemma": {"head_dim": 4},
    # Caps that squeeze: scores and logits of so small a model are far below those of the real ones.
    "gemma2": {
        "head_dim": 4,
        "sliding_window": WINDOW,
        "query_pre_attn_scalar": 2,
        "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 3.0,
    },
    "gemma3_text": {
        "head_dim": 4,
        "sliding_window": WINDOW,
        "query_pre_attn_scalar": 2,
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            "full_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        },
    },
}
"""What tiny models of each family have beside the sizes of a Llama."""

ATTENTION = {"gemma2": "eager"}
"""Of families that need another than sdpa."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put a test marked `every_family`, which needs a language model, to one of each family (but one)."""
    if (mark := metafunc.definition.get_closest_marker("every_family")) and "family" in metafunc.fixturenames:
        families = [family for family in OF_FAMILIES if family != mark.kwargs.get("but")]
        metafunc.parametrize("family", families, indirect=True)


def make_llama(vocabulary: int) -> PreTrainedModel:
    return make_llm("llama", vocabulary)


def make_llm(family: str, vocabulary: int) -> PreTrainedModel:
    """Return a tiny random model of a family, whose norms and biases do something."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family,
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
        **OF_FAMILIES[family],
    )
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION.get(family, "sdpa"))
    model = model.requires_grad_(requires_grad=False).eval()
    if family != "llama":
        for name, weight in model.named_parameters():
            if "norm" in name or "bias" in name:
                weight += 0.3 * torch.randn(weight.shape)
    table = model.get_input_embeddings().weight
    table[config.pad_token_id] = table[config.eos_token_id].flip(0)  # at zero it would hide that the filler is read
    return model


def read_words(llm: PreTrainedModel) -> Tensor:
    """[V, H] word embeddings as the model reads them: a Gemma's √H times as large as stored (arXiv 2403.08295)."""
    table = llm.get_input_embeddings().weight
    return table * math.sqrt(table.shape[1]) if "gemma" in llm.config.model_type else table


@pytest.fixture(scope="session")
def family(request: pytest.FixtureRequest) -> str:
    """Of `llm`: a Llama, where a test isn't of every one."""
    return getattr(request, "param", "llama")


@pytest.fixture
def llm(family: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return make_llm(family, len(tokenizer))


@pytest.fixture(scope="session")
def llm_entry(family: str, tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> FolderLlm:
    """An entry of llms in params.yaml, whose model is `llm`."""
    folder = tmp_path_factory.mktemp(f"tiny-{family}")
    make_llm(family, len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder_llm(folder, attention=ATTENTION.get(family, "sdpa"))


@pytest.fixture
def llama(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
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
