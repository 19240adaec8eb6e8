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


@dataclass(frozen=True)
class _Bias:
    """How a bias is told: of what, and what more and less of it are called; values times ``scale``."""

    metric: str
    what: str
    more: str
    less: str
    scale: float = 1.0
    unit: str | None = None


_YEARLY = " of a year"
_OWN_DAYS = frozenset({"point", "members"})  # families whose days are the model's own
# Of each group, the first that the model has.
_TOLD = (
    (
        _Bias("bias_r01", "", "too many wet days", "too few wet days", 100.0, "percentage points"),
        _Bias("bias_txx", "hottest day of a year", "too warm", "too cool"),
        _Bias("bias_q98", "98\u00a0% quantile", "too high", "too low"),
    ),
    (
        _Bias("relative_bias_p98_wet", "98\u00a0% quantile of wet days", "too high", "too low"),
        _Bias("bias_tnn", "coldest day of a year", "too warm", "too cold"),
        _Bias("bias_rx1day", "wettest day of a year", "too wet", "too dry"),
        _Bias("bias_q02", "2\u00a0% quantile", "too high", "too low"),
    ),
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


def without_members(study: Study, model: str) -> bool:
    """Whether a model gives a distribution without members, whose draws are independent between cells and days."""
    predictions = study.run.predictions(model)
    if predictions is None:
        return False
    with predictions:
        return str(predictions.attrs.get("family", "point")) not in _OWN_DAYS


def extremes(study: Study, variable: str, data: xr.Dataset | None) -> str:
    """Say of the headline model how far its extremes are off, and how much its fields vary; empty without scores.

    Parameters
    ----------
    data : Dataset or None
        Diagnostics of the headline model.
    """
    clauses = [clause for options in _TOLD if (clause := _first(study, variable, options)) is not None]
    structure = _structure(study, variable, data)
    clauses += [structure] if structure is not None else []
    if not clauses:
        return ""
    told = [clauses[0].of(label(study.headline)), *(clause.of("") for clause in clauses[1:])]
    return f"On {named_set(study.split)}, {numbers.listing(told)}."


@dataclass(frozen=True)
class _Clause:
    """A part of the sentence: of what of the model (itself, where empty), and what is said of it."""

    what: str
    said: str

    def of(self, model: str) -> str:
        """Return it of a model by its name; of the one named before where that is empty."""
        subject = (f"the {self.what} of {model}" if model else f"its {self.what}") if self.what else model or "it"
        return f"{subject} {self.said}"


def _first(study: Study, variable: str, options: tuple[_Bias, ...]) -> _Clause | None:
    for told in options:
        row = study.score(study.headline, told.metric, variable=variable)
        if row is not None:
            return _clause(told, row, study.sampling.part if study.sampling else "")
    return None


def _clause(told: _Bias, row: pd.Series, part: str) -> _Clause:
    """Return what is said of a bias; ``part`` is what a year holds where that is not all of it."""
    value, low, high = (told.scale * float(row[key]) for key in ("value", "low", "high"))
    turn = -1.0 if value < 0 else 1.0
    known = bool(np.isfinite(low) and np.isfinite(high))
    decimals = numbers.decimals_for([value, low, high] if known else [value], 2)
    shown = with_units(number(abs(value), decimals), told.unit or str(row["units"]))
    low, high = sorted((turn * low, turn * high))
    inside = ", zero inside" if low <= 0 <= high else ""
    bounds = f" ({interval(low, high, decimals)}{inside})" if known else ""
    way = told.less if value < 0 else told.more
    said = f"{'is' if told.what else 'gives'} {shown} {way}{bounds}"
    if part and told.what.endswith(_YEARLY):
        return _Clause(told.what.removesuffix(_YEARLY), f"in {part} {said}")
    return _Clause(told.what, said)


def _structure(study: Study, variable: str, data: xr.Dataset | None) -> _Clause | None:
    curves = None if data is None else spectrum(data, variable)
    waves = None if curves is None else short_waves(*curves)
    if waves is not None:
        if without_members(study, study.headline):
            return _Clause("draws", f"are independent from cell to cell and hold {waves.words}")
        return _Clause("fields", f"hold {waves.words}")
    row = study.score(study.headline, "sd_ratio_draws", variable=variable)
    if row is None:
        return None
    low, high = float(row["low"]), float(row["high"])
    bounds = f" ({interval(low, high, 2)})" if np.isfinite(low) and np.isfinite(high) else ""
    return _Clause(f"{study.step}s", f"vary {number(float(row['value']), 2)} times as much as the truth's{bounds}")
