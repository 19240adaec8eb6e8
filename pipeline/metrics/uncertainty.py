"""How unsure a model is and why, by cell and by time: the parts of its uncertainty, beside its error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import array_api_compat
import numpy as np
import xarray as xr

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import Array, Case
from pipeline.metrics.blocks import has_dates
from pipeline.metrics.deterministic import error
from pipeline.metrics.pooling import pooled
from pipeline.metrics.sums import chunks, clean
from pipeline.units import of_variance

_VALUES = 2**21  # times times cells times members or classes at a time: 16 MiB of float64 for each array on the way
_ERRORS = {
    "variance": ("squared_error", "square of the error of {}"),
    "entropy": ("error_rate", "share of the area with a wrong class of {}"),
}


@dataclass(frozen=True, eq=False)
class UncertaintySeries:
    """Means over the area of the cells with truth, by time; float64, on the host, NaN where none has truth.

    Parameters
    ----------
    time : ndarray, shape (time,)
        ``datetime64`` or cftime objects: when forecasts of several leads were made, else what they are for. Whole
        numbers for tiles of images.
    valid : ndarray, shape (time, lead), or None
        Of several leads: what times they are for.
    measure : {"variance", "entropy"}
        What the parts are, in the square of the units or in nat.
    aleatoric, epistemic : ndarray of shape (time,) or (time, lead), or None
        The parts of the uncertainty; None for one that the family does not have.
    error : ndarray, shape (time,) or (time, lead)
        Square of the error of the mean; of classes the share of the area where the most likely one is wrong.
    area : ndarray, shape (time,) or (time, lead)
        Weight of the cells with truth, by which means of several times are to be weighed.
    """

    time: np.ndarray
    valid: np.ndarray | None
    measure: str
    aleatoric: np.ndarray | None
    epistemic: np.ndarray | None
    error: np.ndarray
    area: np.ndarray


def mean_uncertainties(case: Case) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the means over time of the (aleatoric, epistemic) parts, shape (cell,), on the host.

    Parameters
    ----------
    case : Case
        Times without truth do not count.

    Returns
    -------
    tuple of ndarray or None
        NaN for a cell without truth; None for a part that the family does not have.

    Examples
    --------
    >>> from pipeline.prediction import Prediction
    >>> said = Prediction("normal", {"mean": np.zeros((2, 1)), "sd": np.array([[1.0], [3.0]])})
    >>> mean_uncertainties(Case(said, np.zeros((2, 1)), said))
    (array([5.]), None)
    """
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for cells in chunks(case):
        chunk = case.select(cells, -1)
        count = np.asarray(to_host(array_namespace(chunk.valid).count_nonzero(chunk.valid, axis=0)))
        for found, values in zip(parts, chunk.prediction.uncertainties(), strict=True):
            if values is not None:
                kept = clean(values, chunk.valid)
                total = to_host(array_namespace(kept).sum(kept, axis=0))
                found.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    aleatoric, epistemic = (np.concatenate(part) if part else None for part in parts)
    return aleatoric, epistemic


def uncertainty_series(
    case: Case, weights: np.ndarray, time: np.ndarray, valid: np.ndarray | None = None
) -> UncertaintySeries | None:
    """Return how unsure a model was by time; None for a point forecast.

    Parameters
    ----------
    case : Case
        Of shape (time, cell), the cells of several leads behind one another.
    weights : ndarray, shape (cell,)
        Area weights.
    time, valid : ndarray
        See :class:`UncertaintySeries`.

    Examples
    --------
    >>> from pipeline.prediction import Prediction
    >>> said = Prediction("normal", {"mean": np.zeros((2, 2)), "sd": np.array([[1.0, 3.0], [2.0, 2.0]])})
    >>> found = uncertainty_series(Case(said, np.ones((2, 2)), said), np.ones(2), np.arange(2))
    >>> found.aleatoric.tolist(), found.epistemic, found.error.tolist()
    ([5.0, 4.0], None, [1.0, 1.0])
    """
    shape = (len(time),) if valid is None else valid.shape
    rows = [_area_means(part, weights, 1 if valid is None else shape[1]) for part in _time_parts(case)]
    aleatoric, epistemic, missed, area = (
        None if column[0] is None else np.concatenate(column).reshape(shape) for column in zip(*rows, strict=True)
    )
    if aleatoric is None and epistemic is None:
        return None
    assert missed is not None  # there is always an error
    assert area is not None
    return UncertaintySeries(time, valid, case.prediction.formulas.measure, aleatoric, epistemic, missed, area)


def _time_parts(case: Case) -> Iterator[Case]:
    """Yield the case some times at a time."""
    times, cells = case.truth.shape
    wide = max(1, case.prediction.member_count, case.prediction.class_count)
    width = max(1, _VALUES // max(1, cells * wide))
    for start in range(0, times, width):
        yield case.select(slice(start, min(start + width, times)), -2)


def _area_means(case: Case, weights: np.ndarray, leads: int) -> tuple[np.ndarray | None, ...]:
    """Return both parts and the error, each as its area mean of shape (time, lead), and the area."""
    xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
    area = xp.reshape(xp.asarray(weights, dtype=xp.float64, device=device), (leads, -1))

    def by_lead(values: Array) -> Array:
        return xp.reshape(values, (values.shape[0], leads, -1))

    count = by_lead(xp.astype(case.valid, xp.float64))
    found = [
        None if values is None else pooled(count, by_lead(clean(values, case.valid)), area)
        for values in (*case.prediction.uncertainties(), _missed(case))
    ]
    found.append(xp.sum(count * area, axis=-1))
    return tuple(None if values is None else np.asarray(to_host(values), float) for values in found)


def _missed(case: Case) -> Array:
    if case.prediction.is_categorical:
        return case.mean != case.truth
    return error(case) ** 2


def to_variables(found: Mapping[str, UncertaintySeries | None], units: Mapping[str, str]) -> dict[str, xr.Variable]:
    """Return ``<variable>_<part>_by_time`` for files: both parts, the error and the area, with their times.

    Parameters
    ----------
    found : mapping of str to UncertaintySeries or None
        By variable, all of the same times; those without are left out.
    units : mapping of str to str
        Units of each variable.

    Examples
    --------
    >>> one = UncertaintySeries(np.arange(2), None, "entropy", np.ones(2), None, np.zeros(2), np.ones(2))
    >>> sorted(to_variables({"mask": one}, {"mask": "1"}))
    ['mask_aleatoric_by_time', 'mask_area_by_time', 'mask_error_rate_by_time', 'tile']
    """
    parts: dict[str, xr.Variable] = {}
    for variable, series in found.items():
        if series is None:
            continue
        times = _times(series)
        parts |= times
        dims = (*next(iter(times.values())).dims, *(() if series.valid is None else ("lead",)))
        name, words = _ERRORS[series.measure]
        nat = " [nat]" if series.measure == "entropy" else ""
        said = {
            "aleatoric": (series.aleatoric, f"aleatoric {series.measure} of {variable}{nat}"),
            "epistemic": (series.epistemic, f"epistemic {series.measure} of {variable}{nat}"),
            name: (series.error, words.format(variable)),
        }
        squared = of_variance(units[variable]) if series.measure == "variance" else "1"
        for part, (values, label) in said.items():
            if values is not None:
                attrs = {"long_name": f"{label}, mean over the area", "units": squared}
                parts[f"{variable}_{part}_by_time"] = xr.Variable(dims, values, attrs)
        attrs = {"long_name": f"area of the cells with truth of {variable}, as the sum of their weights", "units": "1"}
        parts[f"{variable}_area_by_time"] = xr.Variable(dims, series.area, attrs)
    return parts


def _times(series: UncertaintySeries) -> dict[str, xr.Variable]:
    """Return the coordinates, that of the leading dim first."""
    if not has_dates(series.time):
        return {"tile": xr.Variable("tile", series.time, {"long_name": "number of the tile"})}
    if series.valid is None:
        return {"time": xr.Variable("time", series.time, {"standard_name": "time", "long_name": "time"})}
    made = {"standard_name": "forecast_reference_time", "long_name": "time of the forecast"}
    ahead = {"standard_name": "time", "long_name": "time that is forecast"}
    return {
        "time": xr.Variable("time", series.time, made),
        "valid_time": xr.Variable(("time", "lead"), series.valid, ahead),
    }
