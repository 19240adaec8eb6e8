"""Anomalies from a day-of-year climatology, and the climatology itself, beside xarray's groupby."""

from __future__ import annotations

import numpy as np

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Peer, Scale, Wanted, Work, copy_of, megabytes, on_host
from benchmarks.speed._fields import DAYS, all_of, noise, phase
from pipeline.backend import Backend
from pipeline.prepare.climatology import Climatology, harmonics_of

HARMONICS = 2


def made(scale: Scale) -> tuple[np.ndarray, str]:
    """Return years of made days, shape (time, 1, lat, lon), and what they are."""
    years, side = scale.grown(4, 16, 32), scale.fixed(4, 64, 128)
    return noise(years * DAYS, 1, side, side), f"{years} years of days on {side} x {side} cells"


@SPEED.register("anomalies")
def anomalies(scale: Scale) -> Case:
    """Return values less the mean of their day, the climatology being known."""
    values, words = made(scale)
    days = len(values)
    rng, cells = np.random.default_rng(1), values.shape[1:]
    mean, one = rng.standard_normal((1 + 2 * HARMONICS, *cells)), np.ones((1 + 2 * HARMONICS, *cells))

    def on(backend: Backend) -> Climatology:
        return Climatology(*(backend.asarray(part) for part in (mean, one, one[0])), HARMONICS, HARMONICS, 0)

    def ours(backend: Backend) -> Work:
        climatology, there, when = on(backend), backend.asarray(values), phase(days)
        return lambda: climatology.anomalies(there, when)

    def theirs(backend: Backend) -> Work:
        import xarray as xr

        number = np.arange(days) % DAYS
        data = xr.DataArray(values[:, 0], dims=("time", "lat", "lon"), coords={"day": ("time", number)})
        known = on(backend).mean_at(np.arange(DAYS) / DAYS)[:, 0]
        usual = xr.DataArray(known, dims=("day", "lat", "lon"), coords={"day": np.arange(DAYS)})
        return lambda: (data.groupby("day") - usual).values[:, None]

    return Case(
        f"values less their day's mean; {words}",
        megabytes(values),
        "MB",
        ours,
        copy_of(values),
        (Peer("xarray groupby", theirs),),
        tolerance=1e-6,
        wanted=Wanted(peer=8.0, cpu=0.25, gpu=0.5),
    )


@SPEED.register("climatology")
def climatology(scale: Scale) -> Case:
    """Fit mean and variance of the day of the year.

    Over whole years two harmonics of all days are those of the days' means, by which both are compared.
    """
    values, words = made(scale)
    days = len(values)
    split = all_of(days)

    def ours(backend: Backend) -> Work:
        there = backend.asarray(values)
        return lambda: Climatology.fit(there, split, harmonics=HARMONICS).mean

    def theirs() -> Work:
        import xarray as xr

        number = np.arange(days) % DAYS
        data = xr.DataArray(values, dims=("time", "variable", "lat", "lon"), coords={"day": ("time", number)})
        waves = harmonics_of(np.arange(DAYS) / DAYS, HARMONICS) / DAYS

        def work() -> np.ndarray:
            groups = data.groupby("day")
            mean, variance = groups.mean("time"), groups.var("time")
            return np.tensordot(waves.T, mean.values.astype(float), 1) + 0.0 * float(variance.values.flat[0])

        return work

    return Case(
        f"mean and variance of the day of the year, {HARMONICS} harmonics; {words}",
        megabytes(values),
        "MB",
        ours,
        copy_of(values),
        (Peer("xarray groupby", on_host(theirs)),),
        tolerance=1e-5,
    )
