"""The page in headless Chromium, beside pages that show that the browser would tell what is wrong."""

from pathlib import Path

import pytest

from llara_core.reporting.page import Contents
from llara_core.reporting.section import make_section
from llara_core.reporting.writing import write_report
from tests.reporting.browser import NO_CHROMIUM, chromium, open_page
from tests.reporting.reading import read_page
from tests.reporting.suites import HOSTILE, make_whole_suite

pytestmark = pytest.mark.skipif(chromium() is None, reason=NO_CHROMIUM)
# The frame is as wide as a phone, whatever the least width of a browser's window is.
FRAME = """<!doctype html><body style="margin:0">
<iframe id="phone" src="{name}" style="width:360px;height:800px;border:0"></iframe>
<script>
document.getElementById("phone").onload = (event) => {
  const page = event.target.contentDocument;
  for (const part of page.querySelectorAll("details")) part.open = true;
  document.body.dataset.width = page.documentElement.scrollWidth;
  document.body.dataset.ground = getComputedStyle(page.body).backgroundColor;
};
</script>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page") / "report"
    section = make_section(HOSTILE, make_whole_suite(), "hit_ratio_at_1", 200)
    write_report(place, Contents([section], {}, {"checkout": HOSTILE}, "HitRatio@1"), pictures=False, latex=False)
    (place / "frame.html").write_text(FRAME.replace("{name}", "index.html"))
    (place / "wide.html").write_text("<!doctype html><body style='margin:0'><div style='width:900px'>wide</div>")
    (place / "wide-frame.html").write_text(FRAME.replace("{name}", "wide.html"))
    (place / "wrong.html").write_text(
        "<!doctype html><body><img src=missing.png><img src=https://example.org/x.png><script>console.error('oh')</script>"
    )
    return place


def test_it_asks_for_nothing_and_complains_of_nothing(folder: Path, tmp_path: Path) -> None:
    opened = open_page(folder, "index.html", tmp_path)
    assert opened.requests == ["/index.html"]
    assert opened.said == []
    page = read_page(opened.dom)
    assert page.elements["script"] == 0
    assert {row[0]: row[1] for row in page.tables["suite/arms.csv"]}[HOSTILE] == "0.8333"
    assert page.elements["svg"] == 9


def test_the_browser_would_tell(folder: Path, tmp_path: Path) -> None:
    opened = open_page(folder, "wrong.html", tmp_path)
    assert "/missing.png" in opened.requests
    assert any("oh" in line for line in opened.said)


def test_it_is_as_wide_as_a_phone(folder: Path, tmp_path: Path) -> None:
    assert 'data-width="360"' in open_page(folder, "frame.html", tmp_path / "a").dom
    assert 'data-width="900"' in open_page(folder, "wide-frame.html", tmp_path / "b").dom
