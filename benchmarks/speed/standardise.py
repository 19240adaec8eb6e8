"""Means and deviations of every cell, and values in units of them."""

from __future__ import annotations

import numpy as np

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Peer, Scale, Work, copy_of, megabytes, on_host
from benchmarks.speed._fields import DAYS, all_of, noise
from pipeline.backend import Backend
from pipeline.prepare.scaling import Standardiser


@SPEED.register("standardise")
def standardise(scale: Scale) -> Case:
    """Fit on all days, then transform them."""
    days, side = scale.grown(1, 8, 16) * DAYS, scale.fixed(4, 64, 128)
    values, split = noise(days, 2, side, side), all_of(days)

    def ours(backend: Backend) -> Work:
        there = backend.asarray(values)
        return lambda: Standardiser.fit(there, split, per="per_cell", names=("a", "b")).transform(there)

    def of_sklearn() -> Work:
        from sklearn.preprocessing import StandardScaler

        rows = values.reshape(days, -1)
        return lambda: StandardScaler().fit_transform(rows).reshape(values.shape)

    def of_xarray() -> Work:
        import xarray as xr

        data = xr.DataArray(values, dims=("time", "channel", "lat", "lon"))
        return lambda: ((data - data.mean("time", dtype=np.float64)) / data.std("time", dtype=np.float64)).values

    return Case(
        f"fit and transform, cell by cell; {days} days of 2 channels on {side} x {side} cells",
        megabytes(values),
        "MB",
        ours,
        copy_of(values),
        (Peer("scikit-learn", on_host(of_sklearn)), Peer("xarray", on_host(of_xarray))),
        tolerance=1e-5,
    )
