"""Small helpers for arrays that may live on a device and may be larger than its spare memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import Backend, array_namespace
from pipeline.rows import Rows, blocks

Array = Any


def beside(host: Any, values: Array, dtype: Any = None) -> Array:
    """Return ``host`` as an array of the namespace and on the device of ``values``."""
    xp = array_namespace(values)
    return xp.asarray(np.asarray(host), dtype=dtype, device=array_api_compat.device(values))


def rows(values: Array, index: np.ndarray) -> Array:
    """Return ``values`` at the positions ``index`` of its first axis; rows are chosen and not read."""
    if isinstance(values, Rows):
        return values.take(index)
    return array_namespace(values).take(values, beside(index, values), axis=0)


def split_missing(values: Array) -> tuple[Array, Array]:
    """Return ``values`` in float64 with zeros for what is not finite, and 1.0 where it is finite."""
    xp = array_namespace(values)
    finite = xp.isfinite(values)
    wide = xp.astype(values, xp.float64)
    return xp.where(finite, wide, xp.zeros_like(wide)), xp.astype(finite, xp.float64)


def known(values: Array, *, whole: bool) -> tuple[Array, Array | None]:
    """Return what :func:`split_missing` does; of ``whole`` values, none of them missing, a copy in float64 and None."""
    if whole:
        xp = array_namespace(values)
        return xp.astype(values, xp.float64, copy=True), None
    return split_missing(values)


def flat(values: Array) -> Array:
    """Return ``values`` with all axes but the first as one."""
    if isinstance(values, Rows):
        return values.map(lambda block, _: flat(block), (math.prod(values.shape[1:]),))
    return array_namespace(values).reshape(values, (values.shape[0], -1))


def ever(values: Array, test: Callable[[Array], Array]) -> Array:
    """Return where ``test`` held on any row, bool, the shape of a row; it is asked block by block."""
    xp = array_namespace(values)
    found = xp.zeros(values.shape[1:], dtype=xp.bool)
    for part in blocks(values):
        found = found | xp.any(test(values[part, ...]), axis=0)
    return found


def anywhere(values: Array, test: Callable[[Array], Array], backend: Backend) -> np.ndarray:
    """Return on which rows ``test`` held at any place, bool on the host; it is asked block by block."""
    found = np.zeros(values.shape[0], bool)
    for part in blocks(values):
        held = test(values[part, ...])
        found[part] = backend.to_host(array_namespace(held).any(held, axis=tuple(range(1, held.ndim))))
    return found
