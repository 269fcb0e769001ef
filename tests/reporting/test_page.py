"""The page without a browser: what it says, hides, refers to, and how its plots take the page's colours."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llara_core.errors import ArtifactError
from llara_core.plotting.inline import Colours, Figure
from llara_core.reporting.page import Contents, csv_files, render
from llara_core.reporting.section import Block, make_section
from llara_core.reporting.writing import write_report
from tests.reporting.reading import Page, read_page
from tests.reporting.suites import HOSTILE, make_whole_suite

PHONE = 360 - 2 * 16  # pixels between the margins


@pytest.fixture(scope="module")
def contents() -> Contents:
    section = make_section(HOSTILE, make_whole_suite(), "hit_ratio_at_1", 200)
    return Contents([section], {"waiting": f"What of {HOSTILE}?"}, {"checkout": HOSTILE}, HOSTILE)


@pytest.fixture(scope="module")
def html(contents: Contents) -> str:
    return render(contents)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return read_page(html)


def test_hostile_names_are_shown_and_not_run(page: Page, html: str) -> None:
    assert page.elements["script"] == 0
    assert not page.handlers
    for words in (f"Does {HOSTILE} pay?", f"note {HOSTILE}", f"What of {HOSTILE}?", "No result of suite-lost-s0-0"):
        assert words in page.text
    rows = {row[0]: row for row in page.tables["suite/arms.csv"]}
    # 25 and 10 of 30 lists.
    assert rows[HOSTILE][1:4] == ["0.8333", "[0.6644, 0.9266]", "+0.5000"]
    assert rows["base"][1] == "0.3333"
    assert rows["lost"][6] == "failed"
    assert "default-src 'none'" in html


def test_nothing_is_fetched_and_every_link_leads_somewhere(page: Page, contents: Contents) -> None:
    assert not page.fetched
    assert len(page.ids) == len(set(page.ids))
    assert set(page.links) <= set(page.ids)
    assert set(page.files) == set(csv_files(contents))


def test_tables_and_plots_can_be_read_aloud(page: Page, html: str) -> None:
    assert not page.unclosed
    assert not page.unnamed
    assert page.elements["svg"] == page.elements["title"] - 1 == page.elements["desc"] == 9
    assert page.elements["caption"] == page.elements["table"]
    assert set(page.scopes) == {"row", "col"}
    assert page.elements["h1"] == page.elements["main"] == 1
    assert '<html lang="en">' in html
    # The plots' own words have their numbers.
    assert "alert(1)&lt;/script&gt; +0.5000 [+0." in html


def test_plots_take_their_colours_from_the_page_and_fit_a_phone(html: str) -> None:
    drawn = re.findall(r"<svg .*?</svg>", html, re.DOTALL)
    assert len(drawn) == 9
    for svg in drawn:
        paints = set(re.findall(r'(?:fill|stroke)="([^"]*)"', svg))
        assert {paint for paint in paints if not paint.startswith("var(--")} <= {"none", "transparent"}
        assert "var(--ink)" in paints
        box = re.search(r'viewBox="0 0 ([\d.]+) ', svg)
        assert box
        assert float(box[1]) <= PHONE * 1.05  # else its words would shrink
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style
    light, dark = style[1].split("@media (prefers-color-scheme: dark)")
    names = set(re.findall(r"var\((--[a-z]+)\)", html))
    assert names <= set(re.findall(r"(--[a-z]+):", light))
    colours = set(re.findall(r"(--[a-z]+): #", light))
    assert colours == set(re.findall(r"(--[a-z]+): #", dark))
    assert "overflow-x: auto" in style[1]  # wide tables scroll by themselves


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_words_stand_out_from_the_ground(html: str, mode: str) -> None:
    """WCAG 2.1: a contrast of 4.5 for text."""
    light, dark = html.split("@media (prefers-color-scheme: dark)")[:2]
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", light if mode == "light" else dark))

    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for name in ("ink", "muted", "accent", "second", "good", "bad"):
        bright, dim = sorted((luminance(colours[name]), luminance(colours["ground"])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, name


def test_equal_contents_give_equal_bytes(contents: Contents, html: str) -> None:
    assert render(contents) == html


def _write(folder: Path, contents: Contents, **options: bool) -> list[str]:
    write_report(folder, contents, **({"pictures": False, "latex": False} | options))
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_on_request(tmp_path: Path, contents: Contents) -> None:
    plain = _write(tmp_path / "report", contents)
    assert plain == sorted(["index.html", "report.json", *csv_files(contents)])
    more = _write(tmp_path / "report", contents, pictures=True, latex=True)
    pictures = {f"suite/{figure.key}.png" for figure in contents.sections[0].figures}
    assert set(more) - set(plain) == pictures | {"suite/arms.tex"}
    assert _write(tmp_path / "report", contents) == plain


def test_a_report_replaces_a_report_and_nothing_else(tmp_path: Path, contents: Contents) -> None:
    (tmp_path / "empty").mkdir()
    assert _write(tmp_path / "empty", contents)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "index.html").write_text("<title>mine</title>")
    (tmp_path / "file").write_text("mine")
    for name in ("own", "file"):
        with pytest.raises(ArtifactError, match=f"{name}: must be a folder that this command has written, or none"):
            _write(tmp_path / name, contents)
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["index.html"]


@pytest.mark.parametrize("name", ["thesis.tex", "suite/notes.txt", "drafts/arms.csv", "link"])
def test_what_others_put_beside_a_report_is_never_lost(tmp_path: Path, contents: Contents, name: str) -> None:
    before = _write(tmp_path / "report", contents, pictures=True)
    theirs = tmp_path / "report" / name
    theirs.parent.mkdir(exist_ok=True)
    theirs.symlink_to("/not/there") if name == "link" else theirs.write_text("years of work")
    with pytest.raises(ArtifactError, match=f"{name}: must not be there, for no report wrote it"):
        _write(tmp_path / "report", contents)
    assert theirs.is_symlink() or theirs.read_text() == "years of work"
    theirs.unlink()
    assert len(_write(tmp_path / "report", contents)) < len(before)


def test_a_saved_copy_of_the_page_makes_a_folder_no_report(tmp_path: Path, contents: Contents) -> None:
    _write(tmp_path / "report", contents)
    (tmp_path / "mine").mkdir()
    shutil.copyfile(tmp_path / "report" / "index.html", tmp_path / "mine" / "index.html")
    with pytest.raises(ArtifactError, match="index.html: must not be there"):
        _write(tmp_path / "mine", contents)


def test_what_fails_leaves_the_last_report(tmp_path: Path, contents: Contents) -> None:
    before = _write(tmp_path / "report", contents)

    def fail(colours: Colours) -> dict[str, Any]:
        raise KeyError(colours["ink"])

    figure = Figure("key", "title", "words", fail, "arms")
    section = replace(contents.sections[0], answer=Block("", [], [figure], contents.sections[0].answer.tables))
    with pytest.raises(KeyError):
        _write(tmp_path / "report", replace(contents, sections=[section]))
    assert (
        sorted(path.relative_to(tmp_path / "report").as_posix() for path in (tmp_path / "report").rglob("*.*"))
        == before
    )
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
