"""Coordinates of the axes that stand in front of a field: members, classes, or what else a family has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipeline.errors import DataError
from pipeline.prediction.quantiles import levels
from pipeline.prediction.serial.records import Variable

Coordinate = tuple[str, np.ndarray, Mapping[str, str]]


def coordinate(dim: str, count: int, variables: Sequence[Variable]) -> Coordinate:
    """Return the coordinate of a leading axis: dim, values and attributes; numbers from 0 where nothing says more.

    Parameters
    ----------
    dim : str
        Its name, of ``Family.leading``.
    count : int
        Its length.
    variables : sequence of Variable
        What is written: they know the names of classes.

    Raises
    ------
    DataError
        If variables name other classes, or not as many.

    Examples
    --------
    >>> coordinate("class", 2, [Variable("event", "1", classes=("none", "river"))])[1].tolist()
    ['none', 'river']
    >>> coordinate("component", 3, [])
    ('component', array([0, 1, 2], dtype=int32), {'long_name': 'component', 'units': '1'})
    """
    make = _KNOWN.get(dim)
    values, attrs = (_numbers(count), {"long_name": dim, "units": "1"}) if make is None else make(count, variables)
    return dim, values, attrs


def counted(dim: str) -> str:
    """Return what a leading axis counts, for messages: ``"members"``, ``"classes"``."""
    return dim + ("es" if dim.endswith("s") else "s")


def _numbers(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int32)


def _members(count: int, variables: Sequence[Variable]) -> tuple[np.ndarray, dict[str, str]]:
    return _numbers(count), {"standard_name": "realization", "long_name": "member", "units": "1"}


def _classes(count: int, variables: Sequence[Variable]) -> tuple[np.ndarray, dict[str, str]]:
    """Return the names of the classes, their numbers where no variable knows names."""
    named = {variable.classes for variable in variables if variable.classes} or {tuple(map(str, range(count)))}
    first = next(iter(named))
    if len(named) > 1 or len(first) != count:
        got = " and ".join(str(list(names)) for names in sorted(named))
        raise DataError(f"expected the names of the {count} classes that were predicted for every variable, got {got}.")
    return np.array(first, dtype=object), {"long_name": "name of the class"}


def _levels(count: int, variables: Sequence[Variable]) -> tuple[np.ndarray, dict[str, str]]:
    return levels(count), {"long_name": "level of the quantile", "units": "1"}


_KNOWN: dict[str, Callable[[int, Sequence[Variable]], tuple[np.ndarray, dict[str, str]]]] = {
    "member": _members,
    "class": _classes,
    "quantile": _levels,
}
