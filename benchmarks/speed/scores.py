"""RMSE, MAE, bias and correlation of every cell over time."""

from __future__ import annotations

import numpy as np

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case as Benchmark
from benchmarks.speed._case import Peer, Scale, Work, copy_of, on_host
from benchmarks.speed._fields import noise
from pipeline.backend import Backend
from pipeline.metrics import METRICS
from pipeline.metrics.case import Case
from pipeline.metrics.sums import clean
from pipeline.prediction import Prediction

NAMES = ("rmse", "mae", "bias", "pearson_r")


@SPEED.register("scores")
def scores(scale: Scale) -> Benchmark:
    """Score a prediction without spread; answers are (score, cell)."""
    days, side = scale.grown(60, 730, 3650), scale.fixed(4, 64, 128)
    cells = side * side
    truth = noise(days, cells)
    mean = truth + noise(days, cells, seed=1)

    def ours(backend: Backend) -> Work:
        from pipeline.metrics.sums import chunks

        there, true = backend.asarray(mean), backend.asarray(truth)
        xp, metrics = backend.xp, [METRICS.get(name)() for name in NAMES]

        def work() -> object:
            # A new case each time: a case keeps what it has worked out.
            case = Case(Prediction("point", {"mean": there}), true, Prediction("point", {"mean": true}))
            parts = []
            for some in chunks(case):
                part = case.select(some, -1)
                count = xp.sum(xp.astype(part.valid, xp.float64), axis=0)
                found = []
                for metric in metrics:
                    sums = tuple(xp.sum(clean(term, part.valid), axis=0) for term in metric.terms(part))
                    found.append(metric.value(count, sums, None))
                parts.append(xp.stack(found))
            return xp.concat(parts, axis=1)

        return work

    def of_scores() -> Work:
        from scores.continuous import additive_bias, mae, rmse
        from scores.continuous.correlation import pearsonr

        there, true = _labelled(mean, truth)
        return lambda: np.stack(
            [each(there, true, reduce_dims="time").values for each in (rmse, mae, additive_bias, pearsonr)]
        )

    def of_xskillscore() -> Work:
        import xskillscore

        there, true = _labelled(mean, truth)
        return lambda: np.stack(
            [
                getattr(xskillscore, name)(*pair, "time").values
                for name, pair in (
                    ("rmse", (there, true)),
                    ("mae", (there, true)),
                    ("me", (there, true)),
                    ("pearson_r", (there, true)),
                )
            ]
        )

    return Benchmark(
        f"RMSE, MAE, bias and correlation of every cell; {days} days on {side} x {side} cells",
        float(truth.size),
        "values",
        ours,
        copy_of(mean, truth),
        (
            Peer("scores", on_host(of_scores), "scores"),
            Peer("xskillscore", on_host(of_xskillscore), "xskillscore"),
        ),
        tolerance=1e-4,
    )


def _labelled(mean: np.ndarray, truth: np.ndarray) -> tuple:
    import xarray as xr

    return xr.DataArray(mean, dims=("time", "cell")), xr.DataArray(truth, dims=("time", "cell"))
