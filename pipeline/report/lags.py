"""Channels laid out as variables by lags: what a model looks at, and how far back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.samples import variable_of

MOST_COLUMNS = 60


@dataclass(frozen=True, eq=False)
class LagTable:
    """Numbers of channels by variable and lag.

    Parameters
    ----------
    variables : tuple of str
        Rows.
    columns : tuple of (int, int)
        Greatest and smallest lag of each column [steps], the oldest first.
    values : ndarray, shape (variable, column)
        Sums over the column's lags; NaN where a variable has none of them.
    """

    variables: tuple[str, ...]
    columns: tuple[tuple[int, int], ...]
    values: np.ndarray

    @property
    def width(self) -> int:
        """Most lags that a column adds up."""
        return max(old - new + 1 for old, new in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Lags of each column in words."""
        return tuple(str(old) if old == new else f"{old} to {new}" for old, new in self.columns)


def lag_of(channel: str) -> int:
    """Return how many steps back a channel is from; channels ahead of the sample have a negative lag.

    Examples
    --------
    >>> lag_of("rain@-3"), lag_of("rain"), lag_of("rain@+2")
    (3, 0, -2)
    """
    behind = channel.partition("@")[2]
    return -int(behind) if behind.lstrip("+-").isdigit() else 0


def lag_count(channels: tuple[str, ...]) -> int:
    """Return how many different lags channels have.

    Examples
    --------
    >>> lag_count(("rain", "rain@-1", "tas"))
    2
    """
    return len({lag_of(channel) for channel in channels})


def by_lag(channels: tuple[str, ...], values: np.ndarray, most: int = MOST_COLUMNS) -> LagTable:
    """Return numbers of channels by variable and lag; columns of as many lags each where there are many.

    Parameters
    ----------
    channels : tuple of str
        Names, with lags as in ``rain@-2``.
    values : ndarray, shape (channel,)
        One number each.
    most : int
        Columns, at most. The newest lag stands in the last one, and the first may hold fewer lags than the others.

    Examples
    --------
    >>> table = by_lag(("rain@-2", "rain@-1", "rain", "tas"), np.array([1.0, 2.0, 4.0, 8.0]))
    >>> table.names, table.values.tolist()
    (('2', '1', '0'), [[1.0, 2.0, 4.0], [nan, nan, 8.0]])
    """
    lags = [lag_of(channel) for channel in channels]
    newest, oldest = min(lags), max(lags)
    width = math.ceil((oldest - newest + 1) / most) if len(set(lags)) > most else 1
    if width == 1:
        starts = {lag: lag for lag in lags}
    else:
        starts = {lag: newest + (lag - newest) // width * width for lag in lags}
    order = sorted(set(starts.values()), reverse=True)
    variables = tuple(dict.fromkeys(variable_of(channel) for channel in channels))
    table = np.full((len(variables), len(order)), np.nan)
    for channel, lag, value in zip(channels, lags, values, strict=True):
        place = variables.index(variable_of(channel)), order.index(starts[lag])
        table[place] = value if np.isnan(table[place]) else table[place] + value
    columns = tuple((min(start + width - 1, oldest), start) for start in order)
    return LagTable(variables, columns, table)
