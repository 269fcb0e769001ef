"""Counting examples and tokens: in data/processed, with the model's own tokenizer, where they are here already.

Else by what the dataset's makers publish, and by characters; which it was is said.
"""

import json
import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llara_core.errors import ArtifactError, DataError
from llara_core.params.objectives import Stream
from llara_core.params.params import Params
from llara_core.params.sections import FolderLlm
from llara_core.planning.finding import Found
from llara_core.planning.workload import Catalogue, Lengths, Workload, plan_workload
from llara_core.sequences.windows import count_positions
from llara_core.tables.items import Items, read_items
from llara_core.tables.processed import CANDIDATES, ITEMS, SEQUENCES
from llara_core.tables.sequences import Sequences, read_sequences

if TYPE_CHECKING:
    from llara_core.objectives.step_plan import StepPlan

_PUBLISHED = Path(__file__).with_name("published.json")
CHARACTERS = 3.6
"""Characters of a token of film titles, by SmolLM2's tokenizer on MovieLens-100K (docs/planning.md)."""
_SAMPLE = 768  # examples that are tokenised, spread over the steps


def count_workload(params: Params, llm: Found, processed: Path, fetched: str | None = None) -> Workload:
    """Count what the selected params read.

    Args:
        params: all of params.yaml.
        llm: its tokenizer, if it is here.
        processed: the folder that `preprocess` writes; it may be missing.
        fetched: the source that it was made of, if that is known; another dataset's tables aren't counted.

    Raises:
        DataError: it is missing, and nothing is published about the dataset.
        ArtifactError: it is there, and damaged.
    """
    if not (processed / SEQUENCES).is_file() or fetched not in (None, params.selected_dataset.source):
        catalogue, characters = _published(params, "isn't here" if fetched is None else f"is of {fetched}")
        return plan_workload(params, catalogue, _by_characters(params, characters, "no titles are here"))
    items = read_items(processed / ITEMS)
    sequences = read_sequences(processed / SEQUENCES, items)
    lists = _rows(processed / CANDIDATES)
    if llm.folder is None:
        catalogue = _counted(params, items, sequences, lists, processed)
        characters = _mean_characters(items, sequences)
        return plan_workload(params, catalogue, _by_characters(params, characters, "its tokenizer isn't here"))
    plan, examples = _build_plan(params, llm.folder, items, sequences)
    catalogue = _counted(params, items, sequences, lists, processed, examples)
    return plan_workload(params, catalogue, _measure(params, plan))


def processed_source(metrics: Path) -> str | None:
    """Return the source of which data/processed is made, as `preprocess` says in `metrics`; None: nobody says."""
    try:
        found = json.loads((metrics / "preprocess.json").read_text(encoding="utf-8")).get("source")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


@lru_cache(maxsize=1)
def published() -> dict[str, dict[str, Any]]:
    """Return what is published of each source, by its name in params.yaml."""
    content: dict[str, dict[str, Any]] = json.loads(_PUBLISHED.read_text(encoding="utf-8"))
    return content


def _published(params: Params, why: str) -> tuple[Catalogue, float]:
    source = params.selected_dataset.source
    if (known := published().get(source)) is None:
        raise DataError(
            f"data/processed {why}, and no counts are published for source {source} (there are for "
            f"{', '.join(published())}); run `dvc repro preprocess`, which needs no language model"
        )
    share = 1 - params.split.validation - params.split.test
    positions = round(share * max(known["interactions"] - params.split.min_history * known["users"], 1))
    recipe, examples = params.selected_objective, positions
    if isinstance(recipe, Stream):
        examples = max(1, round(positions * _item_tokens(known["title_characters"]) / recipe.chunk_tokens))
    origin = f"published counts ({known['from']}), before this project's filters; data/processed {why}"
    draws = params.candidates.draws
    users = known["users"]
    lists = round(users * (params.split.validation * draws.validation + params.split.test * draws.test))
    return Catalogue(known["interactions"], known["items"], examples, lists, origin), float(known["title_characters"])


def _counted(
    params: Params, items: Items, sequences: Sequences, lists: int, folder: Path, examples: int | None = None
) -> Catalogue:
    positions = count_positions(sequences, "train", params.split.min_history)
    recipe = params.selected_objective
    if examples is None and isinstance(recipe, Stream):
        tokens = positions * _item_tokens(_mean_characters(items, sequences))
        examples = max(1, round(tokens / recipe.chunk_tokens))
    return Catalogue(
        len(sequences.item_ids), len(items), positions if examples is None else examples, lists, str(folder)
    )


def _rows(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows) if path.is_file() else 0
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(f"{path}: not a readable Parquet file: {str(error).splitlines()[0]}") from error


def _mean_characters(items: Items, sequences: Sequences) -> float:
    """Of the titles of interactions: items that are had often count often."""
    characters = np.array([len(title) for title in items.titles_by_id])
    return float(characters[sequences.item_ids].mean())


def _item_tokens(characters: float) -> float:
    return characters / CHARACTERS + 1  # the token behind it


def _by_characters(params: Params, characters: float, why: str) -> Lengths:
    item, recipe = _item_tokens(characters), params.selected_objective
    origin = f"estimated at {CHARACTERS} characters a token, for {why}"
    if isinstance(recipe, Stream):
        shown = recipe.chunk_tokens * (1 - recipe.item_dropout)
        inside = math.ceil(recipe.chunk_tokens / item)
        return Lengths(shown, recipe.chunk_tokens, shown * 1.07, item, 0, inside, inside, origin)
    template = sum(map(len, params.prompt.templates)) / len(params.prompt.templates) / CHARACTERS
    listed = params.split.history_length + params.candidates.size
    separators = listed * len(params.prompt.separator) / 2  # a comma and a space are one token
    answer = item if params.train.objective.name == "answer" else 0
    mean = template + listed * item + separators + answer
    # As spread as those of MovieLens-100K: the longest of some hundreds is a quarter longer than the mean.
    return Lengths(mean, math.ceil(1.25 * mean), 1.03 * mean, item, answer, listed, params.candidates.size, origin)


def _build_plan(params: Params, folder: Path, items: Items, sequences: Sequences) -> "tuple[StepPlan[Any, Any], int]":
    """Build the very plan that finetuning reads, by the tokenizer in `folder`; and count what it draws from."""
    # Not at the top: torch and transformers take seconds.
    from llara_core.hybrid.base_llm import load_tokenizer
    from llara_core.objectives.answer.prompts import AnswerPlan
    from llara_core.objectives.choice.plan import ChoicePlan
    from llara_core.objectives.step_plan import step_settings
    from llara_core.objectives.stream.chunks import Chunker, ChunkPlan, training_spans
    from llara_core.prompting.chat import chat_frame
    from llara_core.prompting.encoding import PromptEncoder
    from llara_core.prompting.histories import HistoryEncoder
    from llara_core.prompting.segments import PromptWriter

    tokenizer, longest = load_tokenizer(FolderLlm(source="folder", path=folder, dtype="float32", attention="sdpa"))
    frame = chat_frame(tokenizer) if params.prompt.form == "chat" else None
    encoder = PromptEncoder(tokenizer, longest, frame)
    writer = PromptWriter.of(params.prompt, params.fusion, params.selected_dataset.nouns, items.titles_by_id)
    recipe = params.selected_objective
    if not isinstance(recipe, Stream):
        kind = ChoicePlan if params.train.objective.name == "choice" else AnswerPlan
        positions = count_positions(sequences, "train", params.split.min_history)
        return kind.of(params, recipe, sequences, writer, encoder), positions
    history = HistoryEncoder(encoder, writer.titles, writer.fusion)
    spans = training_spans(sequences, params.split.min_history)
    chunker = Chunker(
        sequences.item_ids, spans, history.lengths, recipe.chunk_tokens, params.selected_recommender.max_length
    )
    plan = ChunkPlan(sequences.item_ids, chunker, history, step_settings(params, recipe), recipe.item_dropout)
    return plan, len(chunker)


def _measure(params: Params, plan: "StepPlan[Any, Any]") -> Lengths:
    """Tokenise whole steps, evenly spread, and take lengths as their micro-batches are padded."""
    recipe, settings = params.selected_objective, plan.settings
    n_steps = min(settings.n_steps, max(2, _SAMPLE // settings.batch_size))
    steps = np.unique(np.linspace(0, settings.n_steps - 1, n_steps).round().astype(int))
    rows = []
    for step in steps:
        first = int(step) * settings.batch_size
        rows += [_sizes(plan[index]) for index in range(first, first + settings.batch_size)]
    sizes = np.array(rows).reshape(-1, recipe.rows, 4)
    widths = sizes[..., 0].max(axis=1)
    slots, targets = sizes[..., 1].max(), sizes[..., 2].max()
    item = _tokens_an_item(params, sizes)
    how = "all" if len(steps) == settings.n_steps else f"{len(steps)} of {settings.n_steps}"
    return Lengths(
        mean=float(sizes[..., 0].mean()),
        widest=int(widths.max()),
        padded=float(widths.mean()),
        item=item,
        answer=float(sizes[..., 3].mean()),
        slots=int(slots),
        targets=int(targets),
        origin=f"its tokenizer, on the examples of {how} steps",
    )


def _tokens_an_item(params: Params, sizes: np.ndarray) -> float:
    if isinstance(params.selected_objective, Stream):
        return float(sizes[..., 0].sum() / sizes[..., 2].sum())
    listed = params.split.history_length + params.candidates.size
    return float(sizes[..., 0].mean() / listed)


def _sizes(example: Any) -> tuple[int, int, int, int]:
    """Tokens, slots, places that are asked, and answer tokens of an objective's example."""
    if isinstance(example, tuple):
        prompt, answer = example
        return len(prompt.input_ids) + len(answer), len(prompt.slot_items), len(answer), len(answer)
    if hasattr(example, "history") and hasattr(example.history, "prompt"):
        prompt = example.history.prompt
        return len(prompt.input_ids), len(prompt.slot_items), len(example.items), 0
    return len(example.prompt.input_ids), len(example.prompt.slot_items), len(example.places), 0
