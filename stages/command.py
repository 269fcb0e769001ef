"""The frame around every stage: logging, and one-line errors instead of tracebacks for what the user can mend."""

import errno
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from safetensors import SafetensorError

from llara_core.errors import LlaraError
from llara_core.runtime.logs import set_up_logging

ParamsPath = Annotated[Path, typer.Option("--params", help="The params file; every knob stands in it.")]
PARAMS = Path("params.yaml")


def run(command: Callable[..., None]) -> None:
    """Run `command` as a Typer program; a user's error ends it with one line and status 1."""
    set_up_logging()
    _speak_any_encoding()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app()
    except SystemExit as ended:  # as Typer ends every program
        if not ended.code:
            _leave_other_processes()
        raise
    except LlaraError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        _fail(f"{error.filename or 'writing an artifact'}: {error.strerror}")
    except SafetensorError as error:  # carries the system's message, but is no OSError
        if "os error" not in str(error):
            raise
        _fail(f"writing weights: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _leave_other_processes() -> None:
    """Take leave of processes that this one worked with: threads that listen to them would abort the program's end."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _speak_any_encoding() -> None:
    """Print "?" for what stdout can't encode (− and – in ASCII, a folder's stray bytes anywhere), and no traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)
