"""An outside judge's answers as one more row beside those of the evaluation, on the same lists."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llara_core.errors import RequestError
from llara_core.evaluation.report import differences, headline
from llara_core.objectives.answer.matching import TitleMatcher
from llara_core.outside_judge.replies import Reply
from llara_core.outside_judge.settings import Settings
from llara_core.runtime.files import atomic_directory, sha256_of_folder, write_metrics
from llara_core.tables.asked_lists import AskedLists, read_asked_lists
from llara_core.tables.lineage import Lineage
from llara_core.tables.predictions import LISTS, Answered, Asked, Predictions, read_predictions, write_predictions
from llara_core.tables.processed import Processed, read_processed

METRICS_FILE = "metrics.json"
_FORMAT_FOLLOWED = 0.9


def read_stored(processed: Path, recommender: Path, candidates: Path) -> tuple[Processed, AskedLists]:
    """Read the catalogue, and the lists that evaluation asks about; no trained model is needed but for hard lists.

    Raises:
        ArtifactError: a table is missing or damaged, or they don't belong together.
    """
    tables = read_processed(processed)
    digest = sha256_of_folder(recommender) if recommender.is_dir() else ""  # by which hard negatives were chosen
    return tables, read_asked_lists(candidates, tables, digest)


def judge_replies(replies: Sequence[Reply], asked: Asked, titles: Sequence[str]) -> Predictions:
    """Read R replies as evaluation reads what its own model writes.

    Args:
        replies: in the order of the lists.
        asked: R lists.
        titles: by item id, of which 0 is padding.
    """
    matcher = TitleMatcher(titles)
    named = [
        matcher.read(reply.answer, candidates.tolist(), is_whole=reply.is_whole)
        for reply, candidates in zip(replies, asked.sets.candidates, strict=True)
    ]
    items = np.array([item for item, _ in named], dtype=np.int32)
    return Predictions([reply.answer for reply in replies], [match for _, match in named], items, None)


def rows_beside(folder: Path, asked: Asked) -> tuple[dict[str, Predictions], str | None]:
    """Take every row of the evaluation in `folder` on the lists asked about; none, and why, if it has not all of them.

    Raises:
        ArtifactError: a table is damaged.
    """
    if not (folder / LISTS).is_file():
        return {}, f"no rows beside it: {folder} holds no evaluation; run `dvc repro`"
    answered = read_predictions(folder)
    theirs, ours = answered.asked.sets, asked.sets
    places = {key: row for row, key in enumerate(zip(theirs.example_ids, theirs.draws, strict=True))}
    rows = [places.get(key) for key in zip(ours.example_ids, ours.draws, strict=True)]
    found = np.array([row for row in rows if row is not None], dtype=np.int64)
    if len(found) < len(rows) or theirs.select(found).digest != ours.digest:
        return {}, (
            f"no rows beside it: the evaluation in {folder} was asked about {len(theirs)} other lists (--positions and "
            "--draws choose them here, eval.positions and eval.draws there)"
        )
    return {name: predictions.select(found) for name, predictions in answered.predictions.items()}, None


@dataclass(frozen=True)
class Verdict:
    """All rows, what is to be told of them, and remarks in words."""

    answered: Answered
    metrics: dict[str, Any]
    remarks: list[str]


def conclude(
    row: str,
    settings: Settings,
    replies: Sequence[Reply],
    asked: Asked,
    titles: Sequence[str],
    beside: Mapping[str, Predictions],
) -> Verdict:
    """Judge replies to all lists, as the row of this name before those `beside` it."""
    answered = Answered(asked, {row: judge_replies(replies, asked, titles), **beside})
    rows = headline(answered, None)
    compared = {pair: found for pair, found in differences(answered).items() if pair.endswith(f" - {row}")}
    metrics = {
        "settings": settings.model_dump(),
        "replies": count_replies(replies),
        "lists": rows.pop("lists"),
        "models": rows,
        "differences": compared,
    }
    return Verdict(answered, metrics, _remarks(row, metrics, asked))


def count_replies(replies: Sequence[Reply]) -> dict[str, Any]:
    """Count what came back; tokens only where the endpoint has counted them all."""
    counted = [(reply.prompt_tokens, reply.reply_tokens) for reply in replies]
    found: dict[str, Any] = {
        "n": len(replies),
        "empty": sum(not reply.answer.strip() for reply in replies),
        "by_finish": dict(sorted(Counter(reply.finish or "unknown" for reply in replies).items())),
        "by_model": dict(sorted(Counter(reply.model or "unknown" for reply in replies).items())),
    }
    if all(prompt is not None and reply is not None for prompt, reply in counted):
        found |= {"prompt_tokens": sum(p or 0 for p, _ in counted), "reply_tokens": sum(r or 0 for _, r in counted)}
    return found


def _remarks(row: str, metrics: dict[str, Any], asked: Asked) -> list[str]:
    own, replies, settings = metrics["models"][row], metrics["replies"], metrics["settings"]
    cut = replies["by_finish"].get("length", 0)
    said = []
    if replies["empty"]:
        said.append(f"{replies['empty']} of {replies['n']} replies are empty, and count as wrong answers")
    if cut:
        said.append(
            f"{cut} of {replies['n']} replies were cut at --reply-tokens {settings['reply_tokens']}; a model that "
            "thinks before it answers needs more"
        )
    if own["valid_ratio"] < _FORMAT_FOLLOWED:
        said.append(
            f"{row}'s answers name one candidate in only {own['valid_ratio']:.1%} of the lists; see them in the "
            'predictions, and try --system "Answer with the title alone."'
        )
    chance = 1 / asked.sets.candidates.shape[1]
    if asked.chosen_by is None and own["hit_ratio_at_1_low"] <= chance <= own["hit_ratio_at_1_high"]:
        said.append(f"{row}'s HitRatio@1 can't be told from chance, {chance:.3f}, on these lists")
    if (found := metrics["differences"].get(f"llara - {row}")) and found["low"] <= 0 <= found["high"]:
        said.append(f"{row} and llara can't be told apart on these lists: the interval of their difference holds 0")
    return said


def require_free(row: str, beside: Mapping[str, Predictions]) -> None:
    """Refuse the name of another row.

    Raises:
        RequestError: naming those that are taken.
    """
    taken = {Path(LISTS).stem, *beside}
    if row in taken:
        raise RequestError(f"--name must be none of {', '.join(sorted(taken))}, got {row}")


def write_verdict(folder: Path, verdict: Verdict, made_from: Lineage) -> None:
    """Write lists, a table of answers for each row, and metrics.json into `folder`, in place of what was there."""
    with atomic_directory(folder) as temporary:
        write_predictions(temporary, verdict.answered, made_from)
        write_metrics(temporary / METRICS_FILE, {**verdict.metrics, "remarks": verdict.remarks})
