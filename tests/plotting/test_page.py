from pathlib import Path

import pytest

from llara_core.errors import ArtifactError
from llara_core.plotting import page
from llara_core.plotting.page import offline_page
from tests.conftest import ROOT


def test_vega_stands_in_the_page_and_nothing_comes_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "javascript", lambda: "const vega = 1;")
    text = offline_page(ROOT / ".dvc/plots/page.html")
    assert "<script>const vega = 1;</script>" in text
    assert "default-src 'none'" in text
    for attribute in ("src=", "href=", "@import", "url("):
        assert attribute not in text
    for place in ("{plot_divs}", "{refresh_tag}"):
        assert text.count(place) == 1
    assert "{scripts}" not in text  # where DVC would put addresses of Vega


@pytest.mark.parametrize(("text", "found"), [("<html>{plot_divs}</html>", 0), ("{vega}{vega}", 2)])
def test_a_template_without_a_place_for_vega_is_refused(tmp_path: Path, text: str, found: int) -> None:
    (tmp_path / "page.html").write_text(text)
    with pytest.raises(ArtifactError, match=rf"page.html must hold {{vega}} once, got it {found} times"):
        offline_page(tmp_path / "page.html")


def test_without_a_template_the_error_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"page.html: no such file; run this in the repository's root"):
        offline_page(tmp_path / "page.html")
