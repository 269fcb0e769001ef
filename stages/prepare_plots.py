"""Stage prepare_plots: the page in which `dvc plots` shows its plots, with all that draws them inside."""

from llara_core.plotting.page import offline_page
from llara_core.runtime.files import atomic_file
from llara_core.runtime.paths import PLOT_PAGE, PLOT_TEMPLATES
from stages.command import run


def prepare_plots() -> None:
    """Write data/plots/page.html, which `.dvc/config` names: .dvc/plots/page.html with Vega's JavaScript.

    What `dvc plots show` and `dvc plots diff` write by it opens without a network.
    """
    page = offline_page(PLOT_TEMPLATES / PLOT_PAGE.name)
    with atomic_file(PLOT_PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(prepare_plots)
