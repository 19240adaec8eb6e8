"""Between fields on a grid and the rows of cells that scores work on."""

from __future__ import annotations

from collections.abc import Sequence

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.errors import DataError
from pipeline.metrics import Array, Case
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Forecast


def cases_of(forecast: Forecast, climatology: Forecast, names: Sequence[str], mask: np.ndarray) -> dict[str, Case]:
    """Return one case a target of a forecast whose split has truth.

    Parameters
    ----------
    forecast : Forecast
        What is scored.
    climatology : Forecast
        The train split's climatology as a forecast of the same times.
    names : sequence of str
        Names of the targets, in array order.
    mask : ndarray of bool, shape (lat, lon)
        Cells that are scored.

    Raises
    ------
    DataError
        If the split has no truth, or the climatology is of other times.
    """
    if forecast.truth is None:
        raise DataError(f"expected truth on {forecast.split!r}, got none: the split can be predicted and not scored.")
    if not np.array_equal(forecast.time, climatology.time):
        raise DataError(
            f"expected the climatology for the {len(forecast.time)} times of {forecast.split!r}, "
            f"got {len(climatology.time)} times of {climatology.split!r} that differ."
        )

    def rows(prediction: Prediction, target: int) -> Prediction:
        return prediction.map(lambda array: in_rows(array[..., target, :, :], mask))

    return {
        name: Case(
            rows(forecast.prediction, target),
            in_rows(forecast.truth[:, target, :, :], mask),
            rows(climatology.prediction, target),
        )
        for target, name in enumerate(names)
    }


def in_rows(field: Array, mask: np.ndarray) -> Array:
    """Return the cells of ``mask`` in one row: (..., lat, lon) becomes (..., cell).

    Examples
    --------
    >>> in_rows(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[True, False], [True, True]]))
    array([1., 3., 4.])
    """
    xp = array_namespace(field)
    cells = xp.asarray(np.flatnonzero(mask), device=array_api_compat.device(field))
    return xp.take(xp.reshape(field, (*field.shape[:-2], mask.size)), cells, axis=-1)


def on_grid(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return fields of float32 from rows of cells, NaN outside ``mask``: (..., cell) becomes (..., lat, lon).

    Examples
    --------
    >>> on_grid(np.array([1.0, 3.0, 4.0]), np.array([[True, False], [True, True]]))
    array([[ 1., nan],
           [ 3.,  4.]], dtype=float32)
    """
    field = np.full((*values.shape[:-1], *mask.shape), np.nan, np.float32)
    field[..., mask] = values
    return field
