"""Train, validation and test sets by basins: all of them see the same dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import SplitError
from pipeline.prepare.dates import calendar_of, iso, microseconds, parse
from pipeline.prepare.splits import Span, TrainSplit, train_split_of
from pipeline.registry import suggest

if TYPE_CHECKING:
    from pipeline.split_config import BasinSplitConfig


@dataclass(frozen=True)
class BasinSplit:
    """Which basins (or stations) belong to which split; the dates of all splits are the same.

    Parameters
    ----------
    basins : mapping of str to tuple of str
        Identifiers by split: train, validation, and the test sets. An empty train has all that no other split has.
    span : tuple of str, or None
        First and last date; all dates of the data by default.
    calendar : str, optional
        Of the data; see :meth:`on`.

    Examples
    --------
    >>> split = BasinSplit({"train": ("a", "b"), "validation": ("c",), "test": ("d",)})
    >>> split.cells(("d", "c", "b", "a"))["train"].tolist()
    [[False, False, True, True]]
    """

    basins: Mapping[str, tuple[str, ...]]
    span: Span | None = None
    calendar: str | None = None
    gap: str = field(default="0D", init=False)

    @classmethod
    def from_config(cls, config: BasinSplitConfig) -> BasinSplit:
        """Return the split that the experiment asks for."""
        parts = {"train": config.train, "validation": config.validation, **config.test}
        return cls({name: tuple(basins) for name, basins in parts.items()}, config.span)

    def on(self, calendar: str) -> BasinSplit:
        """Return the same split counted in ``calendar``."""
        return replace(self, calendar=calendar)

    @property
    def spans(self) -> dict[str, Span]:
        """First and last date of every split, by name; empty words where there are no bounds."""
        return dict.fromkeys(self.basins, self.span or ("the first date", "the last"))

    def select(self, name: str, time: np.ndarray) -> np.ndarray:
        """Return the positions on ``time`` that the split called ``name`` sees: those of all splits.

        Raises
        ------
        SplitError
            If there are none, or the calendar has no such date.
        """
        if self.span is None:
            return np.arange(len(time))
        calendar = self.calendar or calendar_of(time)
        try:
            first, after = parse(self.span[0], calendar)[0], parse(self.span[1], calendar)[1]
        except ValueError as error:
            raise SplitError(f"split.span: {error}.") from error
        count = microseconds(time)
        index = np.flatnonzero((count >= first) & (count < after))
        if not index.size:
            raise SplitError(
                f"split.span {list(self.span)!r} holds no data; the data span {iso(time[0])} to {iso(time[-1])}."
            )
        return index

    def train_split(self, time: np.ndarray) -> TrainSplit:
        """Return the dates that may be used for what is fitted; of the train basins alone, see :meth:`cells`."""
        return train_split_of(self.select("train", time), time)

    def cells(self, stations: Sequence[str]) -> dict[str, np.ndarray]:
        """Return by split which of ``stations`` it has, bool, shape (1, station).

        Raises
        ------
        SplitError
            If a basin is none of them.
        """
        found = {}
        taken = {basin for name, basins in self.basins.items() if name != "train" for basin in basins}
        for name, given in self.basins.items():
            rest = tuple(station for station in stations if station not in taken)
            basins = rest if name == "train" and not given else given
            if not basins:
                raise SplitError(
                    f"split {name!r}: expected basins with enough truth that no other split has, got none of "
                    f"{', '.join(stations)}. Take one out of validation or test, or lower prepare.target.min_share."
                )
            for basin in basins:
                if basin not in stations:
                    known = ", ".join(stations[:10]) + (" and so on" if len(stations) > 10 else "")
                    raise SplitError(
                        f"split {name!r}: the target has no basin {basin!r} with enough truth."
                        f"{suggest(basin, stations)} Known: {known or 'none, it is no table of stations'}."
                    )
            found[name] = np.isin(np.asarray(stations), basins)[None, :]
        return found
