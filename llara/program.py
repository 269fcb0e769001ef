"""`llara`: one program of all commands, with shell completion, and errors as JSON where JSON was asked for."""

import sys
import warnings
from typing import Any

import typer
from typer.core import TyperGroup

from llara.commands import COMMANDS, Entry
from llara_core.errors import LlaraError
from llara_core.runtime.program import print_json, run_program

_HELP = """Recommend with a trained LLaRA, look into it, and hand it on.

Commands read what `make repro` (or `dvc repro`) has left in data/, and so run in the repository's root.
`--json` prints one JSON document to stdout instead of text; an error that you can mend is one too,
`{"error": {"type": …, "message": …}, "exit_code": …}`. Progress, notes and one-line errors go to stderr.
"""
_EPILOG = """Exit codes: 0 all is well; 1 an error that you can mend, in one line on stderr; 2 a command, option or
argument that doesn't exist; 3 a question: a title is ambiguous, and nothing was guessed; 4 and 5 of
`plan`: it fits on a larger card than this machine, or on none; 130 interrupted.

`llara --install-completion` teaches your shell to complete commands and options."""
_ENTRIES = {entry.name: entry for entry in COMMANDS}


class Program(TyperGroup):
    """All commands; the one that is called is loaded, and the others are only lines of the help."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load the command that the first argument names; a name that doesn't exist is refused as Typer does it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else load_command(_ENTRIES[name]), rest


def load_command(entry: Entry) -> Any:
    """Make Typer's command of an entry's function."""
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    single.command(entry.name)(entry.load())
    return typer.main.get_command(single)


def build_program() -> typer.Typer:
    """Make the program, with a line for each command."""
    app = typer.Typer(
        cls=Program,
        help=_HELP,
        epilog=_EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(lambda: None)  # a group even while it has one command
    for entry in COMMANDS:
        app.command(entry.name, help=entry.line)(lambda: None)
    return app


def print_error(error: LlaraError) -> None:
    """Print an error as JSON to stdout, where `--json` is among the arguments."""
    if "--json" in sys.argv[1:]:
        told = {"type": type(error).__name__, "message": str(error), **error.details}
        print_json({"error": told, "exit_code": error.exit_code})


def main() -> None:
    """Run the program; the entry point `llara`."""
    warnings.simplefilter("ignore", FutureWarning)  # what libraries have to say to one another
    run_program(build_program(), print_error)
