"""The tables of licences in the documentation say what the code says."""

import re

import pytest

from llara_core.datasets import licences
from llara_core.datasets.licences import Licence
from llara_core.datasets.sources import SOURCES, amazon_source
from llara_core.exporting.base_licences import licence_of
from llara_core.exporting.dataset_terms import terms_of
from llara_core.params.params import Params
from tests.conftest import ROOT


def _rows(document: str, first_column: str) -> dict[str, list[str]]:
    """Return a table's rows by their first cell."""
    text = (ROOT / document).read_text(encoding="utf-8")
    table = text[text.index(f"| {first_column} |") :].split("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0]: row[1:] for row in cells}


def test_the_readme_s_table(params: Params) -> None:
    rows = _rows("README.md", "what")
    licence = SOURCES["ml-100k"].licence
    shown = rows["MovieLens-100K"][1]
    assert shown.startswith(licence.short)
    [terms] = re.findall(r"\((https://[^)]*)\)", shown)
    assert terms in str(licence)
    assert rows["SmolLM2-135M-Instruct"][1] == licence_of(params.llms["smollm2-135m"]).name
    assert rows["Llama-2-7B"][1] == licence_of(params.llms["llama-2-7b"]).name


def test_the_table_of_all_datasets(params: Params) -> None:
    rows, told = _rows("docs/data.md", "entry"), "nothing yet"
    known = {name: terms_of(name, entry).licence for name, entry in params.datasets.items()}
    seen = set()
    for names, row in rows.items():
        told = told if row[1] == "the same" else row[1]
        for name in re.findall(r"`([^`]*)`", names):
            seen.add(name)
            if not name.startswith("llara-release"):  # two, of which one row tells
                assert told == known[name].short, name
    assert rows["`llara-release-lastfm`, `llara-release-movielens`"][1] == licences.LLARA_RELEASE_MOVIELENS.short
    assert seen == set(known)


OF_TABLE = {
    "MovieLens of all sizes": [SOURCES[f"ml-{size}"].licence for size in ("100k", "1m", "20m", "25m", "32m")],
    "Steam": [SOURCES["steam"].licence],
    "LastFM (HetRec 2011)": [SOURCES["lastfm"].licence],
    "Amazon Reviews 2023": [amazon_source("Books").licence],
    "the LLaRA authors' frames of LastFM": [SOURCES["llara_release"].licence],
    "the LLaRA authors' frames of MovieLens": [SOURCES["llara_release_movielens"].licence],
    "your own": [licences.OWN],
}


def test_the_table_of_what_may_be_handed_on() -> None:
    assert {name: row[0] for name, row in _rows("docs/exporting.md", "data").items()} == {
        name: found[0].short for name, found in OF_TABLE.items()
    }
    assert sum(len(found) for found in OF_TABLE.values()) == len(SOURCES) + 2


@pytest.mark.parametrize(("name", "found"), OF_TABLE.items())
def test_what_may_be_handed_on(name: str, found: list[Licence]) -> None:
    told = {"refused": False, "written": True}[_rows("docs/exporting.md", "data")[name][1]]
    assert {licence.may_be_handed_on for licence in found} == {told}
    permitted = name in ("the LLaRA authors' frames of LastFM", "your own")
    assert told == permitted  # MovieLens' and others' don't permit it, whatever table and code agree on
