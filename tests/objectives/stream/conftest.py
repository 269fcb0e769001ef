from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.hybrid.recommender_head import RecommenderHead
from llara_core.objectives.stream.model import StreamModel
from llara_core.params.projector import Fusion
from llara_core.params.sections import Lora
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from tests.conftest import TITLES
from tests.factories import APPEND, PROJECTOR, folder_llm
from tests.recommenders.recipes import tiny

BASE = folder_llm(Path("x"))


@pytest.fixture
def histories(encoder: PromptEncoder) -> HistoryEncoder:
    return HistoryEncoder(encoder, TITLES, "append")


@pytest.fixture
def recommender() -> SequentialRecommender:
    torch.manual_seed(3)
    return build_recommender(tiny("sasrec", tied=True), len(TITLES) - 1, history_length=8).eval()


@pytest.fixture
def make_model(llm: PreTrainedModel, recommender: SequentialRecommender) -> Callable[..., StreamModel]:
    """A stream model of this distillation whose weights, LoRA's and the projector's among them, are far from zero."""

    def make(distillation: float, fusion: Fusion = APPEND) -> StreamModel:
        vectors = recommender.output_weights.detach().clone()
        torch.manual_seed(4)
        adapted = attach_lora(llm, Lora(rank=2, alpha=4, dropout=0.0, targets="all-linear"), BASE)
        hybrid = build_hybrid(adapted.get_base_model(), np.asarray(vectors), PROJECTOR, fusion)
        model = StreamModel(hybrid, RecommenderHead(16, vectors), recommender, distillation)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name or ".gate." in name or name.startswith("head."):
                    parameter.normal_(std=0.3)
        return model.eval()

    return make
