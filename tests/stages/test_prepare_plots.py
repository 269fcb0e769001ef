"""`dvc plots` with this project's settings, in a repository of plots alone; and its page in a real browser."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from llara_core.evaluation.plots import PLOTS
from llara_core.runtime.curves import write_curve
from stages.prepare_plots import prepare_plots
from tests.conftest import ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NAMES = [name for entry in YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["plots"] for name in entry]
ALONE = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def _rows(x: str, y: str, number: float) -> list[dict[str, Any]]:
    """Two rows with all columns that any of our templates names."""
    both = {"model": "llara", "n_lists": 40, "n_users": 2}
    values = [{x: number + row / 10, y: number + row / 10} for row in range(2)]
    intervals = [{f"{name}{end}": value for name, value in row.items() for end in ("_low", "_high")} for row in values]
    return [{**both, **row, **interval} for row, interval in zip(values, intervals, strict=True)]


def _write_data(folder: Path, number: float) -> None:
    for name, plot in PLOTS.items():
        rows = _rows(plot.x, plot.y, number)
        write_curve(folder / f"data/evaluation/{name}.csv", rows, list(rows[0]))
    for name, columns in (
        ("pretrain", ("epoch", "loss", "validation_ndcg_at_10")),
        ("finetune", ("step", "loss", "validation", "hybrid_probability", "hybrid_share")),
    ):
        rows = [dict.fromkeys(columns, number), dict.fromkeys(columns, number + 1)]
        write_curve(folder / f"data/curves/{name}.csv", rows, columns)


def _run(folder: Path, *command: str) -> str:
    people = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **people, "PATH": path, "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose last commit and work tree have other data."""
    folder = tmp_path_factory.mktemp("plots")
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    pipeline = (ROOT / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(pipeline[pipeline.index("\nplots:") :])
    _write_data(folder, 0.2)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        _run(folder, "git", *command)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepare_plots()
    _write_data(folder, 0.4)
    return folder


def _show(repository: Path, *command: str) -> Path:
    page = _run(repository, "dvc", "plots", *command).split()[-1]
    return Path(page.removeprefix("file://"))


@pytest.fixture(scope="module")
def shown(repository: Path) -> str:
    return _show(repository, "show").read_text()


def test_the_page_holds_all_plots_and_what_draws_them(shown: str) -> None:
    assert shown.count("vegaEmbed('#") == len(NAMES) == 12
    assert shown.count("window.vegaEmbed=") == 1
    assert all(name in shown for name in NAMES)
    assert "{plot_divs}" not in shown
    assert "cdn.jsdelivr" not in shown


def test_the_page_is_found_from_any_folder(repository: Path) -> None:
    assert "window.vegaEmbed=" in _show(repository / "data/curves", "show").read_text()


def _browse(page: Path, profile: Path) -> tuple[str, list[str]]:
    """Open a page in a browser that finds no host; return what the document became, and the console's lines."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium, as Debian's package chromium installs it")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *ALONE]
    told = ["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"]
    hosts = "--host-resolver-rules=MAP * ~NOTFOUND"
    command = [CHROMIUM, *options, hosts, f"--user-data-dir={profile}", *told, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def test_a_browser_draws_every_plot_without_a_network(repository: Path, tmp_path: Path) -> None:
    """With two revisions in each."""
    document, console = _browse(_show(repository, "diff", "HEAD"), tmp_path)
    assert not console
    assert document.count('class="marks"') == len(NAMES)
    assert all(f">{name}</text>" in document for name in NAMES)


def test_the_browser_would_tell_of_a_request(repository: Path, tmp_path: Path) -> None:
    """Without our page DVC's own has Vega's addresses."""
    plain = tmp_path / "plain.html"
    plain.write_text("<html>{scripts}{plot_divs}</html>")
    document, console = _browse(_show(repository, "show", "--html-template", str(plain)), tmp_path / "profile")
    assert 'class="marks"' not in document
    assert any("ERR_NAME_NOT_RESOLVED" in line or "vegaEmbed is not defined" in line for line in console)


def test_our_page_forbids_requests(shown: str, tmp_path: Path) -> None:
    other = tmp_path / "other.html"
    other.write_text(shown.replace("</body>", '<img src="https://example.org/a.png"></body>'))
    _, console = _browse(other, tmp_path / "profile")
    assert any("Content Security Policy" in line for line in console)
