from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast

from llara_core.errors import DataError
from llara_core.hybrid.batching import pad_examples
from llara_core.objectives.answer.prompts import AnsweredPrompt, AnswerPlan
from llara_core.objectives.prompt_plan import PromptSettings
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter, Segment
from llara_core.sequences.windows import Examples, all_positions
from llara_core.tables.sequences import Sequences
from tests.conftest import TITLES
from tests.factories import make_curriculum, make_sequences


def test_every_training_position_is_used_once_before_any_is_used_again(
    plan: AnswerPlan, encoder: PromptEncoder
) -> None:
    answers = Counter(encoder.decode(plan[i][1]) for i in range(len(plan)))
    # Targets with at least two items before them: 3, 4 and 7, 8, 1. 24 planned examples are four passes and four more.
    assert len(plan) == 24
    assert set(answers) == {TITLES[item] for item in (3, 4, 7, 8, 1)}
    assert set(answers.values()) == {4, 5}


def test_hybrid_steps_have_slots_and_text_steps_none(plan: AnswerPlan) -> None:
    for step in range(1, 7):
        for place in range(4):
            prompt, _ = plan[(step - 1) * 4 + place]
            is_hybrid = plan.modes_of(step)[0] == "hybrid"
            assert len(prompt.slot_items) in ((2 + 3, 3 + 3) if is_hybrid else (0,))


def test_elements_do_not_depend_on_the_order_of_reading(
    plan: AnswerPlan, sequences: Sequences, settings: PromptSettings, writer: PromptWriter, encoder: PromptEncoder
) -> None:
    again = AnswerPlan(sequences, all_positions(sequences, "train", 2), 8, writer, encoder, settings)
    assert [again[i] for i in reversed(range(len(again)))][::-1] == [plan[i] for i in range(len(plan))]


def test_candidates_of_an_example_change_from_pass_to_pass(
    sequences: Sequences, settings: PromptSettings, writer: PromptWriter, encoder: PromptEncoder
) -> None:
    one = replace(settings, curriculum=make_curriculum("text_only"), batch_size=1, n_steps=20)
    plan = AnswerPlan(sequences, all_positions(sequences, "train", 3), 8, writer, encoder, one)
    assert len({tuple(plan[i][0].input_ids) for i in range(20)}) > 10


def test_held_out_items_are_as_often_wrong_answers_as_any_other(
    settings: PromptSettings, writer: PromptWriter, encoder: PromptEncoder
) -> None:
    """Leaving one out: for a user who trained on 1, 2, 3, items 4 and 5, held out, are negatives like 6, 7 and 8."""
    whole = make_sequences([[1, 2, 3, 4, 5]], ["train"])
    sequences = replace(whole, train_end=np.array([3]), validation_end=np.array([4]))
    many = replace(
        settings, negatives="outside_history", curriculum=make_curriculum("hybrid_only"), batch_size=100, n_steps=20
    )
    plan = AnswerPlan(sequences, all_positions(sequences, "train", 2), 8, writer, encoder, many)
    shown = Counter(item for i in range(len(plan)) for item in plan[i][0].slot_items[2:])  # history: 1, 2
    assert shown.pop(3) == 2000
    assert sorted(shown) == [4, 5, 6, 7, 8]
    assert chisquare(list(shown.values())).pvalue > 0.001


def test_wrong_answers_come_by_popularity_where_that_is_the_rule(
    settings: PromptSettings, writer: PromptWriter, encoder: PromptEncoder
) -> None:
    """One negative a prompt, of items 4 to 8, which training had 7, 3, 0, 0 and 0 times; half a time more for each."""
    sequences = make_sequences([[1, 2, 3], [4] * 7 + [5] * 3, [8, 8]], ["train", "train", "test"])
    shown = {}
    for rule in ("popularity", "hard", "outside_history"):
        how = replace(
            settings,
            negatives=rule,
            smoothing=0.5,
            curriculum=make_curriculum("hybrid_only"),
            batch_size=100,
            n_steps=20,
            n_candidates=2,
        )
        plan = AnswerPlan(sequences, Examples(np.array([0]), np.array([2])), 8, writer, encoder, how)
        shown[rule] = [item for i in range(len(plan)) for item in plan[i][0].slot_items[2:] if item != 3]
    weights = np.array([7.5, 3.5, 0.5, 0.5, 0.5])
    counts = Counter(shown["popularity"])
    assert chisquare([counts[item] for item in range(4, 9)], 2000 * weights / weights.sum()).pvalue > 0.001
    assert shown["hard"] == shown["outside_history"]  # training knows no other hard negatives


def test_the_number_of_workers_changes_nothing(plan: AnswerPlan, encoder: PromptEncoder) -> None:
    def read(workers: int) -> list[list[int]]:
        def collate(examples: list[AnsweredPrompt]) -> dict[str, Tensor]:
            return pad_examples(*zip(*examples, strict=True), encoder.filler_id)

        loader = DataLoader(plan, batch_size=2, num_workers=workers, collate_fn=collate)
        return [batch[name].tolist() for batch in loader for name in sorted(batch)]

    assert read(0) == read(2)


class _CountingEncoder(PromptEncoder):
    prompts = 0

    def encode(self, segments: list[Segment], name: str = "") -> EncodedPrompt:
        self.prompts += 1
        return super().encode(segments, name)


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_each_example_is_tokenised_once_over_all_workers(
    sequences: Sequences,
    settings: PromptSettings,
    writer: PromptWriter,
    tokenizer: PreTrainedTokenizerFast,
    plan: AnswerPlan,
    n_workers: int,
) -> None:
    # Micro-batches of one go to the workers in turn, each of which has a plan of its own.
    encoders = [_CountingEncoder(tokenizer, 1024) for _ in range(n_workers)]
    examples = all_positions(sequences, "train", 2)
    plans = [AnswerPlan(sequences, examples, 8, writer, encoder, settings) for encoder in encoders]
    assert [plans[i % n_workers][i] for i in range(24)] == [plan[i] for i in range(24)]
    assert sum(encoder.prompts for encoder in encoders) == 24 + n_workers * len(writer.templates)


@pytest.mark.parametrize(
    ("schedule", "drawn_per"), [("text_only", "batch"), ("hybrid_only", "batch"), ("linear", "example")]
)
def test_a_step_goes_from_its_shortest_example_to_its_longest(
    sequences: Sequences,
    settings: PromptSettings,
    writer: PromptWriter,
    encoder: PromptEncoder,
    schedule: str,
    drawn_per: str,
) -> None:
    # These titles have no punctuation that the tokenizer could join with what follows: parts' lengths add up.
    examples = all_positions(sequences, "train", 1)
    plan = AnswerPlan(
        sequences, examples, 8, writer, encoder, replace(settings, curriculum=make_curriculum(schedule, drawn_per))
    )
    lengths = [len(prompt.input_ids) + len(answer) for prompt, answer in map(plan.__getitem__, range(24))]
    steps = [lengths[start : start + 4] for start in range(0, 24, 4)]
    assert steps == [sorted(step) for step in steps]
    assert all(step[0] < step[-1] for step in steps)


def test_no_examples(
    sequences: Sequences, settings: PromptSettings, writer: PromptWriter, encoder: PromptEncoder
) -> None:
    none = Examples(sequences.offsets[:0], sequences.offsets[:0])
    with pytest.raises(DataError, match="split.min_history must leave training examples"):
        AnswerPlan(sequences, none, 8, writer, encoder, settings)
