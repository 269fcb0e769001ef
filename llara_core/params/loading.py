"""Reading params.yaml, and saying everything that is wrong with it at once."""

import difflib
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from llara_core.errors import ParamsError
from llara_core.params.params import Params

_EXPECTATIONS = {
    "greater_than_equal": "must be ≥ {ge}",
    "greater_than": "must be > {gt}",
    "less_than_equal": "must be ≤ {le}",
    "less_than": "must be < {lt}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "too_short": "must hold at least {min_length} entries",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a finite number",
    "float_type": "must be a number (write 1.0e-4, not 1e-4)",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a section",
    "model_type": "must be a section",
    "union_tag_invalid": "must have {discriminator} one of {expected_tags}",
}


def load_params(path: Path) -> Params:
    """Read and validate the whole of `path`.

    Raises:
        ParamsError: naming every unusable field by its dotted path, the expectation and the value found.
    """
    try:
        return Params.model_validate(read_plain(path))
    except ValidationError as error:
        raise ParamsError(f"{path}: {describe_problems(error)}") from error


def read_plain(path: Path) -> Any:
    """Read what `path` holds, unchecked.

    Raises:
        ParamsError: it isn't there, or no YAML.
    """
    if not path.is_file():
        raise ParamsError(f"{path}: no such file; run the command in the repository's root")
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


def describe_problems(error: ValidationError, inside: tuple[str, ...] = ()) -> str:
    """All that pydantic found, each with dotted path (below `inside`), expectation and value, in one line."""
    return "; ".join(line for details in error.errors() for line in _describe(details, (*inside, *details["loc"])))


def _describe(details: ErrorDetails, location: tuple[int | str, ...]) -> list[str]:
    path, kind, value = _dotted(location), details["type"], details["input"]
    if kind == "value_error":
        prefix = f"{path}: " if path else ""
        return [prefix + line for line in str(details["ctx"]["error"]).splitlines()]
    if kind == "missing":
        return [f"{path} is missing"]
    if kind == "extra_forbidden":
        return [f"{path} is unknown{_suggestion(location)}, got {value!r}"]
    expectation = _EXPECTATIONS.get(kind)
    message = expectation.format(**details.get("ctx", {})) if expectation else f"is unusable ({details['msg']})"
    return [f"{path} {message}, got {value!r}"]


_TAGGED = {"llms": 2, "datasets": 2, "curriculum": 1, "projector": 1}
"""Sections that are one of several kinds, and at which place of a location the kind stands."""


def _dotted(location: tuple[int | str, ...]) -> str:
    """`("llms", "x", "folder", "path")` → `llms.x.path`: a union's tag is no key of the file.

    Nor is the type by which a free value, such as an encoder's option, was read.
    """
    parts = list(location)
    if parts and (place := _TAGGED.get(str(parts[0]), len(parts))) < len(parts):
        del parts[place]
    if parts[-1:] == ["float"]:
        del parts[-1]
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def _tags(kind: type[BaseModel]) -> set[str]:
    """Return the names by which a section of one of several kinds is known."""
    return {name for field in kind.model_fields.values() for name in get_args(field.annotation)}


def _suggestion(location: tuple[int | str, ...]) -> str:
    model: Any = Params
    for part in location[:-1]:
        if isinstance(model, UnionType):  # the part is the kind
            model = next(kind for kind in get_args(model) if part in _tags(kind))
        elif part in getattr(model, "model_fields", {}):
            model = model.model_fields[part].annotation
        else:
            return ""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ""
    close = difflib.get_close_matches(str(location[-1]), model.model_fields, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
