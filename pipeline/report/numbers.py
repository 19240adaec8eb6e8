"""Numbers as readers meet them: three significant digits, a real minus sign, units with signs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

MINUS = "\u2212"
DASH = "\u2013"
MISSING = DASH
_SUPERSCRIPT = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
_PLAIN_UNITS = {
    "degC": "\u00b0C",
    "celsius": "\u00b0C",
    "Celsius": "\u00b0C",
    "percent": "%",
    "degree": "\u00b0",
    "1": "",
    "": "",
}


def decimals_for(values: Iterable[float], digits: int = 3) -> int:
    """Return the decimals at which the largest of ``values`` has ``digits`` significant digits.

    Examples
    --------
    >>> decimals_for([1.474, 0.02])
    2
    >>> decimals_for([1231.0])
    0
    """
    finite = [abs(value) for value in values if math.isfinite(value) and value != 0]
    if not finite:
        return 0
    return min(max(digits - 1 - math.floor(math.log10(max(finite))), 0), 9)


def number(value: float, decimals: int | None = None, *, sign: bool = False) -> str:
    """Return ``value`` in words for the eye; three significant digits unless ``decimals`` says else.

    Examples
    --------
    >>> number(-0.14159)
    '−0.142'
    >>> number(1234567.0)
    '1,234,567'
    >>> number(2.5e-7)
    '2.50×10⁻⁷'
    >>> number(0.5, 2, sign=True)
    '+0.50'
    """
    if not math.isfinite(value):
        return MISSING if math.isnan(value) else ("\u221e" if value > 0 else MINUS + "\u221e")
    if decimals is None and value != 0 and (abs(value) < 1e-4 or abs(value) >= 1e7):
        mantissa, exponent = f"{value:.2e}".split("e")
        return mantissa.replace("-", MINUS) + "\u00d710" + superscript(int(exponent))
    text = f"{value:,.{decimals_for([value]) if decimals is None else decimals}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")  # no "minus zero"
    if sign and value > 0 and text.strip("0."):
        text = "+" + text
    return text.replace("-", MINUS)


def superscript(value: int) -> str:
    """Return a whole number as an exponent.

    Examples
    --------
    >>> superscript(-12)
    '⁻¹²'
    """
    return str(value).translate(_SUPERSCRIPT)


def interval(low: float, high: float, decimals: int | None = None) -> str:
    """Return ``"low to high"``, both with the same decimals.

    Examples
    --------
    >>> interval(0.0903, 0.194)
    '0.090 to 0.194'
    """
    if decimals is None:
        small = max(abs(low), abs(high)) < 1e-4
        if small:
            return f"{number(low)} to {number(high)}"
        decimals = decimals_for([low, high])
    return f"{number(low, decimals)} to {number(high, decimals)}"


def percent(share: float) -> str:
    r"""Return a share in [0, 1] as per cent with as many digits as it bears.

    Examples
    --------
    >>> [percent(share).replace("\u00a0", " ") for share in (0.874, 0.004, 1.0, 0.9999, 0.99996, 0.00002)]
    ['87 %', '0.4 %', '100 %', '99.99 %', '> 99.99 %', '< 0.01 %']
    """
    if not math.isfinite(share):
        return MISSING
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f}\u00a0%"
    if 0 < value < 0.01:
        return "<\u00a00.01\u00a0%"
    if 99.995 <= value < 100:
        return ">\u00a099.99\u00a0%"
    for digits in range(3):
        text = f"{value:.{digits}f}"
        if float(text) not in (0, 100) and (digits > 0 or value >= 1):
            return f"{text}\u00a0%".replace("-", MINUS)
    return f"{value:.2f}\u00a0%".replace("-", MINUS)


def coverage(share: float) -> str:
    r"""Return how often intervals hold the truth, in tables and sentences alike.

    Examples
    --------
    >>> [coverage(share).replace("\u00a0", " ") for share in (0.9149, 0.9, 0.9997)]
    ['91.5 %', '90.0 %', '100 %']
    """
    return f"{_tenths(share)}\u00a0%"


def coverage_interval(low: float, high: float) -> str:
    r"""Return an interval of :func:`coverage`.

    Examples
    --------
    >>> coverage_interval(0.881, 0.9301).replace("\u00a0", " ")
    '88.1 to 93.0 %'
    """
    return f"{_tenths(low)} to {coverage(high)}"


def _tenths(share: float) -> str:
    value = 100 * share
    return number(value, 0 if value >= 99.95 else 1)


def units(text: str) -> str:
    """Return units as they are printed.

    Examples
    --------
    >>> units("degC"), units("kg m-2 s-1"), units("mm d**-1"), units("(mm d-1)2"), units("1")
    ('°C', 'kg m⁻² s⁻¹', 'mm d⁻¹', '(mm d⁻¹)²', '')
    """
    if text in _PLAIN_UNITS:
        return _PLAIN_UNITS[text]
    plain = re.sub(r"\*\*|\^", "", text)
    plain = re.sub(r"(?<=[A-Za-z)])(-?\d+)", lambda match: superscript(int(match[1])), plain)
    return re.sub(r"\bdegC\b", "\u00b0C", plain)


def with_units(text: str, unit: str) -> str:
    """Return a number with printed units behind it, joined by a space that does not break."""
    shown = units(unit)
    return f"{text}\u00a0{shown}" if shown else text


def duration(seconds: float) -> str:
    """Return a length of time in the two largest units.

    Examples
    --------
    >>> duration(0.123), duration(75.4), duration(7325)
    ('0.12 s', '1 min 15 s', '2 h 2 min')
    """
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return ``"1 day"`` or ``"451 days"``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listing(items: Iterable[str], last: str = "and") -> str:
    """Return ``"a, b and c"``."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


def label(name: str) -> str:
    """Return a model's or channel's name with room to break lines; of a label, the label.

    Examples
    --------
    >>> label("unet+deep_ensemble"), label("tas@-2")
    ('unet + deep ensemble', 'tas, 2 steps earlier')
    >>> label(label("unet+deep_ensemble"))
    'unet + deep ensemble'
    """
    lag = re.fullmatch(r"(.+)@-(\d+)", name)
    if lag:
        return f"{label(lag[1])}, {plural(int(lag[2]), 'step')} earlier"
    return re.sub(r" *\+ *", " + ", name).replace("_", " ")
