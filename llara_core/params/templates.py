"""Prompt templates: what may stand in one, and the files of them that prompt.templates can name."""

from pathlib import Path
from string import Formatter
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from llara_core.params.base import Name

# They lie with the code that writes prompts, whose stages depend on them, and not here, on which all stages depend.
FOLDER = Path(__file__).resolve().parents[1] / "prompting" / "templates"
_REQUIRED, _OPTIONAL = ("history", "candidates"), ("n_candidates", "item", "items", "consumed")


def _require_bare_placeholders(template: str) -> str:
    """Refuse what `str.format` would do beyond putting words in: attributes, indexes, conversions, formats."""
    names = (*_REQUIRED, *_OPTIONAL)
    expected = f"must use only the placeholders {', '.join(f'{{{name}}}' for name in names)}, bare"
    try:
        fields = [field for field in Formatter().parse(template) if field[1] is not None]
    except ValueError as error:
        raise ValueError(f"{expected}, got {template!r} ({error})") from error
    for _, name, form, conversion in fields:
        if name not in names or form or conversion:
            found = f"{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}"
            raise ValueError(f"{expected}, got {{{found}}}")
    for name in _REQUIRED:
        if (count := [field[1] for field in fields].count(name)) != 1:
            raise ValueError(f"must contain {{{name}}} once, got {count} times")
    return template


def _read_file(value: Any) -> Any:
    """Return the templates of the file that a text names, and anything else as it is."""
    if not isinstance(value, str):
        return value
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    if value not in names:
        raise ValueError(f"must be a list of templates, or one of {', '.join(names)}, got {value!r}")
    path = FOLDER / f"{value}.yaml"
    shown = "/".join(path.parts[-4:])
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{shown}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, list) or not content or not all(isinstance(text, str) for text in content):
        raise ValueError(f"{shown} must be a list of texts, got {content!r:.80}")
    for place, template in enumerate(content):
        try:
            _require_bare_placeholders(template)
        except ValueError as error:
            raise ValueError(f"{shown}[{place}] {error}") from error
    return content


Template = Annotated[Name, AfterValidator(_require_bare_placeholders)]

Templates = Annotated[list[Template], Field(min_length=1), BeforeValidator(_read_file)]
"""Templates as they stand in params.yaml, or those of the file that it names."""
