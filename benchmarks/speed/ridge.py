"""A ridge regression of every target cell on all inputs."""

from __future__ import annotations

from typing import Any

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Limit, Peer, Scale, Work, on_host
from benchmarks.speed._fields import noise
from benchmarks.speed._samples import samples_of
from pipeline.backend import Backend
from pipeline.model import Context

ALPHA = 100.0


@SPEED.register("ridge")
def ridge(scale: Scale) -> Case:
    """Fit with one penalty and predict a tenth of the days, which the penalty is chosen on."""
    days, coarse, side = scale.grown(60, 1200, 7300), scale.fixed(3, 8, 16), scale.fixed(6, 128, 128)
    channels = 4
    check = max(2, days // 10)
    inputs = [noise(count, channels, coarse, coarse, seed=seed) for seed, count in enumerate((days, check))]
    weights = noise(channels * coarse * coarse, side * side, seed=2)
    truth = [
        (part.reshape(len(part), -1) @ weights + noise(len(part), side * side, seed=3)).reshape(-1, 1, side, side)
        for part in inputs
    ]
    features = channels * coarse * coarse

    def ours(backend: Backend) -> Work:
        from models import MODELS

        train, validation = (
            samples_of(*pair, backend, name=name)
            for name, *pair in zip(("train", "validation"), inputs, truth, strict=True)
        )
        kind = MODELS.get("ridge")

        def work() -> Any:
            model = kind(kind.Config.model_validate({"alphas": [ALPHA]}))
            context = Context(backend, seed=0, name="ridge")
            return model.fit(train, validation, context).predict(validation, context).parameters["mean"]

        return work

    def theirs() -> Work:
        from sklearn.linear_model import Ridge

        rows, columns = inputs[0].reshape(days, -1), truth[0].reshape(days, -1)
        return lambda: (
            Ridge(alpha=ALPHA).fit(rows, columns).predict(inputs[1].reshape(check, -1)).reshape(truth[1].shape)
        )

    def products(backend: Backend) -> Work:
        rows = backend.asarray(inputs[0].reshape(days, -1), backend.xp.float64)
        columns = backend.asarray(truth[0].reshape(days, -1), backend.xp.float64)
        return lambda: (rows.T @ rows, rows.T @ columns)

    return Case(
        f"fit of {side * side} targets on {features} inputs, {days} days; predict {check}",
        2.0 * days * features * (features + side * side) / 1e9,
        "GFLOP",
        ours,
        Limit("the two matrix products alone, float64", products),
        (Peer("scikit-learn", on_host(theirs)),),
        tolerance=1e-3,
    )
