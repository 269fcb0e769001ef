"""Recommenders that count: popularity, and a Markov chain that backs off to it."""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from llara_core.params.sections import Baselines
from llara_core.recommenders.ranking import Scorer
from llara_core.recommenders.windows import TrainingSequences
from llara_core.tables.items import PADDING_ID


def popularity_scorer(popularity: np.ndarray) -> Scorer:
    """The same scores for everyone: training interactions [n + 1] by item id."""
    scores = popularity.astype(np.float32)
    scores[PADDING_ID] = -np.inf

    def score(histories: np.ndarray) -> Tensor:
        return torch.from_numpy(np.tile(scores, (len(histories), 1)))

    return score


def count_successors(sequences: TrainingSequences, reach: int) -> sparse.csr_array:
    """[n + 1, n + 1] how often the column's item came within `reach` steps after the row's."""
    n = sequences.n_items + 1
    counts = sparse.csr_array((n, n), dtype=np.float64)
    lengths = sequences.ends - sequences.starts
    inside = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = inside + np.repeat(sequences.starts, lengths)
    left = np.repeat(lengths, lengths) - inside  # items from this one to its sequence's end
    for step in range(1, reach + 1):
        at = place[left > step]
        pairs = (sequences.item_ids[at], sequences.item_ids[at + step])
        counts += sparse.coo_array((np.ones(len(at)), pairs), shape=(n, n)).tocsr()
    return counts


def markov_scorer(sequences: TrainingSequences, params: Baselines) -> Scorer:
    """A first-order Markov chain from each of the latest items, backing off to popularity.

    An item i gives j the probability (c_ij + μ p_j) / (c_i + μ), with c the successors counted in training, p the
    popularity there and μ = `smoothing` (Dirichlet smoothing; Zhai & Lafferty 2004,
    https://doi.org/10.1145/984321.984322). The latest `context` items are mixed with weights 1, `decay`, `decay`², ….
    """
    counts = count_successors(sequences, params.reach)
    totals = np.asarray(counts.sum(axis=1)).ravel() + params.smoothing
    shares = np.asarray(counts.sum(axis=0)).ravel()
    shares = shares / shares.sum()

    def score(histories: np.ndarray) -> Tensor:
        recent = histories[:, -params.context :]
        weights = np.where(recent != PADDING_ID, params.decay ** np.arange(recent.shape[1])[::-1], 0.0)
        weights = weights / weights.sum(axis=1, keepdims=True) / totals[recent]
        rows = np.repeat(np.arange(len(recent)), recent.shape[1])
        mixed = sparse.coo_array(
            (weights.ravel(), (rows, recent.ravel())), shape=(len(recent), counts.shape[0])
        ).tocsr()
        scores = (mixed @ counts).toarray() + params.smoothing * weights.sum(axis=1, keepdims=True) * shares
        scores[:, PADDING_ID] = -np.inf
        return torch.from_numpy(scores)

    return score
