"""Predictions of as many times at once as there is memory for, whatever the model is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from pipeline.backend.out_of_memory import first_line, is_out_of_memory
from pipeline.backend.passes import Passes
from pipeline.errors import MemoryBudgetError

Made = TypeVar("Made")


def in_passes(name: str, times: int, forecast: Callable[[slice], Made], tell: Callable[[str], None]) -> Iterator[Made]:
    """Yield ``forecast`` of all times at once, or, where memory is short for that, of some after the others.

    Parameters
    ----------
    name : str
        Of the model or method.
    times : int
        How many there are.
    forecast : callable
        Of a slice of the times.
    tell : callable
        Told in a sentence where memory was short.

    Raises
    ------
    MemoryBudgetError
        If memory is short for a single time.
    """
    try:
        yield from Passes(times, name, what="times", tell=tell).each(times, forecast)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryBudgetError(
            f"{name}: expected room for the prediction of a single time, got out of memory ({first_line(str(error))}). "
            "Take a smaller region, fewer members, or another device."
        ) from error
