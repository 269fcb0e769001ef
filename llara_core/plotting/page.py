"""The page that `dvc plots show` fills with its plots: Vega stands in it, so it opens without a network."""

from pathlib import Path

from llara_core.errors import ArtifactError
from llara_core.plotting.vega import javascript

_PLACE = "{vega}"


def offline_page(template: Path) -> str:
    """Return the template with Vega in place of `{vega}`; its other places are DVC's to fill.

    Raises:
        ArtifactError: there is no template, or it doesn't have that place once.
    """
    if not template.is_file():
        raise ArtifactError(f"{template}: no such file; run this in the repository's root")
    page = template.read_text(encoding="utf-8")
    if (found := page.count(_PLACE)) != 1:
        raise ArtifactError(f"{template} must hold {_PLACE} once, got it {found} times")
    return page.replace(_PLACE, javascript())
