"""Fields carried to a grid of twice as many rows and columns."""

from __future__ import annotations

from typing import Literal

import numpy as np

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Peer, Scale, Work, copy_of, on_host
from benchmarks.speed._fields import grid, noise
from pipeline.backend import Backend
from pipeline.prepare.regrid import Regridder


@SPEED.register("regrid-bilinear")
def bilinear(scale: Scale) -> Case:
    """Carry fields linearly along both axes."""
    return _case(scale, "bilinear")


@SPEED.register("regrid-conservative")
def conservative(scale: Scale) -> Case:
    """Carry fields by overlapping areas."""
    return _case(scale, "conservative")


def _case(scale: Scale, method: Literal["bilinear", "conservative"]) -> Case:
    days, side = scale.grown(8, 365, 3650), scale.fixed(6, 64, 64)
    source, target = grid(side, side), grid(2 * side, 2 * side)
    regridder, values = Regridder.between(source, target, method), noise(days, side, side)
    shape = (days, *target.shape)

    def ours(backend: Backend) -> Work:
        there = backend.asarray(values)
        return lambda: regridder(there)

    def sparse() -> Work:
        from scipy.sparse import csr_matrix

        weights = csr_matrix(regridder.matrix().astype(np.float32))
        return lambda: (weights @ values.reshape(days, -1).T).T.reshape(shape)

    def of_xarray() -> Work:
        import xarray as xr

        data = xr.DataArray(
            values, dims=("time", "lat", "lon"), coords={"lat": source.lat, "lon": source.lon}, name="field"
        )
        return lambda: data.interp(lat=target.lat, lon=target.lon).values

    peers = (Peer("scipy.sparse", on_host(sparse)),)
    if method == "bilinear":
        peers = (Peer("xarray interp", on_host(of_xarray)), *peers)
    return Case(
        f"{days} fields from {side} x {side} to {2 * side} x {2 * side} cells",
        float(days),
        "fields",
        ours,
        copy_of(values, np.zeros(shape, np.float32)),
        peers,
        tolerance=1e-5,
    )
