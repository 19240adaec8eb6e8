"""Units of differences and variances, as UDUNITS reads them."""

from __future__ import annotations

# Their zero is a convention, which a difference of two values no longer holds.
_DEGREES = {"degC": "K", "°C": "K", "celsius": "K", "Celsius": "K", "degree_Celsius": "K", "degrees_Celsius": "K"}


def of_difference(units: str) -> str:
    """Return the units of a difference of two values in ``units``.

    Examples
    --------
    >>> of_difference("degC"), of_difference("mm day-1")
    ('K', 'mm day-1')
    """
    return _DEGREES.get(units, units)


def of_variance(units: str) -> str:
    """Return the units of a variance of values in ``units``.

    Examples
    --------
    >>> of_variance("degC"), of_variance("mm day-1"), of_variance("1")
    ('K2', '(mm day-1)2', '1')
    """
    base = of_difference(units)
    if base in ("", "1"):
        return "1"
    return f"{base}2" if base.isalpha() else f"({base})2"


def has_true_zero(units: str) -> bool:
    """Return whether a ratio of two values in ``units`` means something.

    Examples
    --------
    >>> has_true_zero("degC"), has_true_zero("mm day-1")
    (False, True)
    """
    return units not in _DEGREES and units not in ("degF", "°F")
