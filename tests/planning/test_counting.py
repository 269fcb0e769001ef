"""Examples and tokens, against an objective's own batches, and by hand where nothing is here."""

import shutil
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from llara_core.errors import ArtifactError, DataError
from llara_core.params.params import Params
from llara_core.planning.counting import CHARACTERS, count_workload
from llara_core.planning.finding import find_llm
from llara_core.planning.workload import Workload, changed, plan_workload
from tests.conftest import TITLES
from tests.planning.conftest import Choose

USERS = [[1, 2, 3, 4, 5, 6, 7], [8, 7, 6, 5, 4, 3, 2]]


def test_a_stream_s_chunks_are_read_by_its_tokenizer(
    with_folder: Choose, processed: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    params = with_folder("stream", objectives__stream__item_dropout=0.0, objectives__stream__chunk_tokens=200)
    work = count_workload(params, find_llm(params.selected_llm), processed)
    # A chunk of 200 tokens holds all but the last of a user's seven items: two chunks, read in turn by 2 steps of 4.
    shown = [sum(len(tokenizer.encode(TITLES[item])) + 1 for item in items[:-1]) for items in USERS]
    assert (work.examples, work.steps, work.catalogue.examples) == (8, 2, 2)
    assert work.tokens == 4 * sum(shown)
    assert (work.lengths.widest, work.rows, work.largest) == (max(shown), 2, 2 * max(shown))
    assert work.lengths.targets == work.lengths.slots == 6
    assert work.lengths.answer == 0
    assert work.passes == 4
    assert "its tokenizer" in work.lengths.origin


@pytest.mark.parametrize("objective", ["answer", "choice"])
def test_prompts_are_as_wide_as_their_batches(with_folder: Choose, processed: Path, objective: str) -> None:
    params = with_folder(objective)
    work = count_workload(params, find_llm(params.selected_llm), processed)
    batches = _batches(params, processed)
    assert work.catalogue.examples == 2 * (7 - 3)  # positions with three items before them
    assert work.lengths.widest == max(width for width, _ in batches)
    assert work.padded_tokens == sum(2 * width for width, _ in batches)
    assert work.tokens == sum(tokens for _, tokens in batches)
    assert work.lengths.slots == 6 + 2  # of the latest items, and of the candidates


def _batches(params: Params, processed: Path) -> list[tuple[int, int]]:
    """Width and tokens of each micro-batch that the objective itself would read."""
    from llara_core.hybrid.base_llm import load_tokenizer
    from llara_core.objectives.answer.prompts import AnswerPlan
    from llara_core.objectives.choice.plan import ChoicePlan
    from llara_core.prompting.encoding import PromptEncoder
    from llara_core.prompting.segments import PromptWriter
    from llara_core.tables.processed import read_processed

    tables = read_processed(processed)
    tokenizer, longest = load_tokenizer(params.selected_llm)
    writer = PromptWriter.of(params.prompt, params.fusion, params.selected_dataset.nouns, tables.items.titles_by_id)
    kind = AnswerPlan if params.train.objective.name == "answer" else ChoicePlan
    plan = kind.of(params, params.selected_objective, tables.sequences, writer, PromptEncoder(tokenizer, longest))
    found = []
    for start in range(0, len(plan), 2):
        pair = [plan[start], plan[start + 1]]
        lengths = [
            len(one[0].input_ids) + len(one[1]) if isinstance(one, tuple) else len(one.prompt.input_ids) for one in pair
        ]
        found.append((max(lengths), sum(lengths)))
    return found


def test_without_a_tokenizer_characters_count(choose: Choose, processed: Path) -> None:
    params = choose("answer", llm__name="llama-2-7b")
    work = count_workload(params, find_llm(params.selected_llm), processed)
    shown = [*USERS[0], *USERS[1], 2, 4, 6, 8, 1, 3]
    item = sum(len(TITLES[i]) for i in shown) / len(shown) / CHARACTERS + 1
    templates = params.prompt.templates
    template = sum(map(len, templates)) / len(templates) / CHARACTERS
    assert work.lengths.mean == pytest.approx(template + 30 * item + 30 + item)
    assert "tokenizer isn't here" in work.lengths.origin
    assert work.catalogue.origin == str(processed)


def test_without_data_published_counts_do(choose: Choose, tmp_path: Path) -> None:
    params = choose("answer", dataset__name="ml-1m", llm__name="llama-2-7b")
    work = count_workload(params, find_llm(params.selected_llm), tmp_path)
    assert (work.catalogue.interactions, work.catalogue.items) == (1_000_209, 3883)
    assert work.catalogue.examples == round(0.8 * (1_000_209 - 3 * 6040))
    assert "published" in work.catalogue.origin


def test_tables_of_another_dataset_are_not_counted(choose: Choose, processed: Path) -> None:
    params = choose("answer", dataset__name="ml-1m", llm__name="llama-2-7b")
    llm = find_llm(params.selected_llm)
    other = count_workload(params, llm, processed, fetched="ml-100k")
    assert other.catalogue.interactions == 1_000_209
    assert other.catalogue.origin.endswith("data/processed is of ml-100k")
    assert count_workload(params, llm, processed, fetched="ml-1m").catalogue.origin == str(processed)


def test_own_data_must_be_preprocessed_first(choose: Choose, tmp_path: Path) -> None:
    chosen = choose("answer", dataset__name="amazon-video-games", llm__name="llama-2-7b")
    llm = find_llm(chosen.selected_llm)
    with pytest.raises(DataError, match="no counts are published for source amazon .*run `dvc repro preprocess`"):
        count_workload(chosen, llm, tmp_path)


def test_damaged_tables_are_named(with_folder: Choose, processed: Path, tmp_path: Path) -> None:
    for name in ("items.parquet", "sequences.parquet"):
        (tmp_path / name).write_bytes((processed / name).read_bytes()[:-20])
    params = with_folder("answer")
    with pytest.raises(ArtifactError, match=r"items.parquet: not a readable Parquet file"):
        count_workload(params, find_llm(params.selected_llm), tmp_path)
    shutil.copytree(processed, tmp_path, dirs_exist_ok=True)
    (tmp_path / "candidates.parquet").write_bytes(b"half")
    with pytest.raises(ArtifactError, match=r"candidates.parquet: not a readable Parquet file"):
        count_workload(params, find_llm(params.selected_llm), tmp_path)


def test_steps_are_as_many_as_training_takes(choose: Choose, workload: Workload) -> None:
    params = choose("choice", curriculum__epochs=3, objectives__choice__examples_per_epoch=100)
    work = plan_workload(params, workload.catalogue, workload.lengths)
    assert (work.steps, work.examples, work.rows) == (19, 304, 4)  # 300 / 16, rounded up
    # 4 measurements and the one before, of 256 prompts, and 512 for the maps, of 8 tokens each
    assert work.validated == (5 * 256 + 512) * 8


def test_shorter_inputs_need_no_new_count(choose: Choose, workload: Workload) -> None:
    old = choose("stream")
    new = choose("stream", objectives__stream__chunk_tokens=104, objectives__stream__micro_batch_size=2)
    work = changed(plan_workload(old, workload.catalogue, workload.lengths), old, new)
    assert (work.rows, work.lengths.widest, work.lengths.mean, work.lengths.targets) == (2, 5, 4.0, 2)
    old, new = choose("answer", candidates__size=3), choose("answer", candidates__size=2)
    work = changed(plan_workload(old, workload.catalogue, workload.lengths), old, new)
    assert (work.lengths.mean, work.lengths.widest) == (6.0, 8)  # one item, of two tokens, less
