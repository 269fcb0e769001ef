"""Stage candidates: the lists that evaluation asks about, drawn once the recommender is trained."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.runtime.files import atomic_directory, write_metrics
from llara_core.runtime.logs import LOGGER
from llara_core.runtime.paths import CANDIDATES, METRICS, PROCESSED, RECOMMENDER
from llara_core.sequences.report import describe_lists
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.processed import CANDIDATES as STORED
from llara_core.tables.processed import Processed, read_processed
from stages.command import PARAMS, ParamsPath, run


def candidates(params_path: ParamsPath = PARAMS) -> None:
    """Lay out the lists that evaluation asks about.

    With candidates.negatives hard, the negatives of the lists in data/processed are exchanged for items that the model
    in data/recommender likes; all else about them stays. With any other rule the lists are passed on as they are.
    Writes data/candidates and metrics/candidates.json.
    """
    params = load_params(params_path)
    tables, rule = read_processed(PROCESSED), params.candidates.negatives
    with atomic_directory(CANDIDATES.parent) as folder:
        if rule == "hard":
            sets, columns = _write_hard(params, tables, folder / CANDIDATES.name)
        else:
            shutil.copyfile(PROCESSED / STORED, folder / CANDIDATES.name)
            sets, columns = tables.sets, dict[str, np.ndarray]()
    write_metrics(METRICS / "candidates.json", {"negatives": rule, **describe_lists(sets, tables.items, columns)})
    LOGGER.info("%d lists with negatives by the rule %s", len(sets), rule)


def _write_hard(params: Params, tables: Processed, path: Path) -> tuple[CandidateSets, Mapping[str, np.ndarray]]:
    # Not at the top: all other rules, and --help, shouldn't wait for the libraries.
    from llara_core.evaluation.hard_lists import draw_hard_lists
    from llara_core.recommenders.ranking import neural_scorer
    from llara_core.recommenders.saving import load_recommender
    from llara_core.runtime.compute import choose_device
    from llara_core.tables.asked_lists import write_hard_lists

    model, lineage = load_recommender(RECOMMENDER, tables.lineage)
    score = neural_scorer(model.double().to(choose_device()))
    pool, length = params.candidates.hard.pool, params.split.history_length
    lists = draw_hard_lists(score, tables, params.candidates.seed, pool, length)
    write_hard_lists(path, lists.sets, tables, lineage["recommender"])
    return lists.sets, {"pool_size": lists.pool_sizes, "targets_in_pool": lists.targets_in_pool}


if __name__ == "__main__":
    run(candidates)
