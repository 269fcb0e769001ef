import pytest

from llara_core.objectives.answer.prompts import AnswerPlan
from llara_core.objectives.prompt_plan import PromptSettings
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.sequences.windows import all_positions
from llara_core.tables.sequences import Sequences
from tests.factories import make_curriculum, make_sequences


@pytest.fixture(scope="session")
def sequences() -> Sequences:
    return make_sequences([[1, 2, 3, 4], [5, 6, 7, 8, 1], [3, 5, 7]], ["train", "train", "test"])


@pytest.fixture(scope="session")
def settings() -> PromptSettings:
    return PromptSettings(
        seed=0,
        curriculum=make_curriculum("linear"),
        shown="hybrid",
        n_steps=6,
        batch_size=4,
        n_candidates=3,
        negatives="outside_recent",
        smoothing=1.0,
        history_length=3,
    )


@pytest.fixture
def plan(sequences: Sequences, settings: PromptSettings, writer: PromptWriter, encoder: PromptEncoder) -> AnswerPlan:
    return AnswerPlan(sequences, all_positions(sequences, "train", 2), 8, writer, encoder, settings)
