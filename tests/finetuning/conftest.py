import numpy as np
import pyarrow as pa
import pytest

from llara_core.finetuning.plan import PlanSettings, TrainingPlan
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.sequences.windows import all_positions
from llara_core.tables.sequences import Sequences


@pytest.fixture(scope="session")
def sequences() -> Sequences:
    lists = [[1, 2, 3, 4], [5, 6, 7, 8, 1], [3, 5, 7]]
    return Sequences(
        user_ids=np.arange(1, 4, dtype=np.int32),
        raw_user_ids=pa.array(["a", "b", "c"]),
        splits=np.array(["train", "train", "test"], dtype=object),
        offsets=np.array([0, 4, 9, 12]),
        item_ids=np.concatenate(lists).astype(np.int32),
        timestamps=np.arange(12),
    )


@pytest.fixture(scope="session")
def settings() -> PlanSettings:
    return PlanSettings(
        seed=0, schedule="linear", n_steps=6, batch_size=4, n_candidates=3, negatives="outside_recent", history_length=3
    )


@pytest.fixture
def plan(sequences: Sequences, settings: PlanSettings, writer: PromptWriter, encoder: PromptEncoder) -> TrainingPlan:
    return TrainingPlan(sequences, all_positions(sequences, "train", 2), 8, writer, encoder, settings)
