from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.objectives.choice.model import ChoiceModel
from llara_core.params.sections import Lora
from llara_core.prompting.question import Question
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from tests.conftest import TITLES
from tests.factories import APPEND, PROJECTOR
from tests.objectives.stream.conftest import BASE
from tests.recommenders.recipes import tiny

DRAWN = [
    Question(template=0, history=[3, 5], candidates=[6, 1, 2], target=2, name="this"),
    Question(template=2, history=[7, 8, 1, 3], candidates=[4, 5, 6], target=4, name="this"),
    Question(template=1, history=[2], candidates=[2, 8, 7], target=8, name="this"),
]


@pytest.fixture
def recommender() -> SequentialRecommender:
    torch.manual_seed(3)
    return build_recommender(tiny("sasrec", tied=False), len(TITLES) - 1, history_length=8).eval()


@pytest.fixture
def make_model(llm: PreTrainedModel, recommender: SequentialRecommender) -> Callable[[float], ChoiceModel]:
    """A choice model of this distillation whose weights are all far from zero."""

    def make(distillation: float) -> ChoiceModel:
        vectors = np.asarray(recommender.items.weight.detach())
        torch.manual_seed(4)
        adapted = attach_lora(llm, Lora(rank=2, alpha=4, dropout=0.0, targets="all-linear"), BASE)
        model = ChoiceModel(
            build_hybrid(adapted.get_base_model(), vectors, PROJECTOR, APPEND), recommender, distillation
        )
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name or name.startswith("maps."):
                    parameter.normal_(std=0.3)
        return model.eval()

    return make
