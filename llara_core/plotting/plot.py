"""One plot: rows drawn by a template of .dvc/plots, as `dvc plots show` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llara_core.plotting.vega import picture

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Plot:
    """What dvc.yaml says of a plot too.

    Attributes:
        title: its name there.
        template: a Vega-Lite file of .dvc/plots, without its ending.
        x: column on the horizontal axis.
        x_label: the axis' title.
        y: column on the vertical axis.
        y_label: the axis' title.
    """

    title: str
    template: str
    x: str
    x_label: str
    y: str
    y_label: str

    def draw(self, rows: Rows, templates: Path, caption: Sequence[str]) -> bytes:
        """Return a PNG of the rows.

        Args:
            rows: at least one, with the columns that the template names.
            templates: the folder .dvc/plots.
            caption: lines under the title, after the template's own.
        """
        from dvc_render import VegaRenderer

        of_one_revision = [{**row, "rev": "workspace"} for row in rows]  # as DVC calls what isn't committed
        renderer = VegaRenderer(
            of_one_revision,
            self.title,
            title=self.title,
            template=self.template,
            template_dir=str(templates),
            x=self.x,
            y=self.y,
            x_label=self.x_label,
            y_label=self.y_label,
        )
        specification = renderer.get_filled_template()
        title = specification["title"]
        return picture({**specification, "title": {**title, "subtitle": [*title["subtitle"], *caption]}})
