"""The CRPS of an ensemble of values, a block of cells after the other."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import array_api_compat

from pipeline.backend import array_namespace, block_bytes
from pipeline.errors import DataError

Array = Any
NETWORK = 32  # members up to which a network beats the namespace's sort
_BESIDE = 8  # float64 values of a cell beside its members


def crps_ensemble(
    members: Array, truth: Array, *, fair: bool = False, skip_missing: bool = False, floor: Array | None = None
) -> Array:
    """Return the CRPS of an ensemble, from members in order: O(M log M), not M^2.

    With members x and truth y: ``mean |x - y| - G / M^2``, where ``G = sum (2 i - M - 1) x_(i)`` is
    half the sum of all distances between members. ``fair`` divides by ``M (M - 1)`` instead and
    estimates the score of the distribution that the members were drawn from (Ferro 2014,
    doi:10.1002/qj.2270). Up to 32 members are put in order by a sorting network in their own dtype, sums are in
    float64; cells are worked on in blocks, which hold the memory beside arguments and answer to a few MiB on the host.

    Parameters
    ----------
    members : array, shape (member, ...)
        Members; at least two where ``fair``.
    truth : array, shape (...)
        What came true; nothing is broadcast.
    fair : bool
        Whether to correct for the number of members.
    skip_missing : bool
        Whether a cell is scored with the members that are there, the others being NaN, and for their number;
        see :func:`missing_members` for how many are not.
    floor : array, shape (...), optional
        Members and truth below it count as it: the score of what lies above (Allen et al. 2023,
        doi:10.1137/22M1532184).

    Returns
    -------
    array of float64, shape (...)
        NaN where the truth is, and where any member is; with ``skip_missing`` where no member is there, or where
        ``fair`` fewer than two.

    Raises
    ------
    DataError
        If the shapes do not belong together, or there are too few members.

    Examples
    --------
    >>> import numpy as np
    >>> float(crps_ensemble(np.array([0.0, 2.0]), np.array(1.0)))
    0.5
    >>> float(crps_ensemble(np.array([0.0, 2.0]), np.array(1.0), fair=True))
    0.0
    >>> float(crps_ensemble(np.array([0.0, np.nan, 2.0]), np.array(1.0), skip_missing=True))
    0.5
    """
    xp, size, shape = array_namespace(members, truth), int(members.shape[0]), tuple(truth.shape)
    if tuple(members.shape[1:]) != shape:
        raise DataError(
            f"expected members of shape (member, ...) and truth of shape (...), got {tuple(members.shape)} and "
            f"{shape}. Give every cell its own truth: nothing is broadcast."
        )
    least = 2 if fair else 1
    if size < least:
        raise DataError(
            f"expected at least {least} members for the {'fair ' if fair else ''}CRPS, got {size}. "
            "Take fair=False for a single one."
        )
    result = xp.empty(shape, dtype=xp.float64, device=array_api_compat.device(truth))
    wide = members.dtype if floor is None else xp.float64
    # A sort takes a copy of its own.
    held = size * xp.finfo(wide).bits // 8 * ((1 if size <= NETWORK else 2) + (floor is not None))
    for index in cuts(shape, block_bytes(members) // (held + 8 * _BESIDE)):
        rows = [members[(number, *index)] for number in range(size)]
        true = truth[index]
        if floor is not None:
            least = xp.astype(floor[index], xp.float64)
            *rows, true = (xp.maximum(xp.astype(row, xp.float64), least) for row in (*rows, true))
        found = _all_there(rows, true, fair)
        gone = xp.isnan(found)
        if skip_missing and bool(xp.any(gone)):
            found = xp.where(gone, _those_there(rows, true, fair), found)
        result[index] = found
    return result


def missing_members(members: Array) -> Array:
    """Return how many members of every cell are NaN, shape (...) of members (member, ...).

    Examples
    --------
    >>> import numpy as np
    >>> missing_members(np.array([[0.0, np.nan], [1.0, np.nan], [np.nan, 2.0]])).tolist()
    [1, 2]
    """
    xp = array_namespace(members)
    count = xp.zeros(members.shape[1:], dtype=xp.int64, device=array_api_compat.device(members))
    for number in range(members.shape[0]):  # one at a time: no mask of all members
        count += xp.astype(xp.isnan(members[number, ...]), xp.int64)
    return count


def in_order(rows: Sequence[Array]) -> list[Array]:
    """Return arrays of one shape put in order cell by cell, the least first, in their own dtype.

    A NaN stays in its cell, anywhere in the order.

    Examples
    --------
    >>> import numpy as np
    >>> [row.tolist() for row in in_order([np.array([3.0, 1.0]), np.array([2.0, 5.0]), np.array([1.0, 4.0])])]
    [[1.0, 1.0], [2.0, 4.0], [3.0, 5.0]]
    """
    xp, ordered = array_namespace(*rows), list(rows)
    if len(rows) > NETWORK:
        # Members side by side: sorting along a far axis takes twice the time.
        together = xp.sort(xp.stack(ordered, axis=-1), axis=-1)
        return [together[..., place] for place in range(len(rows))]
    for low, high in network(len(rows)):
        one, other = ordered[low], ordered[high]
        ordered[low], ordered[high] = xp.minimum(one, other), xp.maximum(one, other)
    return ordered


@functools.cache
def network(size: int) -> tuple[tuple[int, int], ...]:
    """Return the comparisons of Batcher's odd-even merge sort, in which the lower place gets the lesser value.

    Batcher 1968, doi:10.1145/1468075.1468121; for any size, as Algorithm M in section 5.2.2 of Knuth's The Art of
    Computer Programming.

    Examples
    --------
    >>> network(3)
    ((0, 1), (0, 2), (1, 2))
    """
    found: list[tuple[int, int]] = []
    span = 1
    while span < size:
        apart = span
        while apart >= 1:
            for start in range(apart % span, size - apart, 2 * apart):
                places = range(start, min(start + apart, size - apart))
                found += [(p, p + apart) for p in places if p // (2 * span) == (p + apart) // (2 * span)]
            apart //= 2
        span *= 2
    return tuple(found)


def cuts(shape: tuple[int, ...], most: int) -> Iterator[tuple[Any, ...]]:
    """Yield indices that cut an array into views of about ``most`` values at most, along its leading axes.

    Examples
    --------
    >>> [index[:-1] for index in cuts((2, 3, 4), 8)]
    [(0, slice(0, 2, None)), (0, slice(2, 3, None)), (1, slice(0, 2, None)), (1, slice(2, 3, None))]
    >>> [index[0] for index in cuts((10,), 9)]
    [slice(0, 5, None), slice(5, 10, None)]
    >>> list(cuts((), 8))
    [(Ellipsis,)]
    """
    if not shape:
        yield (...,)
        return
    axis, inner = len(shape) - 1, 1
    while axis > 0 and inner * shape[axis] <= most:
        inner *= shape[axis]
        axis -= 1
    parts = -(-shape[axis] // max(1, most // max(1, inner)))
    width = max(1, -(-shape[axis] // max(1, parts)))  # parts of about the same size
    for leading in itertools.product(*(range(length) for length in shape[:axis])):
        for start in range(0, shape[axis], width):
            yield (*leading, slice(start, min(start + width, shape[axis])), ...)


def _all_there(rows: list[Array], truth: Array, fair: bool) -> Array:
    """Return the CRPS of one block, NaN where any member or the truth is.

    Of two members low <= high, ``|low - y| + |high - y|`` is their distance and twice that of y from what lies
    between them. So with pairs from the outside in, i = 0, 1, ..., all terms are positive and no digits cancel:
    ``(2 i + 1) / M^2`` times the distance of each, where fair ``2 i / (M (M - 1))``, and ``sum |x - y| / M`` of the
    nearest points x, two a pair and one for the middle member, which lie all on the same side of y.
    """
    xp, size = array_namespace(truth), len(rows)
    ordered = in_order(rows)
    pairs = [(ordered[place], ordered[size - 1 - place]) for place in range(size // 2)]
    offset = -0.5 * size * xp.astype(truth, xp.float64)
    if size % 2:
        offset += 0.5 * xp.astype(ordered[size // 2], xp.float64)
    for low, high in pairs:  # chosen values, so exact in any dtype
        offset += xp.astype(xp.minimum(xp.maximum(truth, low), high), xp.float64)
    found = xp.abs(offset)
    found *= 2.0 / size
    for place, (low, high) in enumerate(pairs):
        weight = 2 * place / (size * (size - 1)) if fair else (2 * place + 1) / (size * size)
        if weight:
            apart = xp.astype(high, xp.float64)
            apart -= xp.astype(low, xp.float64)
            apart *= weight
            found += apart
    return found


def _those_there(rows: list[Array], truth: Array, fair: bool) -> Array:
    """Return the CRPS of one block by the members that are not NaN; NaN where too few are there."""
    xp = array_namespace(truth)
    truth = xp.astype(truth, xp.float64)
    count, filled = xp.zeros_like(truth), []
    for row in rows:
        gone = xp.isnan(row)
        count += xp.astype(~gone, xp.float64)
        filled.append(xp.where(gone, xp.full_like(row, xp.inf), row))  # last in the order
    distance, gini = xp.zeros_like(truth), xp.zeros_like(truth)
    for place, row in enumerate(in_order(filled)):
        value = xp.where(count > place, xp.astype(row, xp.float64), truth)  # a distance of zero
        gini += xp.where(count > place, (2 * place + 1 - count) * value, 0.0 * truth)
        distance += xp.abs(value - truth)
    few = count < (2 if fair else 1)
    some = xp.where(few, xp.full_like(count, xp.nan), count)
    return distance / some - gini / (some * (some - 1.0) if fair else some * some)
