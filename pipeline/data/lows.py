"""What lies below a variable's minimum: rounding, or a fault."""

from __future__ import annotations

import numpy as np

from pipeline.data.catalog import Entry
from pipeline.errors import DataError

BELOW = 0.01
"""Share of a variable's range by which rounding may carry it below its ``minimum``."""


class Lows:
    """The least and greatest value of variables with a minimum, of data that come as a whole or in blocks.

    What is rounding is told by the range of all values: a block of dry days has none of its own.
    """

    def __init__(self) -> None:
        self._ends: dict[str, tuple[float, float]] = {}

    def note(self, name: str, values: np.ndarray) -> float:
        """Take note of values of a variable, NaN where missing; return the least of them, NaN without any."""
        if not values.size:
            return float("nan")
        least, most = float(np.fmin.reduce(values, axis=None)), float(np.fmax.reduce(values, axis=None))
        low, high = self._ends.get(name, (np.nan, np.nan))
        self._ends[name] = float(np.fmin(low, least)), float(np.fmax(high, most))
        return least

    def judge(self, entry: Entry) -> None:
        """Refuse values that lie further below their minimum than rounding leaves them.

        Raises
        ------
        DataError
            If such a value was noted; the first variable that has one is named.
        """
        for name, (lowest, highest) in self._ends.items():
            minimum = entry.variables[name].minimum
            if minimum is not None and lowest < minimum and minimum - lowest > BELOW * max(highest - minimum, 0.0):
                raise DataError(
                    f"{entry.name}: variable {name!r}: expected values of {minimum:g} or more but for rounding, got "
                    f"{lowest:g}. If that stands for a missing value, write it under missing in the catalog."
                )
