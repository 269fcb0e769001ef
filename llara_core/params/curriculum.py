"""The section `curriculum`: when training shows behavioural tokens, and to what it shows them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from llara_core.params.base import Fraction, PositiveFloat, PositiveInt, Section


class Course(Section):
    """What every schedule has.

    `drawn_per`: a step's prompts are hybrid or text together (`batch`, the paper), or each by itself (`example`).
    `epochs`: how often the objective's examples are passed over. Neither they nor their order depend on the schedule.
    """

    drawn_per: Literal["batch", "example"]
    epochs: PositiveInt


class PlainCourse(Course):
    """A schedule without options."""

    schedule: Literal["linear", "cosine", "reverse", "hybrid_only", "text_only"]


class StepCourse(Course):
    """Text in the first `text` share of the steps, hybrid in the others."""

    schedule: Literal["step"]
    text: Fraction


class PowerCourse(Course):
    """The linear probability to the power of `exponent`: above 1 hybrid prompts come later, below 1 sooner."""

    schedule: Literal["power"]
    exponent: PositiveFloat


class TwoStageCourse(Course):
    """Text in the first `text` share of the steps; then hybrid, in the first `projector` share for the projector alone.

    With text + projector = 1 this is CoLLM's order (arXiv 2310.19488).
    """

    schedule: Literal["two_stage"]
    text: Fraction
    projector: Fraction

    @model_validator(mode="after")
    def _fill_no_more_than_all_steps(self) -> Self:
        if self.text + self.projector > 1:
            raise ValueError(f"text + projector must be ≤ 1, got {self.text + self.projector:g}")
        return self


Curriculum = Annotated[PlainCourse | StepCourse | PowerCourse | TwoStageCourse, Field(discriminator="schedule")]
