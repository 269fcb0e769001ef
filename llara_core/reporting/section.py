"""A suite's part of the page: what was asked, what came out, and everything that it rests on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llara_core.plotting.inline import Figure
from llara_core.reporting.conclusion import Scope, conclude
from llara_core.reporting.crossover import crossover_in_words
from llara_core.reporting.curves import curve_rows
from llara_core.reporting.figures import (
    arms_figure,
    cost_figure,
    curve_figures,
    differences_figure,
    parts_figure,
    recommender_figure,
)
from llara_core.reporting.judgement import Judged, judge
from llara_core.reporting.origin import digests_table, machines_table, runs_table
from llara_core.reporting.param_differences import params_table, unexplained
from llara_core.reporting.results import SuiteResults
from llara_core.reporting.table import Table, listed
from llara_core.reporting.tables import (
    arms_table,
    costs_table,
    parts_table,
    recommender_table,
)


@dataclass(frozen=True)
class Block:
    """Tables and plots under one heading; `words` stand before them."""

    title: str
    words: Sequence[str]
    figures: Sequence[Figure]
    tables: Sequence[Table]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: its anchor, and the folder of its files.
        title: its heading.
        question: that it answers.
        conclusion: in one sentence.
        details: what is said of each pair.
        notes: what a reader must know.
        failures: what runs without results say, and their names.
        answer: the tables and plots that the conclusion rests on.
        blocks: everything else.
    """

    key: str
    title: str
    question: str
    conclusion: str
    details: Sequence[str]
    notes: Sequence[str]
    failures: Mapping[str, Sequence[str]]
    answer: Block
    blocks: Sequence[Block]

    @property
    def tables(self) -> list[Table]:
        """All of them."""
        return [table for block in (self.answer, *self.blocks) for table in block.tables]

    @property
    def figures(self) -> list[Figure]:
        """All of them."""
        return [figure for block in (self.answer, *self.blocks) for figure in block.figures]


def make_section(title: str, suite: SuiteResults, metric: str, n_resamples: int) -> Section:
    """Judge a suite and lay out all that can be said of it."""
    judged = judge(suite, metric, n_resamples)
    arms = arms_table(suite, judged)
    blocks = [_parts(suite, judged), _recommender(suite, judged), _curves(suite), _costs(suite, judged), _params(suite)]
    compared = judged.outcome.compared
    return Section(
        suite.name,
        title,
        suite.question,
        conclude(judged.outcome, Scope(suite.baseline, suite.examples, judged.left_out)),
        [pair.words for pair in compared.pairs] if compared else [],
        [*_notes(suite, judged), *(compared.notes if compared else [])],
        _failures(suite),
        Block("", [], _there(differences_figure(suite, arms, judged), arms_figure(suite, arms, judged)), [arms]),
        [*(block for block in blocks if block.tables), _origin(suite)],
    )


def _failures(suite: SuiteResults) -> dict[str, list[str]]:
    """Runs that say why they have no results, by what they say: many fail alike."""
    found: dict[str, list[str]] = {}
    for run in suite.runs:
        if run.status == "failed" or run.why:
            found.setdefault("\n".join(run.why), []).append(run.name)
    return found


def _there(*figures: Figure | None) -> list[Figure]:
    return [figure for figure in figures if figure is not None]


def _notes(suite: SuiteResults, judged: Judged) -> Iterator[str]:
    yield from suite.notes
    for arm, why in judged.reasons.items():
        if arm != suite.baseline:
            yield f"{arm} stands beside the others, without a difference: {why}."
    for arm, why in judged.left_out.items():
        yield f"{arm} has no result here: it {why}."
    for arm in judged.variants:
        if lost := [run for run in suite.runs if run.arm == arm and run.answers is None]:
            yield f"{arm} lacks {listed([f'seed {run.seed} ({run.status})' for run in lost])}."
    if strange := unexplained(suite, params_table(suite)):
        yield f"Params differ between arms though no override of theirs names them: {listed(strange)}."


def _parts(suite: SuiteResults, judged: Judged) -> Block:
    by_length, by_popularity = (
        parts_table(property_, suite.baseline, judged) for property_ in ("history_length", "target_n_train")
    )
    figures = _there(
        parts_figure(suite, by_length, "history_length", judged),
        parts_figure(suite, by_popularity, "target_n_train", judged),
    )
    words = [
        crossover_in_words(arm, suite.baseline, pair.slices["target_n_train"]) for arm, pair in judged.pairs.items()
    ]
    return Block(
        "By length of the history and popularity of the target", words, figures, _filled(by_length, by_popularity)
    )


def _recommender(suite: SuiteResults, judged: Judged) -> Block:
    table = recommender_table(judged)
    words = [
        crossover_in_words(arm, "its recommender", parts["target_n_train"])
        for arm, parts in judged.beside_recommender.items()
    ]
    return Block(
        "Beside the recommender alone", words, _there(recommender_figure(suite, table, judged)), _filled(table)
    )


def _curves(suite: SuiteResults) -> Block:
    table = Table("curves", "Training curves of all runs, step by step", [], curve_rows(suite.runs))
    return Block("Training curves", [], curve_figures(suite, table.key), _filled(table))


def _costs(suite: SuiteResults, judged: Judged) -> Block:
    table = costs_table(suite, judged)
    if all(row["examples"] is None for row in table.rows):
        return Block("Cost against quality", [], [], [])
    return Block("Cost against quality", [], _there(cost_figure(suite, table, judged)), _filled(table))


def _params(suite: SuiteResults) -> Block:
    table = params_table(suite)
    words = [f"For all arms: {', '.join(suite.everywhere)}."] if suite.everywhere else []
    return Block("Params that differ", words, [], [table] if len(table.columns) > 1 else [])


def _origin(suite: SuiteResults) -> Block:
    tables = _filled(runs_table(suite), digests_table(suite), machines_table(suite))
    return Block("Runs, machine and hashes", [], [], tables)


def _filled(*tables: Table) -> list[Table]:
    return [table for table in tables if table.rows]
