"""The CRPS of an ensemble at every cell."""

from __future__ import annotations

import numpy as np

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Peer, Scale, Work, copy_of, on_host
from benchmarks.speed._fields import noise
from pipeline.backend import Backend
from pipeline.prediction.members import crps_ensemble


@SPEED.register("crps")
def crps(scale: Scale) -> Case:
    """Score ten members."""
    members, days, side = 10, scale.grown(8, 120, 365), scale.fixed(4, 64, 128)
    drawn, truth = noise(members, days, side, side), noise(days, side, side, seed=1)

    def ours(backend: Backend) -> Work:
        there, true = backend.asarray(drawn), backend.asarray(truth)
        return lambda: crps_ensemble(there, true)

    def of_scores() -> Work:
        from scores.probability import crps_for_ensemble

        data, true = _labelled(drawn, truth)
        return lambda: crps_for_ensemble(data, true, "member", method="ecdf", preserve_dims="all").values

    def of_xskillscore() -> Work:
        import xskillscore

        data, true = _labelled(drawn, truth)
        return lambda: xskillscore.crps_ensemble(true, data, dim=[]).values

    return Case(
        f"{members} members, {days} days on {side} x {side} cells",
        float(truth.size),
        "values",
        ours,
        copy_of(drawn),
        (
            Peer("scores", on_host(of_scores), "scores"),
            Peer("xskillscore", on_host(of_xskillscore), "xskillscore"),
        ),
        tolerance=1e-5,
    )


def _labelled(drawn: np.ndarray, truth: np.ndarray) -> tuple:
    import xarray as xr

    return (
        xr.DataArray(drawn, dims=("member", "time", "lat", "lon")),
        xr.DataArray(truth, dims=("time", "lat", "lon")),
    )
