"""What leaving out the least sure does to the error of a model, in numbers and a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.report.numbers import label, percent
from pipeline.report.study import Study

HALF = 0.5
_LITTLE = 0.02  # of the RMSE


@dataclass(frozen=True, eq=False)
class Sparsified:
    """RMSE of what is left as a share of that of all, by the share left out; arrays of shape (share,)."""

    share: np.ndarray
    by_spread: np.ndarray
    oracle: np.ndarray

    @classmethod
    def of(cls, data: xr.Dataset | None, variable: str) -> Sparsified | None:
        """Return what the diagnostics say; None where they say nothing."""
        names = [f"{variable}_sparsification_{part}" for part in ("share", "by_spread", "oracle")]
        if data is None or any(name not in data for name in names):
            return None
        found = cls(*(np.asarray(data[name].values, float) for name in names))
        return found if np.isfinite(found.by_spread).all() else None

    def at(self, share: float) -> tuple[float, float]:
        """Return by how much the error is lower with a share left out, by spread and at best."""
        own, best = (float(np.interp(share, self.share, curve)) for curve in (self.by_spread, self.oracle))
        return 1.0 - own, 1.0 - best


def sentence(study: Study, variable: str, data: xr.Dataset | None) -> str:
    """Say whether the spread of the headline model tells where its errors are; empty where that is not known."""
    found = Sparsified.of(data, variable)
    if found is None:
        return ""
    lower, best = found.at(HALF)
    what = f"{study.step}s" if study.run.is_series else f"{study.step}s and places"
    left_out = f"leaving out the half of the {what} that {label(study.headline)} is least sure of"
    if lower < -_LITTLE:
        return f"Its spread misleads: {left_out} raises the RMSE of the rest by {percent(-lower)}."
    if lower < _LITTLE:
        return f"Its spread does not say where errors are large: {left_out} leaves the RMSE of the rest as it is."
    return (
        f"Its spread says where errors are large: {left_out} lowers the RMSE by {percent(lower)}; leaving out the half "
        f"with the largest errors, which nobody knows beforehand, would lower it by {percent(best)}."
    )
