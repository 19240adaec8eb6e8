"""Permutation importance: how much worse the predictions get when one channel is shuffled in time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipeline.attribution import ATTRIBUTIONS, Attribution, AttributionMethod, Case, Finding
from pipeline.attribution.question import Question
from pipeline.backend import array_namespace
from pipeline.errors import DataError
from pipeline.model import Context, Model
from pipeline.model_config import ModelConfig
from pipeline.samples import Samples

_LEAST_BLOCKS = 10


class PermutationConfig(ModelConfig):
    """Options of permutation importance."""

    repeats: int = Field(default=10, ge=2, description="How often each channel is shuffled.")
    block: float = Field(default=5.0, gt=0, description="Days that stay together when shuffled.")
    lags: Literal["apart", "together"] = Field(
        default="apart",
        description="'together': a variable is shuffled with all its lags, which then share one number.",
    )


@ATTRIBUTIONS.register("permutation")
class Permutation(AttributionMethod):
    """Permutation importance (Breiman 2001, doi:10.1023/A:1010933404324; Fisher et al. 2019, arXiv:1801.01489).

    A channel is cut in blocks of days, the blocks are put in another order, and the RMSE of the
    mean over the question's cells is taken again; importance is its increase. Blocks keep the
    weather's persistence, but not the season: where inputs carry the seasonal cycle, its loss counts
    too. Channels that say the same stand in for each other, so each alone may look small: the
    increase with all shuffled together is among the checks. Every channel gets the same orders, so
    their differences do not come from luck. Works for every model; costs ``repeats`` predictions a
    channel.
    """

    Config: ClassVar[type[ModelConfig]] = PermutationConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})
    quantities: ClassVar[frozenset[str]] = frozenset({"mean"})
    title: ClassVar[str] = "Permutation importance"

    def explain(self, case: Case) -> Attribution:
        """Explain the question of ``case``; ``low, high`` are the t interval of the mean increase over repeats.

        Checked are that there are ten blocks or more, and that shuffling all channels together makes the
        predictions worse beyond chance, or changes nothing at all.

        Raises
        ------
        DataError
            If the samples have no truth in the question's cells, or lie in a single block.
        """
        samples, context = case.samples, case.context
        score = _Score(samples, case.question, context)
        blocks = time_blocks(samples.time, self.config.block)
        if len(blocks) < 2:
            raise DataError(
                f"expected at least 2 blocks of {self.config.block:g} days to shuffle, got {len(blocks)} in the "
                f"{len(samples)} samples of {samples.name!r}. Explain more days or take a smaller block."
            )
        random = np.random.default_rng(context.seed_for("permutation"))
        orders = [
            np.concatenate([blocks[i] for i in random.permutation(len(blocks))]) for _ in range(self.config.repeats)
        ]
        channels = samples.schema.channels
        own = list(_groups(channels, self.config.lags))
        # Lags shuffled together share one number: a window of a year is one group a variable.
        groups = [*dict.fromkeys(own), tuple(range(len(channels)))]
        plain = score(case.model, samples.inputs)
        increases = np.zeros((len(groups), len(orders)))
        with context.progress(f"permutation importance of {context.name}", increases.size) as bar:
            for (group, repeat), _ in np.ndenumerate(increases):
                inputs = shuffled(samples.inputs, groups[group], orders[repeat])
                increases[group, repeat] = score(case.model, inputs) - plain
                bar.advance()
        each = [groups.index(group) for group in own]
        return self._answer(increases[[*each, len(groups) - 1]], plain, len(blocks), case)

    def _answer(self, increases: np.ndarray, plain: float, blocks: int, case: Case) -> Attribution:
        samples, question = case.samples, case.question
        mean, half = increases.mean(axis=1), _half_width(increases)
        works = bool(mean[-1] - half[-1] > 0) or not increases.any()
        step = samples.schema.step_word
        # A block holds one sample at least, however short it was asked for.
        length = (
            f"{self.config.block:g} days" if self.config.block * 86_400e6 > samples.schema.step_us else f"one {step}"
        )
        lags = "a variable with all its lags" if self.config.lags == "together" else "each channel on its own"
        findings = (
            Finding(
                "all_channels", float(mean[-1]), 0.0, works, True,
                f"Shuffling all channels together raises the RMSE by {mean[-1]:.3g} {question.units}, "
                f"{'beyond' if works else 'not beyond'} chance.",
            ),
            Finding(
                "blocks", float(blocks), float(_LEAST_BLOCKS), blocks >= _LEAST_BLOCKS, False,
                f"{blocks} blocks were shuffled; {_LEAST_BLOCKS} are enough.",
            ),
        )  # fmt: skip
        return Attribution(
            method="permutation",
            values=None,
            importance=mean[:-1],
            low=(mean - half)[:-1],
            high=(mean + half)[:-1],
            measure=f"increase of the RMSE when permuted [{question.units}]",
            findings=findings,
            note=(
                f"Increase of the RMSE against the truth over the cells of the {question.label} on "
                f"{len(samples)} {step}s of {samples.name} ({plain:.3g} {question.units} as it is), {lags} shuffled in "
                f"{blocks} blocks of {length}, {self.config.repeats} times; the interval is that of the shuffling, "
                f"not of the choice of {step}s. All channels shuffled together: {mean[-1]:+.3g} {question.units}."
            ),
        )


@dataclass(frozen=True)
class _Score:
    """RMSE of the mean over the question's cells [units]."""

    samples: Samples
    question: Question
    context: Context

    def __post_init__(self) -> None:
        if self.samples.target is None or not self._weight > 0:
            raise DataError(
                f"expected truth in the cells of the {self.question.label} for permutation importance, got none in "
                f"{self.samples.name!r}. Explain a test set that has truth."
            )

    @property
    def _weights(self) -> Any:
        """Weights where there is truth, zero elsewhere, (time, target, lat, lon)."""
        xp = array_namespace(self.samples.target)
        weights = self.context.backend.asarray(self.question.weights, dtype=xp.float64)
        return xp.where(xp.isfinite(self.samples.target), weights[None, ...], xp.zeros_like(weights)[None, ...])

    @property
    def _weight(self) -> float:
        weights = self._weights
        return float(array_namespace(weights).sum(weights))

    def __call__(self, model: Model, inputs: Any) -> float:
        mean = model.predict(self.samples.with_inputs(inputs), self.context).mean()
        xp = array_namespace(mean, self.samples.target)
        weights = self._weights
        scale = self.context.backend.asarray(self.question.scale, dtype=xp.float64)
        error = (xp.astype(mean, xp.float64) - xp.astype(self.samples.target, xp.float64)) * scale[None, ...]
        error = xp.where(weights > 0, error, xp.zeros_like(error))
        return math.sqrt(float(xp.sum(weights * error * error)) / self._weight)


def time_blocks(time: np.ndarray, days: float) -> list[np.ndarray]:
    """Return the positions of ``time`` in runs of ``days`` from the first on; runs without samples are left out.

    Parameters
    ----------
    time : ndarray of datetime64 or cftime, shape (time,)
        Increasing.
    days : float
        Length of a block [day].

    Examples
    --------
    >>> time = np.array(["2000-01-01", "2000-01-02", "2000-01-03", "2000-12-01"], "datetime64[ns]")
    >>> [block.tolist() for block in time_blocks(time, 2)]
    [[0, 1], [2], [3]]
    """
    since = time - time[0]
    if np.issubdtype(since.dtype, np.timedelta64):
        elapsed = since / np.timedelta64(1, "D")
    else:
        elapsed = np.array([delta.total_seconds() / 86400 for delta in since])
    number = np.floor(elapsed / days).astype(int)
    return np.split(np.arange(len(time)), np.flatnonzero(np.diff(number)) + 1)


def shuffled(inputs: Any, channels: tuple[int, ...], order: np.ndarray) -> Any:
    """Return a copy of ``inputs`` (time, channel, lat, lon) with ``channels`` in another order of time."""
    xp = array_namespace(inputs)
    result = xp.asarray(inputs, copy=True)
    index = xp.asarray(order, device=inputs.device)
    for channel in channels:
        result[:, channel, ...] = xp.take(inputs[:, channel, ...], index, axis=0)
    return result


def _groups(channels: tuple[str, ...], lags: str) -> Iterator[tuple[int, ...]]:
    """Yield, for every channel, which ones are shuffled with it."""
    variables = [channel.partition("@")[0] for channel in channels]
    for number, variable in enumerate(variables):
        yield tuple(i for i, v in enumerate(variables) if v == variable) if lags == "together" else (number,)


def _half_width(increases: np.ndarray) -> np.ndarray:
    from scipy.special import stdtrit

    repeats = increases.shape[1]
    error = increases.std(axis=1, ddof=1) / np.sqrt(repeats)
    half: np.ndarray = stdtrit(repeats - 1, 0.975) * error
    return half
