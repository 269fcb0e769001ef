"""The frame around every command: logging, and one-line errors instead of tracebacks for what the user can mend."""

import errno
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial

from safetensors import SafetensorError

from llara_core.errors import LlaraError
from llara_core.runtime.division import take_over_division
from llara_core.runtime.failing import is_first_to_fail
from llara_core.runtime.logs import set_up_logging
from llara_core.runtime.processes import n_processes

Report = Callable[[LlaraError], None]
"""Is told of the error that ends a command, beside the line on stderr."""


def run_program(program: Callable[[], object], report: Report = lambda _: None) -> None:
    """Run a Typer program; a user's error ends it with one line on stderr and the error's own status.

    Of processes that work together the first to fail speaks, and the others end in silence.

    Args:
        program: ends by SystemExit, as Typer ends every program.
        report: what else is done about an error.
    """
    set_up_logging()
    _speak_any_encoding()
    try:
        take_over_division()
        _run_and_flush(program)
    except SystemExit as ended:
        if not ended.code:
            _leave_other_processes()
        raise
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if isinstance(error, BrokenPipeError):  # whoever read has had enough
            _drop_output()
            sys.exit(1)
        mendable = _mendable(error)
        if not is_first_to_fail():
            sys.exit(1)
        if mendable is None:
            raise
        bar = "\n" if n_processes() > 1 else ""  # another process's progress bar, which nobody ends
        print(f"{bar}error: {mendable}", file=sys.stderr)
        try:
            _run_and_flush(partial(report, mendable))
        except OSError:  # what can't be written may be the report itself
            _drop_output()
        sys.exit(mendable.exit_code)


def _run_and_flush(program: Callable[[], object]) -> None:
    """Run it, and write what it has printed now, where failing to is told in a line."""
    try:
        program()
    finally:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.flush()


def _drop_output() -> None:
    """Lead stdout nowhere: the interpreter's end would stumble over what it can't write (status 120)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def print_json(content: Mapping[str, object]) -> None:
    """Print a JSON document; where stdout can't encode all characters, as escapes, which lose nothing as "?" would."""
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(content, indent=2, ensure_ascii=ascii_only, allow_nan=False))


def _mendable(error: Exception) -> LlaraError | None:
    """What a user can mend of an error, in words; None where it is ours to mend."""
    match error:
        case LlaraError():
            return error
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EACCES | errno.EROFS):
            return LlaraError(f"{error.filename or 'writing an artifact'}: {error.strerror}")
        case SafetensorError() if "os error" in str(error):  # carries the system's message, but is no OSError
            return LlaraError(f"writing weights: {error}")
    return None


def _leave_other_processes() -> None:
    """Take leave of processes that this one worked with: threads that listen to them would abort the program's end."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _speak_any_encoding() -> None:
    """Print "?" for what stdout can't encode (− and – in ASCII, a folder's stray bytes anywhere), and no traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
