"""What clients send and get, as OpenAPI shows it, and how long it may be."""

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

MAX_TITLE, MAX_HISTORY, MAX_CANDIDATES, MAX_TOP, MAX_FOUND = 300, 100, 200, 100, 50
TokenSetting = Literal["on", "off", "shuffled"]


def require_printable(text: str) -> str:
    """Refuse characters that control a terminal, a line or a direction of writing, and halves of characters.

    Raises:
        ValueError: there is one.
    """
    for char in text:
        if unicodedata.category(char)[0] == "C" or char in "\u2028\u2029":
            raise ValueError(f"must be one line without control characters, got U+{ord(char):04X}")
    return text


def _title_or_id(value: Any) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"must be a title or an item's id, got {type(value).__name__}")
    if isinstance(value, int):
        return value
    if len(value) > MAX_TITLE:
        raise ValueError(f"must have ≤ {MAX_TITLE} characters, got {len(value)}")
    return require_printable(value)


Title = Annotated[
    str | int,
    PlainValidator(_title_or_id),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": MAX_TITLE}, {"type": "integer"}]}),
]


class Question(BaseModel):
    """What comes next?"""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"history": ["Toy Story", "Heat"], "top": 5, "why": True}]}
    )

    history: list[Title] = Field(
        min_length=1,
        max_length=MAX_HISTORY,
        description="Titles, or ids of items; the latest last. Titles are matched as `llara recommend` matches them; "
        "`text:` before one means a title outside the catalogue.",
    )
    candidates: list[Title] | None = Field(
        None, max_length=MAX_CANDIDATES, description="At least 2 of the catalogue to choose among; null: all others."
    )
    top: int = Field(10, ge=1, le=MAX_TOP, strict=True, description="How many items each ranking has.")
    why: bool = Field(False, strict=True, description="Also each item's score without each title of the history.")
    tokens: TokenSetting = Field("on", description="Behavioural tokens: as trained, none, or those of other items.")


class FoundTitle(BaseModel):
    """An item of the catalogue."""

    item_id: int
    title: str


class FoundTitles(BaseModel):
    """Items whose titles are like what is typed, the best first."""

    titles: list[FoundTitle]


class ShownTitle(BaseModel):
    """A title that was read; without an id it isn't in the catalogue."""

    item_id: int | None
    title: str


class Score(BaseModel):
    """A score, and the probability that it means."""

    score: float
    probability: float


class RankedItem(Score):
    """An item in a ranking; `without` are its score and probability had each title, in turn, not been there."""

    rank: int
    item_id: int
    title: str
    without: list[Score | None]


class Pool(BaseModel):
    """What was ranked."""

    kind: Literal["catalogue", "given", "recommender"]
    n_items: int


class Answer(BaseModel):
    """Rankings by `llara`, `recommender` and `llara_with_recommender`; one that can't say anything is absent."""

    history: list[ShownTitle]
    ranked: Pool
    rankings: dict[str, list[RankedItem]]
    notes: list[str]


class About(BaseModel):
    """The model that answers."""

    language_model: str
    objective: str = Field(description="What it was trained for.")
    n_items: int = Field(description="Items of the catalogue.")
    history_length: int = Field(description="The latest titles that are read.")
    tokens: list[TokenSetting] = Field(description="What can be asked for.")
    weight: float | None = Field(description="Of the language model beside its recommender.")


class Health(BaseModel):
    """How the server is."""

    status: Literal["alive"] = "alive"
    ready: bool = Field(description="Whether the model has been loaded.")


class Refusal(BaseModel):
    """Why there is no answer, in a sentence; `questions` list the choices of ambiguous titles."""

    model_config = ConfigDict(extra="allow")

    type: str
    message: str


class Refused(BaseModel):
    """An error."""

    error: Refusal
