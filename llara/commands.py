"""The commands that `llara` has, a line each; a command's module is imported when it is called, not for `--help`."""

from dataclasses import dataclass
from importlib import import_module
from types import FunctionType


@dataclass(frozen=True)
class Entry:
    """A command: its name, where its function is (`module:function`), and the line that `llara --help` shows."""

    name: str
    place: str
    line: str

    def load(self) -> FunctionType:
        """Import the command's function, whose signature is its options and whose docstring is its help."""
        module, _, function = self.place.partition(":")
        found: FunctionType = getattr(import_module(module), function)
        return found


COMMANDS = (
    Entry("recommend", "llara.recommend:recommend", "What comes next after a few titles, and why."),
    Entry("plan", "llara.plan:plan", "What a training will need, and where that fits, before anything is downloaded."),
    Entry("report", "stages.report:report", "A page with what suites of runs allow to conclude."),
    Entry("ask-api", "llara.ask_api:ask_api", "How good another language model is, by an OpenAI-compatible endpoint."),
    Entry("export", "llara.export:export", "The trained model as a plain folder, read without this project."),
    Entry("serve", "llara.serve:serve", "A page and a JSON API over the trained model."),
    Entry("compare", "llara_core.experiments.comparing:compare", "Whether one run or model is better than another."),
)
