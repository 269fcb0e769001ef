"""params.yaml as `dvc exp run -S …` would leave it."""

import difflib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llara_core.errors import ParamsError
from llara_core.params.loading import describe_problems
from llara_core.params.params import Params


def override(plain: Mapping[str, Any], overrides: Sequence[str], what: str) -> tuple[dict[str, Any], Params]:
    """Apply `overrides` to what params.yaml holds, by DVC's own code: as plain values, and checked.

    Raises:
        ParamsError: one is no override, names no param, or leaves params that can't be used; `what` says whose it is.
    """
    # Not at the top: they take a second to import, and a mistake in experiments.yaml shouldn't wait for them.
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "params.json"  # of which DVC makes the same as of a YAML file, far sooner
        file.write_text(json.dumps(plain), encoding="utf-8")
        try:
            apply_overrides(file, list(overrides))
        except (DvcException, TypeError) as error:  # the latter of a sweep over a range, which is no value
            raise ParamsError(f"{what}: {_problem(plain, overrides, error)}") from error
        changed = json.loads(file.read_text(encoding="utf-8"))
    try:
        return changed, Params.model_validate(changed)
    except ValidationError as error:
        raise ParamsError(f"{what}: {describe_problems(error)}") from error


def name_of(text: str) -> str:
    """Return the param that an override `[+|++|~]NAME[=VALUE]` names."""
    return re.split(r"[=@]", text.lstrip("+~"), maxsplit=1)[0].strip()


def _problem(params: Mapping[str, Any], overrides: Sequence[str], error: Exception) -> str:
    names = list(_names(params))
    added = {name_of(text) for text in overrides if text.startswith("+")}
    for text in overrides:
        if (name := name_of(text)) not in names and name not in added:
            close = difflib.get_close_matches(name, names, n=1)
            return f"{name} is no param{f' (did you mean {close[0]}?)' if close else ''}, got -S {text}"
    return f"-S must be what DVC takes, got {' '.join(overrides)}: {' '.join(str(error.__cause__ or error).split())}"


def _names(params: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all sections and values."""
    for key, value in params.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _names(value, f"{prefix}{key}.")
