"""Evaluation as a whole: every model's answers to the same lists."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from llara_core.errors import ArtifactError
from llara_core.evaluation.artifacts import Artifacts, load_tuned, load_untuned
from llara_core.evaluation.blending import blend, choose_weight
from llara_core.evaluation.pieces import Pieces
from llara_core.evaluation.probes import answer_shuffled, choose_probes, probed
from llara_core.evaluation.recommenders import list_scores
from llara_core.objectives.asking import Answer, Respondent, Tuned, best_of, build_respondent
from llara_core.objectives.catalogue import answer_by_catalogue
from llara_core.params.params import Params
from llara_core.params.sections import Probe
from llara_core.recommenders.counting import baseline_scorers
from llara_core.recommenders.ranking import Scorer, neural_scorer
from llara_core.recommenders.windows import TrainingSequences
from llara_core.runtime.compute import choose_device, wait_for_all
from llara_core.runtime.fingerprint import experiment_fingerprint
from llara_core.runtime.processes import is_main_process
from llara_core.sequences.random_words import random_permutation, random_shares, random_words
from llara_core.sequences.windows import training_bounds, unique_histories
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import Answered, Asked, Predictions

LLARA, TOGETHER, RECOMMENDER = "llara", "llara_with_recommender", "recommender"
_GUESSES, _LIMITED = 0x47756573, 0x4C696D69  # "Gues", "Limi": keep these words apart from others


@dataclass(frozen=True)
class Judged:
    """Every model's answers.

    Attributes:
        answered: the lists, and the answers by the model's name.
        weight: of the language model's scores beside the recommender's; None where it gives none.
        seconds: how long a list took each model that is asked one by one, as far as this run asked.
    """

    answered: Answered
    weight: float | None
    seconds: dict[str, float]


def evaluation_fingerprint(params: Params, artifacts: Artifacts) -> str:
    """Digest of all that decides the answers of the language model: params, artifacts, code and libraries."""
    settings = {"seed": params.seed, "eval": params.eval.model_dump(mode="json"), "made_from": artifacts.lineage}
    return experiment_fingerprint(settings, [], by_processes=False)


def judge(params: Params, artifacts: Artifacts, folder: Path) -> Judged | None:
    """Ask the tuned language model for the test users' next items, beside probes of it, its recommender and counting.

    Several processes share the language model's work, and the main one returns.

    Args:
        params: all of params.yaml.
        artifacts: what is asked.
        folder: where answers are kept until all are there.

    Raises:
        ArtifactError: the adapter doesn't fit params.eval, or the lists that it asks for aren't stored.
    """
    probes = choose_probes(params.eval, artifacts.manifest)
    stored = {split: _stored(params, artifacts, split) for split in ("validation", "test")}
    tuned = load_tuned(params.eval, artifacts)
    respondent = build_respondent(tuned)
    validation, sets = (respondent.choose(stored[split]) for split in ("validation", "test"))
    if params.eval.untuned:
        sets = sets.select(sets.draws < params.eval.draws)  # which are prompts then
    jobs: dict[str, tuple[Answer, CandidateSets]] = {LLARA: (respondent.answer, sets)}
    jobs |= {f"{LLARA}_{probe}": (_probe(probe, tuned, respondent, params.seed), sets) for probe in probes}
    if params.eval.untuned:
        jobs["untuned"] = (load_untuned(tuned).answer, sets)
    if params.eval.method == "scoring":  # only scores can be weighed
        jobs["validation"] = (respondent.answer, validation)
    pieces, seconds = Pieces(folder, evaluation_fingerprint(params, artifacts)), dict[str, float]()
    wait_for_all()  # the main process may have emptied the folder
    for name, (answer, lists) in jobs.items():
        start = time.perf_counter()
        if n_lists := pieces.work(name, answer, lists):
            seconds[name] = (time.perf_counter() - start) / n_lists
    wait_for_all()
    if not is_main_process():
        return None
    found = {name: pieces.collect(name, lists) for name, (_, lists) in jobs.items()}
    weight = _add_others(params, artifacts, sets, found, found.pop("validation", None), validation)
    return Judged(Answered(Asked.of(sets, artifacts.tables.items, artifacts.chosen_by), found), weight, seconds)


def _probe(probe: Probe, tuned: Tuned, respondent: Respondent, seed: int) -> Answer:
    if probe == "candidates_shuffled":
        return partial(answer_shuffled, respondent, seed)
    return build_respondent(probed(probe, tuned, seed)).answer


def _stored(params: Params, artifacts: Artifacts, split: str) -> CandidateSets:
    """Return the lists of a split that params.eval asks for."""
    sets = artifacts.tables.sets.of(split, params.eval.positions)
    if not len(sets):
        raise ArtifactError(
            f"eval.positions must be last where no lists of other positions of {split} are stored (raise "
            f"candidates.all_positions.draws), got {params.eval.positions}"
        )
    examples = np.unique(sets.example_ids)
    if params.eval.limit is None or params.eval.limit >= len(examples):
        return sets
    chosen = random_permutation(_LIMITED, 0, len(examples))[: params.eval.limit]  # whatever seed: as the lists are
    return sets.select(np.isin(sets.example_ids, examples[chosen]))


def _add_others(
    params: Params,
    artifacts: Artifacts,
    sets: CandidateSets,
    found: dict[str, Predictions],
    known: Predictions | None,
    validation: CandidateSets,
) -> float | None:
    """Add all other models' answers to `found`; return the weight that is best for answers `known` on validation."""
    tables, length = artifacts.tables, artifacts.manifest.history_length
    titles, scorers = tables.items.titles_by_id, _scorers(params, artifacts)
    shown = unique_histories(tables.sequences, sets, length)
    for name, score in scorers.items():
        found[name] = answer_by_catalogue(score, tables, sets, *shown, exclude_seen=params.eval.exclude_seen)
    found["random"] = best_of(sets.candidates, _guess(sets, params.seed), titles)
    ours, theirs = found[LLARA].scores, found[RECOMMENDER].scores
    if known is None or known.scores is None or ours is None or theirs is None:
        return None
    beside = list_scores(scorers[RECOMMENDER], tables.sequences, validation, length)
    weight = choose_weight(known.scores, beside, validation.target_indices)
    found[TOGETHER] = best_of(sets.candidates, blend(ours, theirs, weight), titles)
    return weight


def _guess(sets: CandidateSets, seed: int) -> np.ndarray:
    """[R, C] scores without any knowledge."""
    places = np.arange(sets.candidates.shape[1])[None, :]
    return random_shares(random_words(seed, _GUESSES, sets.example_ids[:, None], sets.draws[:, None], places))


def _scorers(params: Params, artifacts: Artifacts) -> dict[str, Scorer]:
    sequences, items = artifacts.tables.sequences, artifacts.tables.items
    training = TrainingSequences(sequences.item_ids, *training_bounds(sequences), n_items=len(items))
    return {
        RECOMMENDER: neural_scorer(artifacts.recommender.to(choose_device())),
        **baseline_scorers(training, items.popularity, params.baselines),
    }
