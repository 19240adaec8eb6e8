"""Units as climate files spell them, and conversions between them.

A conversion is ``factor * value + offset`` for all units that fields come in, so it is worked out
once and costs one pass over the data.
"""

from __future__ import annotations

import functools
import re
import threading
from dataclasses import dataclass
from typing import Any

from pipeline.errors import DataError

WATER_DENSITY = 1000.0
"""kg m-3; a depth of liquid water and a mass of it on an area are taken for the same thing."""

_SPELLINGS = {
    "": "1", "-": "1", "none": "1", "unitless": "1", "dimensionless": "1", "fraction": "1", "(0 - 1)": "1", "0-1": "1",
    "%": "percent",
    "c": "degC", "celsius": "degC", "celsius_scale": "degC", "deg_c": "degC", "degc": "degC", "degrees_c": "degC",
    "degree_c": "degC", "degrees c": "degC", "deg c": "degC", "°c": "degC", "degree celsius": "degC",
    "degrees celsius": "degC", "degree_celsius": "degC", "degrees_celsius": "degC", "centigrade": "degC",
    "f": "degF", "fahrenheit": "degF", "deg_f": "degF", "degf": "degF", "degrees_f": "degF", "°f": "degF",
    "degrees fahrenheit": "degF", "degree_fahrenheit": "degF", "degrees_fahrenheit": "degF",
    "kelvin": "K", "kelvins": "K", "degk": "K", "deg_k": "K", "degrees_k": "K", "°k": "K",
    "pascal": "Pa", "pascals": "Pa", "mb": "hPa", "mbar": "hPa", "millibar": "hPa", "millibars": "hPa",
    "hpa": "hPa", "hectopascal": "hPa", "hectopascals": "hPa",
    "gpm": "m", "geopotential meter": "m", "m of water equivalent": "m",
    "cfs": "ft**3 s**-1", "cms": "m**3 s**-1", "cumecs": "m**3 s**-1", "inches": "inch", "ppmv": "ppm",
    "degrees": "degree", "degrees_north": "degree", "degrees_east": "degree", "degree_north": "degree",
    "degree_east": "degree",
}  # fmt: skip
_WORDS = {"Kg": "kg", "KG": "kg", "M": "m", "Day": "day", "days": "day", "sec": "s", "hr": "hour", "Pascals": "Pa"}
_ONE_AT_A_TIME = threading.RLock()  # two threads would each make a registry, and units of two do not go together
_NUMBER = re.compile(r"(?:(\d+\.?\d*(?:[eE][+-]?\d+)?)|10(?:\^|\*\*)([+-]?\d+))(?=\s|$)\s*\*?\s*(.*)$")


@dataclass(frozen=True)
class Conversion:
    """The linear map ``factor * value + offset`` from one unit to another."""

    factor: float
    offset: float

    @property
    def changes(self) -> bool:
        """Whether it changes values."""
        return self.factor != 1.0 or self.offset != 0.0

    def __call__(self, values: Any) -> Any:
        """Return ``values``, a number or an array, in the other unit."""
        return values * self.factor + self.offset


def spell(units: str) -> str:
    """Return ``units`` as pint reads them.

    Examples
    --------
    >>> spell("kg m-2 s-1"), spell("Kg/m^2/s"), spell("mm d**-1"), spell("Celsius_scale")
    ('kg m**-2 s**-1', 'kg/m**2/s', 'mm d**-1', 'degC')
    """
    text = " ".join(str(units).split())
    if text.lower() in _SPELLINGS:
        return _SPELLINGS[text.lower()]
    text = re.sub(r"(?<=[A-Za-z\d])[.·](?=[A-Za-z])", " ", text).replace("^", "**")
    text = re.sub(r"[A-Za-zµμ°_%]+", lambda found: _WORDS.get(found[0], found[0]), text)
    # An exponent written straight behind its unit: m-2, m2. Not after ** and not inside a name.
    return re.sub(r"([A-Za-zµμ%])\s?(?<!\*)(-\d+|(?<=\w)\d+)(?![\w.])", r"\1**\2", text)


@functools.lru_cache(maxsize=512)
def conversion(source: str, target: str) -> Conversion:
    """Return the conversion from ``source`` to ``target`` units.

    A mass of water on an area counts as its depth, so that ``kg m-2 s-1`` becomes ``mm d-1``.

    Raises
    ------
    DataError
        If one of them is no unit, or they measure different things.

    Examples
    --------
    >>> round(conversion("kg m-2 s-1", "mm d-1").factor, 6)
    86400.0
    >>> conversion("K", "degC").offset
    -273.15
    """
    with _ONE_AT_A_TIME:
        return _converted(source, target)


def _converted(source: str, target: str) -> Conversion:
    (scale, units), (divisor, wanted) = _unit(source), _unit(target)
    if spell(source) == spell(target):
        return Conversion(1.0, 0.0)
    if units.dimensionality != wanted.dimensionality:
        density = _registry().Unit("kg m**-3")
        if (units / density).dimensionality == wanted.dimensionality:
            units, scale = units / density, scale / WATER_DENSITY
        elif (units * density).dimensionality == wanted.dimensionality:
            units, scale = units * density, scale * WATER_DENSITY
        else:
            # An amount where a rate is wanted: ERA5 says m and means what fell in the hours up to each time.
            rate = (units / _registry().Unit("day")).dimensionality == wanted.dimensionality
            more = (
                f" If the amounts are of one day each, write source_units: {source} d-1; of an hour, {source} h-1."
                if rate
                else ""
            )
            raise DataError(f"units {source!r} cannot be converted to {target!r}: they measure different things.{more}")
    quantity = _registry().Quantity
    zero = float(quantity(0.0, units).to(wanted).magnitude)
    one = float(quantity(1.0, units).to(wanted).magnitude)
    # Far apart, so that the factor of an offset unit has no rounding error to speak of.
    far = float(quantity(1e3, units).to(wanted).magnitude)
    factor = float(f"{(far - zero) / 1e3:.14g}")
    if abs(one - zero - factor) > 1e-6 * abs(factor):
        raise DataError(f"units {source!r} cannot be converted to {target!r} by a factor and an offset.")
    return Conversion(factor * scale / divisor, round(zero, 10) / divisor)


def is_unit(text: str) -> bool:
    """Whether ``text`` is a unit that can be read.

    Examples
    --------
    >>> is_unit("W m**-2"), is_unit("furlongs per whim")
    (True, False)
    """
    try:
        _unit(text)
    except DataError:
        return False
    return True


def has_offset(units: str) -> bool:
    """Whether ``units`` are a temperature scale with a zero of its own, such as degC."""
    return spell(units) in {"degC", "degF"}


@functools.lru_cache(maxsize=1)
def _registry() -> Any:
    import pint  # slow to import: half a second with its definitions

    return pint.UnitRegistry()


def _plain(text: str) -> str:
    return "dimensionless" if spell(text) == "1" else spell(text)


@functools.lru_cache(maxsize=512)
def _unit(text: str) -> tuple[float, Any]:
    """Return the number in front, as in ``1e-3 kg kg-1``, and the unit."""
    with _ONE_AT_A_TIME:
        return _parsed(text)


def _parsed(text: str) -> tuple[float, Any]:
    from tokenize import TokenError

    import pint

    number = _NUMBER.match(" ".join(str(text).split()))
    scale = float(number[1] or 10.0 ** float(number[2])) if number else 1.0
    try:
        return scale, _registry().parse_units(_plain(number[3] if number else text))
    except (
        pint.errors.PintError,
        TokenError,
        SyntaxError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
    ) as error:
        raise DataError(
            f"expected units such as 'K', 'mm d-1' or 'kg m-2 s-1', got {text!r}, which is none."
        ) from error
