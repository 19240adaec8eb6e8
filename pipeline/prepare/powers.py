"""Transforms of amounts before they are standardised, and the way back."""

from __future__ import annotations

from typing import Any

from pipeline.backend import array_namespace

Array = Any


def forward(amounts: Array, kind: str) -> Array:
    """Return the root (``sqrt``) or ``log(1 + amount)`` (``log1p``) of amounts; what is below zero counts as zero.

    Examples
    --------
    >>> import numpy as np
    >>> forward(np.array([-1.0, 0.0, 4.0]), "sqrt")
    array([0., 0., 2.])
    """
    if kind == "none":
        return amounts
    xp = array_namespace(amounts)
    held = xp.where(amounts < 0, xp.zeros_like(amounts), amounts)
    return xp.sqrt(held) if kind == "sqrt" else xp.log1p(held)


def backward(values: Array, kind: str) -> Array:
    """Return the amounts that :func:`forward` was given.

    Examples
    --------
    >>> import numpy as np
    >>> backward(np.array([-0.1, 0.0, 2.0]), "sqrt")
    array([0., 0., 4.])
    """
    if kind == "none":
        return values
    xp = array_namespace(values)
    held = xp.where(values < 0, xp.zeros_like(values), values)
    return held**2 if kind == "sqrt" else xp.expm1(held)
