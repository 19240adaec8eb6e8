"""The ``split`` section of an experiment: by dates, by basins, or by blocks of an image."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

Span = tuple[str, str]
Pixels = tuple[int, int]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _by_name(test: Any) -> Any:
    if isinstance(test, (str, int, float)) or test is True:
        raise ValueError(
            "expected a list (of the first and last date or pixel, or of basins), or names with a list each, got "
            f"{test!r}"
        )
    return {"test": test} if isinstance(test, (list, tuple)) else test


class SplitConfig(_Section):
    """Train, validation and test by dates (both ends included), in this order, with a gap."""

    by: Literal["time"] = Field(default="time", description="What the data are split by.")
    train: Span = Field(description="First and last date of the train split.")
    validation: Span = Field(description="First and last date of the validation split.")
    test: dict[str, Span] = Field(
        default_factory=dict,
        description="First and last date of each test set, by name; may be left out where data.tests has some.",
    )
    gap: str = Field(default="0D", description="Least time between two splits, such as 10D.")

    @field_validator("test", mode="before")
    @classmethod
    def _one_test(cls, test: Any) -> Any:
        return _by_name(test)

    @field_validator("gap")
    @classmethod
    def _gap(cls, gap: str) -> str:
        try:
            days = pd.Timedelta(gap)
        except ValueError as error:
            raise ValueError(f"expected a length of time such as '10D', got {gap!r}") from error
        if days and not any(letter.isalpha() for letter in gap):  # nanoseconds, which nobody means
            raise ValueError(f"expected a length of time with its unit, such as '10D', got {gap!r}")
        if days < pd.Timedelta(0):
            raise ValueError(f"expected a gap of zero or more, got {gap!r}")
        return gap


class BasinSplitConfig(_Section):
    """Train, validation and test by basins or stations: whether a model is any good where it never learned."""

    by: Literal["basin"] = Field(description="What the data are split by.")
    train: list[str] = Field(
        default_factory=list,
        description="Identifiers of the basins that are learned from; all that no other split has by default, so that "
        "one test basin is one left out.",
    )
    validation: list[str] = Field(min_length=1, description="Those that choices are made on.")
    test: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        min_length=1, description="Those of each test set, by name."
    )
    span: Span | None = Field(default=None, description="First and last date, of all splits; all dates by default.")

    @field_validator("test", mode="before")
    @classmethod
    def _one_test(cls, test: Any) -> Any:
        return _by_name(test)

    @model_validator(mode="after")
    def _apart(self) -> BasinSplitConfig:
        parts = {"train": self.train, "validation": self.validation, **self.test}
        if len(parts) < len(self.test) + 2:
            raise ValueError(f"expected test sets with names of their own, got {list(self.test)!r}")
        for name, basins in parts.items():
            for other, others in parts.items():
                shared = sorted(set(basins) & set(others)) if name < other else []
                if shared and not {name, other} <= set(self.test):
                    raise ValueError(f"expected a basin in one split, got {', '.join(shared)} in {name} and {other}")
            if len(set(basins)) < len(basins):
                raise ValueError(f"expected each basin once in {name}, got {basins!r}")
        return self


class BlockSplitConfig(_Section):
    """Train, validation and test by blocks of rows or columns of images, with a margin between them.

    Pixels at random would put neighbours into different splits: they are nearly the same.
    """

    by: Literal["block"] = Field(description="What the data are split by.")
    along: Literal["x", "y"] = Field(default="x", description="Whether blocks are of columns (x) or of rows (y).")
    margin: int = Field(default=0, ge=0, description="Least number of pixels between the train split and the others.")
    train: Pixels = Field(description="First and last column (or row) of the train split, from 0.")
    validation: Pixels = Field(description="The same of the validation split.")
    test: dict[str, Pixels] = Field(min_length=1, description="The same of each test set, by name.")
    images: dict[str, list[str]] = Field(
        default_factory=dict, description="By split, the images it takes; all of them by default."
    )
    tile: tuple[int, int] = Field(description="Rows and columns of the tiles that images are cut into.")
    stride: tuple[int, int] | None = Field(
        default=None, description="Rows and columns from one train tile to the next; those of a tile by default."
    )

    @field_validator("test", mode="before")
    @classmethod
    def _one_test(cls, test: Any) -> Any:
        return _by_name(test)

    @model_validator(mode="after")
    def _apart(self) -> BlockSplitConfig:
        parts: dict[str, Pixels] = {"train": self.train, "validation": self.validation, **self.test}
        for name, (first, last) in parts.items():
            if not 0 <= first <= last:
                raise ValueError(f"{name}: expected 0 <= first <= last, got {[first, last]!r}")
        for name, chosen in self.images.items():
            if name not in parts:
                raise ValueError(f"images: no split {name!r}. Known: {', '.join(parts)}")
            if not chosen or len(set(chosen)) < len(chosen):
                raise ValueError(f"images.{name}: expected an image or more, each once, got {chosen!r}")
        pairs = [("train", "validation"), *((early, test) for early in ("train", "validation") for test in self.test)]
        for early, late in pairs:
            self._check(early, parts[early], late, parts[late])
        if min(self.tile) < 1 or (self.stride is not None and min(self.stride) < 1):
            raise ValueError(f"expected a tile and a stride of 1 or more, got {self.tile!r} and {self.stride!r}")
        return self

    def _check(self, early: str, one: Pixels, late: str, other: Pixels) -> None:
        mine, theirs = self.images.get(early), self.images.get(late)
        if mine is not None and theirs is not None and not set(mine) & set(theirs):
            return  # no image in common
        apart = max(other[0] - one[1], one[0] - other[1]) - 1
        if apart < self.margin:
            what = "overlap" if apart < 0 else f"are {apart} pixels apart, and split.margin asks for {self.margin}"
            raise ValueError(f"splits {early} {list(one)!r} and {late} {list(other)!r} {what}; move one of them")


def _kind(split: Any) -> str:
    return str(split.get("by", "time") if isinstance(split, dict) else getattr(split, "by", None))


AnySplit = Annotated[
    Annotated[SplitConfig, Tag("time")]
    | Annotated[BasinSplitConfig, Tag("basin")]
    | Annotated[BlockSplitConfig, Tag("block")],
    Discriminator(
        _kind,
        custom_error_type="split_by",
        custom_error_message="expected keys with split.by one of time, basin and block",
    ),
]
