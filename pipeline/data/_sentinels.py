"""Numbers that stand for no value where the file does not say so, such as -999: told by how they lie to the rest."""

from __future__ import annotations

import re

import numpy as np

_CODE = re.compile(r"-?9{2,}(\.9+)?|-?32767|-?32768|-?9\.96921e\+36|-?1e\+(20|30|36)")
"""What files write for none, with the seven digits that single precision keeps."""
_DISTINCT = 10  # other values that there must be before a number that is no such code is suspected
_FAR_BELOW = -999.0
_SAMPLE = 100_000  # values that are looked at for how many are distinct


def is_code(value: float) -> bool:
    """Return whether ``value`` is one that files are known to write for none.

    Examples
    --------
    >>> is_code(-999.0), is_code(float(np.float32(-99.9))), is_code(9999.0), is_code(12.0)
    (True, True, True, False)
    """
    return _CODE.fullmatch(f"{value:.7g}") is not None


def code_at_an_end(values: np.ndarray, low: float, high: float, *, part: bool = False) -> tuple[float, int] | None:
    """Return a known code that is the least or greatest value and lies far from all others, and how often it stands.

    Parameters
    ----------
    values : ndarray
        Of any shape; NaN is missing.
    low, high : float
        The least and the greatest of them.
    part : bool
        Whether these are some of the values only: by few, 99 may seem far from all others. Told are then -999 and
        what is further below.

    Examples
    --------
    >>> code_at_an_end(np.array([3.0, -999.0, 5.0, -999.0]), -999.0, 5.0)
    (-999.0, 2)
    >>> code_at_an_end(np.array([98.0, 97.0, 99.0, 99.0]), 97.0, 99.0) is None
    True
    """
    for end in (low, high):
        if is_code(end) and (end <= _FAR_BELOW or not part):
            rest = values[np.isfinite(values) & (values != end)]
            count = int((values == end).sum())
            some = end <= _FAR_BELOW or len(np.unique(rest[:: max(1, rest.size // _SAMPLE)])) >= _DISTINCT
            if rest.size and some and _gap(rest, end) > rest.max() - rest.min() and (count > 1 or end < 0):
                return float(end), count
    return None


def stand_ins(values: np.ndarray) -> tuple[float, ...]:
    """Return the numbers that seem to stand for none: to be written into a draft, which is looked over.

    That is a known code, or a number that stands three times or more, is the least or the greatest, and lies further
    from all others than these are apart; below zero, where all others are not, ten usual steps away will do.

    Parameters
    ----------
    values : ndarray
        Of any shape; NaN is missing.

    Examples
    --------
    >>> flow = np.round(np.linspace(0.1, 50.0, 900), 1)
    >>> stand_ins(np.concatenate([flow, [-999.0] * 4])), stand_ins(np.concatenate([flow, [-1.2345] * 4]))
    ((-999.0,), (-1.2345,))
    >>> stand_ins(flow)
    ()
    """
    found: list[float] = []
    rest = values[np.isfinite(values)]
    while rest.size and len(found) < 4:
        ends = (end for end in (float(rest.min()), float(rest.max())) if _stands_for_none(rest, end))
        end = next(ends, None)
        if end is None:
            break
        found.append(float(f"{end:.7g}"))
        rest = rest[rest != end]
    return tuple(found)


def _stands_for_none(values: np.ndarray, end: float) -> bool:
    rest = values[values != end]
    count = values.size - rest.size
    if not rest.size:
        return False
    gap, far = _gap(rest, end), _gap(rest, end) > float(rest.max() - rest.min())
    if is_code(end):
        return far and (count > 1 or end < 0)
    distinct = np.unique(rest[:: max(1, rest.size // _SAMPLE)])
    if end == 0 or count < 3 or len(distinct) < _DISTINCT:
        return False
    alone_below = end < 0 <= float(rest.min()) and gap > 10 * float(np.median(np.diff(distinct)))
    return far or alone_below


def _gap(rest: np.ndarray, end: float) -> float:
    """Return how far ``end``, outside all of ``rest``, is from the nearest of them."""
    return float(rest.min() - end if end < rest.min() else end - rest.max())
