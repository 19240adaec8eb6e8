"""The opening sentence of extremes and structure: what averages hide, in words, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from pipeline.report import numbers
from pipeline.report.numbers import interval, label, number, percent, with_units
from pipeline.report.sentences import named_set
from pipeline.report.study import Study

_MOST = 3


@dataclass(frozen=True)
class _Bias:
    """How a bias is told: of what, and what more and less of it are called; values times ``scale``."""

    metric: str
    what: str
    more: str
    less: str
    scale: float = 1.0
    unit: str | None = None


# The first of each line that a model has.
_TOLD = (
    (
        _Bias("bias_r01", "", "too many wet days", "too few wet days", 100.0, "percentage points"),
        _Bias("bias_txx", "hottest day of a year", "too warm", "too cool"),
        _Bias("bias_q98", "98\u00a0% quantile", "too high", "too low"),
    ),
    (
        _Bias("relative_bias_p98_wet", "98\u00a0% quantile of wet days", "too high", "too low"),
        _Bias("bias_tnn", "coldest day of a year", "too warm", "too cold"),
        _Bias("bias_q02", "2\u00a0% quantile", "too high", "too low"),
    ),
    (_Bias("bias_rx1day", "wettest day of a year", "too wet", "too dry"),),
)


@dataclass(frozen=True)
class ShortWaves:
    """Variance of fields at short waves.

    Parameters
    ----------
    length : float
        Wavelengths up to this one [km].
    share : float
        Variance of the prediction's draws there, as a share of the truth's.
    """

    length: float
    share: float

    @property
    def words(self) -> str:
        """Such as ``"40 % of the truth's variance at wavelengths of 220 km and less"``."""
        much = percent(self.share) if self.share < 2 else f"{number(self.share)} times"
        whose = "of the truth's variance" if self.share < 2 else "the truth's variance"
        return f"{much} {whose} at wavelengths of {number(self.length, 0)}\u00a0km and less"


def short_waves(wavelength: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> ShortWaves | None:
    """Return the variance at waves of up to some four cells, twice the shortest; None where the truth has none.

    Annuli are equally wide in wavenumber, so that the variance in one goes as density over wavelength.

    Examples
    --------
    >>> short_waves(np.array([400.0, 200.0, 100.0]), np.array([9.0, 4.0, 1.0]), np.array([9.0, 2.0, 0.5]))
    ShortWaves(length=200.0, share=0.5)
    """
    longest = 2.0 * float(wavelength.min())
    digits = 1 - int(np.floor(np.log10(longest)))
    few = wavelength <= longest * (1 + 1e-9)
    whole = float(np.sum(truth[few] / wavelength[few]))
    if not whole > 0.0 or not np.isfinite(prediction[few]).all():
        return None
    return ShortWaves(round(longest, digits), float(np.sum(prediction[few] / wavelength[few])) / whole)


def spectrum(data: xr.Dataset, variable: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return wavelengths, power of the truth and of the prediction; None where there are none."""
    names = ("wavelength", f"{variable}_psd_truth", f"{variable}_psd")
    if any(name not in data.variables for name in names):
        return None
    wavelength, truth, prediction = (np.asarray(data[name].values, float) for name in names)
    return (wavelength, truth, prediction) if len(wavelength) > 1 and np.isfinite(truth).all() else None


def extremes(study: Study, variable: str, data: xr.Dataset | None) -> str:
    """Say of the headline model how far its extremes are off, and how much its fields vary; empty without scores.

    Parameters
    ----------
    data : Dataset or None
        Diagnostics of the headline model.
    """
    clauses = [clause for options in _TOLD if (clause := _first(study, variable, options))]
    structure = _structure(study, variable, data)
    clauses = [*clauses[: _MOST - 1], structure] if structure and len(clauses) > _MOST - 1 else [*clauses, structure]
    clauses = [clause for clause in clauses if clause]
    if not clauses:
        return ""
    where = named_set(study.split)
    return f"On {where}, {label(study.headline)}: {'; '.join(clauses)}."


def _first(study: Study, variable: str, options: tuple[_Bias, ...]) -> str:
    for told in options:
        row = study.score(study.headline, told.metric, variable=variable)
        if row is not None:
            return _clause(told, row)
    return ""


def _clause(told: _Bias, row: pd.Series) -> str:
    value, low, high = (told.scale * float(row[key]) for key in ("value", "low", "high"))
    turn = -1.0 if value < 0 else 1.0
    known = bool(np.isfinite(low) and np.isfinite(high))
    decimals = numbers.decimals_for([value, low, high] if known else [value], 2)
    shown = with_units(number(abs(value), decimals), told.unit or str(row["units"]))
    low, high = sorted((turn * low, turn * high))
    inside = ", zero inside" if low <= 0 <= high else ""
    bounds = f" ({interval(low, high, decimals)}{inside})" if known else ""
    way = told.less if value < 0 else told.more
    return f"its {told.what} is {shown} {way}{bounds}" if told.what else f"{shown} {way}{bounds}"


def _structure(study: Study, variable: str, data: xr.Dataset | None) -> str:
    curves = None if data is None else spectrum(data, variable)
    waves = None if curves is None else short_waves(*curves)
    if waves is not None:
        return f"its fields hold {waves.words}"
    row = study.score(study.headline, "sd_ratio_draws", variable=variable)
    if row is None:
        return ""
    low, high = float(row["low"]), float(row["high"])
    bounds = f" ({interval(low, high, 2)})" if np.isfinite(low) and np.isfinite(high) else ""
    return f"its days vary {number(float(row['value']), 2)} times as much as the truth's{bounds}"
