"""A ridge regression of every target cell on all inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Limit, Peer, Scale, Work, on_host
from benchmarks.speed._fields import noise
from benchmarks.speed._samples import samples_of
from pipeline.backend import Backend
from pipeline.model import Context

ALPHA = 100.0


@dataclass(frozen=True, eq=False)
class _Made:
    """Inputs and truth of the days that are fitted and of those that are checked."""

    days: int
    check: int
    features: int
    targets: int
    inputs: tuple[np.ndarray, np.ndarray]
    truth: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, scale: Scale) -> _Made:
        days, coarse, side = scale.grown(60, 1200, 7300), scale.fixed(3, 8, 16), scale.fixed(6, 128, 128)
        channels = 4
        features, targets = channels * coarse * coarse, side * side
        weights = noise(features, targets, seed=2)
        inputs, truth = [], []
        for seed, count in enumerate((days, max(2, days // 10))):
            inputs.append(noise(count, channels, coarse, coarse, seed=seed))
            made = inputs[-1].reshape(count, -1) @ weights + noise(count, targets, seed=3)
            truth.append(made.reshape(-1, 1, side, side))
        return cls(days, len(inputs[1]), features, targets, (inputs[0], inputs[1]), (truth[0], truth[1]))

    def ours(self, alphas: Sequence[float], backend: Backend) -> Work:
        from models import MODELS

        train, validation = (
            samples_of(*pair, backend, name=name)
            for name, *pair in zip(("train", "validation"), self.inputs, self.truth, strict=True)
        )
        kind = MODELS.get("ridge")

        def work() -> Any:
            model = kind(kind.Config.model_validate({"alphas": list(alphas)}))
            context = Context(backend, seed=0, name="ridge")
            return model.fit(train, validation, context).predict(validation, context).parameters["mean"]

        return work

    def theirs(self, alphas: Sequence[float]) -> Work:
        """Return a fit of each penalty, as whoever chooses it on later years has to make them, and the best answer."""
        from sklearn.linear_model import Ridge

        rows, columns = self.inputs[0].reshape(self.days, -1), self.truth[0].reshape(self.days, -1)
        asked, known = self.inputs[1].reshape(self.check, -1), self.truth[1].reshape(self.check, -1)

        def work() -> Any:
            answers = (Ridge(alpha=alpha).fit(rows, columns).predict(asked) for alpha in alphas)
            best = (
                next(answers) if len(alphas) == 1 else min(answers, key=lambda answer: np.square(answer - known).sum())
            )
            return best.reshape(self.truth[1].shape)

        return work

    def case(self, alphas: Sequence[float], words: str) -> Case:
        def products(backend: Backend) -> Work:
            rows = backend.asarray(self.inputs[0].reshape(self.days, -1), backend.xp.float64)
            columns = backend.asarray(self.truth[0].reshape(self.days, -1), backend.xp.float64)
            return lambda: (rows.T @ rows, rows.T @ columns)

        return Case(
            f"{words} of {self.targets} targets on {self.features} inputs, {self.days} days; predict {self.check}",
            2.0 * self.days * self.features * (self.features + self.targets) / 1e9,
            "GFLOP",
            partial(self.ours, alphas),
            Limit("the two matrix products alone, float64", products),
            (Peer("scikit-learn", on_host(partial(self.theirs, alphas))),),
            tolerance=1e-3,
        )


@SPEED.register("ridge")
def ridge(scale: Scale) -> Case:
    """Fit with one penalty and predict a tenth of the days, which the penalty is chosen on."""
    return _Made.of(scale).case([ALPHA], "fit")


@SPEED.register("ridge-choice")
def ridge_choice(scale: Scale) -> Case:
    """Fit with the nine penalties that a ridge has by default, and predict with the best of them."""
    from models.ridge import RidgeConfig

    alphas = RidgeConfig().alphas
    return _Made.of(scale).case(alphas, f"choice among {len(alphas)} penalties")
