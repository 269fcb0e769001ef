"""Command compare: whether one variant is better than another, or that can't be told."""

from typing import Annotated

import typer

from llara_core.evaluation.comparison import RESAMPLES
from llara_core.evaluation.comparison_report import report
from llara_core.evaluation.per_list import metric as metric_of
from llara_core.experiments.comparison_tables import print_report
from llara_core.experiments.variants import Found, parse_variants, read_source, read_variant
from llara_core.runtime.program import print_json


def compare(
    variants: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]SOURCE[,SOURCE…][#MODEL]…",
            help="Two or more. A source is a folder of predictions, `workspace`, or a DVC revision or experiment; "
            "several are one variant with several seeds. #MODEL goes before --model.",
        ),
    ],
    metric: Annotated[str, typer.Option(help="What is compared, a value a list.")] = "hit_ratio_at_1",
    model: Annotated[str, typer.Option(help="Whose predictions.")] = "llara",
    slices: Annotated[bool, typer.Option(help="Also by the items before the target, and by its popularity.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the bootstrap.")] = RESAMPLES,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
) -> None:
    """Say which of several variants is better on the same lists, by how much, and how sure that is."""
    metric_of(metric)  # before anything is fetched
    named = parse_variants(variants, model)
    found: dict[str, Found] = {}
    for source in dict.fromkeys(source for variant in named for source in variant.sources):
        found[source] = read_source(source)
    read = [read_variant(variant, [found[source] for source in variant.sources], metric) for variant in named]
    result = report(read, metric, with_slices=slices, seed=seed, n_resamples=resamples)
    if as_json:
        options = {"bootstrap_seed": seed, "resamples": resamples}
        print_json({**result.as_json(), **options})
    else:
        print_report(result)
