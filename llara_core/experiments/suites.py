"""experiments.yaml: questions, and the arms of params.yaml's overrides that answer them."""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from llara_core.errors import ParamsError
from llara_core.params.base import Name, PositiveFloat, PositiveInt, Section
from llara_core.params.loading import describe_problems, read_plain

# Both are parts of an experiment's name, which is a git reference.
SuiteName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
ArmName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)]


class Suite(Section):
    """A question and its arms.

    Attributes:
        question: what the suite asks.
        minutes: that `examples` take in tuning, on the machine that docs/experiments.md names.
        examples: that every arm is tuned on.
        baseline: the arm that the others are compared with.
        everywhere: `-S` overrides of every arm.
        arms: the overrides of each.
    """

    question: Name
    minutes: PositiveFloat
    examples: PositiveInt
    baseline: Name
    everywhere: list[Name]
    arms: dict[ArmName, list[Name]]

    @model_validator(mode="after")
    def _has_arms_to_compare(self) -> Self:
        if len(self.arms) < 2:
            raise ValueError(f"arms must hold at least 2, got {len(self.arms)}")
        if self.baseline not in self.arms:
            raise ValueError(f"baseline must be one of the arms {', '.join(self.arms)}, got {self.baseline!r}")
        return self

    def examples_in(self, minutes: float, multiple: int) -> int:
        """How many examples `minutes` have room for: whole steps of `multiple` examples, and at least one of them."""
        wanted = self.examples * minutes / self.minutes
        return max(1, math.floor(wanted / multiple + 1e-9)) * multiple


_SUITES = TypeAdapter(dict[SuiteName, Suite])


def load_suites(path: Path) -> dict[str, Suite]:
    """Read all suites of `path`.

    Raises:
        ParamsError: naming every unusable field, the expectation and the value found.
    """
    try:
        return _SUITES.validate_python(read_plain(path))
    except ValidationError as error:
        raise ParamsError(f"{path}: {describe_problems(error, ('suite',))}") from error


def choose_suite(suites: Mapping[str, Suite], name: str) -> Suite:
    """Return the suite of this name.

    Raises:
        ParamsError: there is none; the nearest name is suggested.
    """
    if name in suites:
        return suites[name]
    close = difflib.get_close_matches(name, suites, n=1)
    suggestion = f" (did you mean {close[0]}?)" if close else ""
    raise ParamsError(f"SUITE must be one of {', '.join(suites)}, got {name!r}{suggestion}")
