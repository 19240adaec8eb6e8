"""Files read into memory: packed netCDF-4 as archives hold it, and rows in random order as training takes them.

Files were written just before, so that they come from the system's cache: what is timed is the work of the processor.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Limit, Peer, Scale, Work, megabytes, on_host
from benchmarks.speed._fields import noise
from pipeline.backend import Backend
from pipeline.rows import Stored, keep_rows


@SPEED.register("read-packed")
def read_packed(scale: Scale) -> Case:
    """Read a packed netCDF-4 variable, as most archives are, whole."""
    days, side = scale.grown(4, 1000, 4000), scale.fixed(16, 128, 256)
    values = np.round(noise(days, side, side) + 280.0, 2)
    path = _folder() / f"packed-{days}-{side}.nc"
    _write_packed(path, values)
    plain = _folder() / f"plain-{days}-{side}.npy"
    np.save(plain, values)

    def ours(backend: Backend) -> Work:
        from pipeline.data.netcdf import open_netcdf

        def read() -> np.ndarray:
            with open_netcdf(path, None, None) as data:
                return np.asarray(data["tas"].values)

        return read

    def library() -> Work:
        import xarray as xr

        def read() -> np.ndarray:
            with xr.open_dataset(path, engine="netcdf4", cache=False) as data:
                return np.asarray(data["tas"].values)

        return read

    def unpacked(backend: Backend) -> Work:
        return lambda: Stored.open(plain, backend)[:]

    return Case(
        f"a packed netCDF-4 variable of {days} days on {side} x {side} cells, chunks of ten days",
        megabytes(values),
        "MB",
        ours,
        Limit("the same values read from a file that is not packed", unpacked),
        (Peer("xarray, netCDF4", on_host(library)),),
        tolerance=0.0,
        comparable=False,
    )


@SPEED.register("read-rows")
def read_rows(scale: Scale) -> Case:
    """Read the batches of an epoch from a file, days in random order."""
    days, side, batch = scale.grown(64, 4000, 16000), scale.fixed(8, 48, 96), 32
    values = noise(days, 2, side, side)
    path = _folder() / f"rows-{days}-{side}.npy"
    from pipeline.backend import get_backend

    keep_rows(path, values, get_backend("cpu"))
    order = np.random.default_rng(0).permutation(days)
    batches = [order[start : start + batch] for start in range(0, days, batch)]

    def ours(backend: Backend) -> Work:
        rows = Stored.open(path, backend)
        return lambda: [rows[index] for index in batches][-1]

    def mapped() -> Work:
        return lambda: [np.load(path, mmap_mode="r")[index] for index in batches][-1]

    def in_memory(backend: Backend) -> Work:
        there = backend.asarray(values)
        picked = [backend.asarray(index) for index in batches]
        return lambda: [backend.xp.take(there, index, axis=0) for index in picked][-1]

    return Case(
        f"an epoch of {days} days, 2 channels on {side} x {side} cells, in batches of {batch} in random order",
        megabytes(values),
        "MB",
        ours,
        Limit("the same batches taken from memory", in_memory),
        (Peer("numpy.load, mapped", on_host(mapped)),),
        tolerance=0.0,
    )


def _write_packed(path: Path, values: np.ndarray) -> None:
    import netCDF4

    with netCDF4.Dataset(path, "w") as file:
        for name, size in zip(("time", "lat", "lon"), values.shape, strict=True):
            file.createDimension(name, size)
        chunks = (min(10, len(values)), *values.shape[1:])
        options = {"zlib": True, "complevel": 1, "shuffle": True, "chunksizes": chunks}
        file.createVariable("tas", "f4", ("time", "lat", "lon"), **options)[:] = values


@cache
def _folder() -> Path:
    """Return a folder for the files, which goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="finescale-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
