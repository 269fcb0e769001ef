"""Probes: the same lists asked with one thing taken away, to see what an answer rests on."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from llara_core.errors import ArtifactError
from llara_core.hybrid.adapter import AdapterManifest
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.asking import Advance, Respondent, Tuned, ignore
from llara_core.params.projector import ADDITIVE
from llara_core.params.sections import Eval, Probe
from llara_core.prompting.segments import Mode
from llara_core.sequences.random_words import random_permutation, random_shares, random_words
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import PADDING_ID
from llara_core.tables.predictions import Predictions

_STREAM = 0x50726F62  # "Prob": keeps these words apart from others


def choose_probes(params: Eval, manifest: AdapterManifest) -> list[Probe]:
    """Return the probes of params that change something.

    Raises:
        ArtifactError: the adapter's objective can't be asked so.
    """
    if "history_removed" in params.probes and manifest.objective == "stream":
        raise ArtifactError(
            "eval.probes must not hold history_removed for an adapter trained by stream, whose answer is the state "
            "behind the latest item"
        )
    if "id" in params.probes and manifest.fusion.kind in ADDITIVE:
        raise ArtifactError(
            f"eval.probes must not hold id for an adapter of fusion.kind {manifest.fusion.kind}, whose behavioural "
            "tokens are added to the words of titles, and mean nothing without any"
        )
    mode = manifest.choose_mode(params.mode)
    idle: set[Probe] = {mode}
    if mode == "text":
        idle |= {"vectors_shuffled", "vectors_zeroed"}
    if manifest.objective == "stream":  # which never sees the candidates
        idle.add("candidates_shuffled")
    return [probe for probe in params.probes if probe not in idle]


def probed(probe: Probe, tuned: Tuned, seed: int) -> Tuned:
    """Return what is asked instead of `tuned` for any probe but candidates_shuffled; its weights are shared."""
    if probe in ("text", "hybrid", "id"):
        mode: Mode = probe
        return replace(tuned, mode=mode)
    if probe in ("vectors_shuffled", "vectors_zeroed"):
        vectors = tuned.hybrid.item_embeddings
        order = 1 + random_permutation(seed, _STREAM, len(vectors) - 1)
        other = torch.zeros_like(vectors)
        if probe == "vectors_shuffled":
            other[1:] = vectors[torch.from_numpy(order).to(vectors.device)]
        hybrid = tuned.hybrid
        return replace(tuned, hybrid=HybridCausalLM(hybrid.llm, hybrid.projector, hybrid.fusion, other).eval())
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "history_shuffled": lambda shown: shuffle_histories(shown, seed),
        "history_removed": lambda shown: np.full_like(shown, PADDING_ID),
    }
    return replace(tuned, rearrange=changes[probe])


def answer_shuffled(respondent: Respondent, seed: int, sets: CandidateSets, advance: Advance = ignore) -> Predictions:
    """Ask about R lists in another order; scores come back in the stored one."""
    columns = np.arange(sets.candidates.shape[1])[None, :]
    words = random_words(seed, _STREAM, sets.example_ids[:, None], sets.draws[:, None], columns)
    order = np.argsort(words, axis=1, kind="stable")
    other = replace(sets, candidates=np.take_along_axis(sets.candidates, order, axis=1))
    found = respondent.answer(other, advance)
    if found.scores is None:
        return found
    scores = np.empty_like(found.scores)
    np.put_along_axis(scores, order, found.scores, axis=1)
    return replace(found, scores=scores)


def shuffle_histories(shown: np.ndarray, seed: int) -> np.ndarray:
    """Put the items of each history [E, L] into an order drawn from the history alone; padding stays on the left."""
    columns = np.arange(shown.shape[1])[None, :]
    words = random_words(seed, _STREAM, *(shown[:, [place]] for place in range(shown.shape[1])), columns)
    order = np.argsort(random_shares(words) + (shown != PADDING_ID), axis=1, kind="stable")
    return np.take_along_axis(shown, order, axis=1)
