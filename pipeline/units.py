"""Units of differences and variances, as UDUNITS reads them, and what is measured in them."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Literal

from pipeline.errors import DataError

Quantity = Literal["precipitation", "temperature", "flow", "other"]
NEVER_NEGATIVE = ("precipitation", "flow")
"""Quantities that are never below zero."""
_RUNS_OFF = ("runoff", "river", "streamflow", "discharge")
_VOLUME = re.compile(r"(?<![A-Za-z])(?:[Ll]|lit(?:er|re)s?|k?m(?:\^|\*\*)?3|ft(?:\^|\*\*)?3)(?![A-Za-z0-9])")
_SLOW = frozenset({"day", "d", "hour", "h", "hr", "week", "month", "year", "yr"})
# Their zero is a convention, which a difference of two values no longer holds.
_DEGREES = {"degC": "K", "°C": "K", "celsius": "K", "Celsius": "K", "degree_Celsius": "K", "degrees_Celsius": "K"}

_STEPS = ((1 / 24, "hour"), (1, "day"), (7, "week"), (30.4, "month"), (365.25, "year"))  # days


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


@lru_cache(maxsize=256)
def quantity(units: str, standard_name: str = "") -> Quantity:
    """Return what a variable is: a rate of precipitation, a temperature, a river's flow, or another.

    A speed has the dimension of a rate of rain. For rain are taken: masses of water, millimetres and
    inches in any time, centimetres and metres in an hour or longer. Flow is a volume in a time, or that of an area
    of its basin, L s-1 km-2. In mm d-1 the units do not say which it is: what runs off or evaporates by its standard
    name is no rain. An anomaly of rain or flow is neither, as it may be negative.

    Parameters
    ----------
    units : str
        Of the variable.
    standard_name : str
        Its CF name, if known.

    Examples
    --------
    >>> quantity("mm d-1"), quantity("kg m-2 s-1"), quantity("degC"), quantity("m s-1")
    ('precipitation', 'precipitation', 'temperature', 'other')
    >>> quantity("m3 s-1"), quantity("cfs"), quantity("L s-1 km-2")
    ('flow', 'flow', 'flow')
    >>> quantity("mm d-1", "runoff_flux"), quantity("mm d-1", "lwe_precipitation_rate")
    ('flow', 'precipitation')
    >>> quantity("mm d-1", "lwe_precipitation_rate_anomaly"), quantity("K", "air_temperature_anomaly")
    ('other', 'temperature')
    """
    kind, name = _of_units(units), standard_name.lower()
    if kind in NEVER_NEGATIVE and "anomaly" in name:
        return "other"
    if kind == "precipitation" and any(word in name for word in _RUNS_OFF):
        return "flow"
    return "other" if kind == "precipitation" and "evapo" in name else kind


def _of_units(units: str) -> Quantity:
    from pipeline.data.units import spell

    words = set(re.findall(r"[A-Za-z]+", spell(units)))
    # The usual ones without the library of units, which each worker would take a second to load.
    if spell(units) in ("K", "degC", "degF") or _converts(units, "K"):
        return "temperature"
    weighed = bool(words & {"kg", "g"})  # a mass in a time may be of anything
    of_a_basin = bool(_VOLUME.search(spell(units))) and bool(words & {"km", "ha", "mi"}) and _converts(units, "mm d-1")
    if not weighed and (_converts(units, "m3 s-1") or of_a_basin):
        return "flow"
    rain = weighed or bool(words & {"mm", "inch"}) or (bool(words & {"cm", "m"}) and bool(words & _SLOW))
    return "precipitation" if rain and _converts(units, "mm d-1") else "other"


def _converts(source: str, target: str) -> bool:
    from pipeline.data.units import conversion

    try:
        conversion(source or "1", target)
    except DataError:
        return False
    return True


def converted(value: float, source: str, target: str) -> float:
    """Return ``value`` in ``source`` units as a number in ``target`` units.

    Examples
    --------
    >>> converted(25.0, "degC", "K"), round(converted(1.0, "mm d-1", "kg m-2 s-1") * 86400, 6)
    (298.15, 1.0)

    Raises
    ------
    DataError
        If one of them is no unit, or they measure different things.
    """
    from pipeline.data.units import conversion

    return float(conversion(source, target)(value))


def step_word(days: float) -> str:
    """Return what one of many equal steps of that many days is called, ``sample`` where there is no word for it.

    Examples
    --------
    >>> step_word(0.25), step_word(1), step_word(28), step_word(360)
    ('sample', 'day', 'month', 'year')
    """
    return next((word for length, word in _STEPS if abs(days / length - 1) < 0.1), "sample")


def headline_metric(units: str, there: Collection[str], standard_name: str = "") -> str:
    """Return the score that models of a variable are chosen and compared by: RMSE, or CRPS for precipitation.

    Most days are dry and the mean of a forecast says little of them; two forecasts of the same mean, one of which
    knows when it rains, have the same RMSE.

    Parameters
    ----------
    units : str
        Of the variable.
    there : collection of str
        Scores that all models have.
    standard_name : str
        Of the variable, if known.

    Examples
    --------
    >>> headline_metric("mm d-1", {"rmse", "crps"}), headline_metric("K", {"rmse", "crps"})
    ('crps', 'rmse')
    """
    return "crps" if quantity(units, standard_name) == "precipitation" and "crps" in there else "rmse"
