"""The entries of `datasets`: where the data comes from, which of it counts, and what prompts call it."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from llara_core.params.base import Name, PositiveInt, Section


class Filters(Section):
    """Which interactions count, in the order in which the steps are taken.

    `repeats: drop` keeps a user's first interaction with an item; `core_users` and `core_items` give the k-core, in
    which every user and every item has so many; `ties` orders interactions at the same time.
    """

    min_rating: float | None
    repeats: Literal["keep", "drop"]
    min_user_interactions: PositiveInt
    user_share: Annotated[float, Field(gt=0, le=1)]
    item_share: Annotated[float, Field(gt=0, le=1)]
    core_users: PositiveInt
    core_items: PositiveInt
    unused_items: Literal["keep", "drop"]
    ties: Literal["release_order", "file_order", "item_id"]


class Nouns(Section):
    """The words that prompt templates use for an item, several items, and for having consumed one."""

    item: Name
    items: Name
    consumed: Name


class PublicDataset(Section):
    """The protocol of a dataset that `python -m stages.fetch --list` knows; `nouns` fill the prompt templates."""

    source: Literal[
        "ml-100k", "ml-1m", "ml-20m", "ml-25m", "ml-32m", "steam", "lastfm", "llara_release", "llara_release_movielens"
    ]
    filters: Filters
    nouns: Nouns


class Columns(Section):
    """What the columns of your own data are called; rating may be null."""

    user: Name
    item: Name
    timestamp: Name
    title: Name
    rating: Name | None


class OwnData(Section):
    """Your own files: one of interactions, and one of items where titles don't stand beside the interactions."""

    source: Literal["csv", "parquet"]
    interactions: Annotated[Path, Field(strict=False)]
    items: Annotated[Path, Field(strict=False)] | None
    columns: Columns
    filters: Filters
    nouns: Nouns

    @model_validator(mode="after")
    def _name_files_apart(self) -> Self:
        if self.items is not None and self.items.name == self.interactions.name:
            raise ValueError(f"items must be a file of another name than interactions, got {self.items.name}")
        return self


class AmazonCategory(Section):
    """A category of Amazon Reviews 2023, such as Video_Games."""

    source: Literal["amazon"]
    category: Annotated[str, Field(pattern=r"^\w+$")]
    filters: Filters
    nouns: Nouns


class PartitionedData(Section):
    """Your own data, larger than memory: a folder of Parquet files, and one Parquet file of items with titles."""

    source: Literal["partitioned_parquet"]
    interactions: Annotated[Path, Field(strict=False)]
    items: Annotated[Path, Field(strict=False)]
    columns: Columns
    memory_limit: Annotated[str, Field(pattern=r"^\d+(MB|GB)$")]
    filters: Filters
    nouns: Nouns

    @model_validator(mode="after")
    def _order_ties(self) -> Self:
        if self.filters.ties != "item_id":
            raise ValueError(f"filters.ties must be item_id, for partitions have no order, got {self.filters.ties}")
        return self


Dataset = Annotated[PublicDataset | AmazonCategory | OwnData | PartitionedData, Field(discriminator="source")]
