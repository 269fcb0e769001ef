"""Fields of lines that are Python dict literals, as the Steam files have them, at many times the speed of `ast`.

One regular expression reads a whole line; what it doesn't understand goes to `ast.literal_eval`, so that the result is
always what that would give. Nothing is ever evaluated as code.
"""

import ast
import re
from collections.abc import Sequence
from functools import cache

_STRING = r"""u?(?:'[^'\\]*+(?:\\.[^'\\]*+)*+'|"[^"\\]*+(?:\\.[^"\\]*+)*+")"""
_NUMBER = r"-?(?:0|[1-9]\d*+)(?:\.\d*+)?(?:[eE][-+]?\d++)?+"
_CONSTANT = rf"(?:{_NUMBER}|True|False|None)"
_VALUE = rf"""(?:{_STRING}|{_CONSTANT}|\[(?:(?:{_STRING}|{_CONSTANT})(?:, |(?=\])))*+\])"""

Fields = tuple[str | None, ...]


def parse_line(line: str, fields: Sequence[str]) -> Fields | None:
    """Return the values of `fields` as texts, None where one is missing, or None if the line is no dict literal."""
    match = _pattern(tuple(fields)).fullmatch(line)
    if match is None:
        return _parse_slowly(line, fields)
    literals = match.groups()
    if None in literals:  # a field is missing, or isn't a text
        return _parse_slowly(line, fields)
    return tuple(_text(literal) for literal in literals)


@cache
def _pattern(fields: tuple[str, ...]) -> re.Pattern[str]:
    """Compile a dict of simple values, with a group for the (last) value of each field."""
    wanted = "|".join(rf"u?'{re.escape(field)}': ({_STRING})" for field in fields)
    return re.compile(rf"\{{(?:(?:{wanted}|{_STRING}: {_VALUE})(?:, |(?=\}})))++\}}", re.DOTALL)


def _text(literal: str) -> str:
    if "\\" in literal:
        return str(ast.literal_eval(literal))
    return literal[2:-1] if literal[0] == "u" else literal[1:-1]


def _parse_slowly(line: str, fields: Sequence[str]) -> Fields | None:
    try:
        record = ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
    if not isinstance(record, dict):
        return None
    values = (record.get(field) for field in fields)
    return tuple(None if value is None else str(value) for value in values)
