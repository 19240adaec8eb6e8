"""Conformal: intervals as wide as they must be to hold a further truth as often as they say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from pipeline.backend.special import to_host
from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.prediction.quantiles import levels
from pipeline.prepare.arrays import beside
from pipeline.samples import Samples, Schema
from pipeline.uncertainty.calibration import CALIBRATIONS, Calibration, Evidence
from pipeline.uncertainty.calibration._adaptive import Adaptive, Course, follow
from pipeline.uncertainty.calibration._answers import QUANTILES, least_of, of_quantiles, says_nothing
from pipeline.uncertainty.calibration._blocks import Draws, Kind, block_numbers
from pipeline.uncertainty.calibration._frames import FRAMES, Frame, steps_out
from pipeline.uncertainty.calibration._groups import BY, By, groups_of
from pipeline.uncertainty.calibration._intervals import laid_around
from pipeline.uncertainty.calibration._numbers import middle, odd

Array = Any
log = logging.getLogger(__name__)
_KINDS = ("samples", "years", "seasons", "runs", "values")


class ConformalConfig(ModelConfig):
    """Options of :class:`Conformal`."""

    score: Literal["absolute", "normalised", "cqr"] = Field(
        default="cqr",
        description="How far off a truth is: its distance from the mean; that in standard deviations; or by how much "
        "it lies outside of an interval between two quantiles, which keeps their shape.",
    )
    tails: Literal["together", "apart"] = Field(
        default="together",
        description="Whether both ends move alike, or each holds its own share; that takes twice as many blocks.",
    )
    by: tuple[By, ...] = Field(default=(), description=BY)
    blocks: Kind = Field(
        default="auto",
        description="What counts as one draw: a year, a season, or a run longer than errors are remembered (auto: the "
        "first that fits); none: every value, as if time and neighbours did not matter.",
    )
    level: float = Field(
        default=0.9,
        gt=0.0,
        lt=1.0,
        description="The widest interval that must rest on enough blocks, else it is an error; wider ones may follow "
        "from the shape of the distribution.",
    )
    quantiles: int = Field(default=39, ge=3, le=999, description=QUANTILES)
    adaptive: Adaptive | None = Field(
        default=None,
        description="{rate, delay}: levels follow how often intervals missed before, by truth that was known by then.",
    )

    _odd = field_validator("quantiles")(odd)


@CALIBRATIONS.register("conformal")
class Conformal(Calibration):
    """Central intervals at all levels, each widened by a quantile of how far off the evidence was.

    Split conformal prediction (Vovk et al. 2005, doi:10.1007/b106715; Lei et al. 2018,
    doi:10.1080/01621459.2017.1307116) with the distance from the mean, the same in standard deviations, or that from an
    interval between quantiles (Romano, Patterson and Candes 2019, arXiv:1905.03222). Intervals of different levels
    are calibrated apart; one that would be narrower than one inside it is as wide as that. Ends of all intervals, and
    the median between, are the answer, of the family ``quantiles``.

    Days and cells are no independent draws. A block of time is one: a year, a season, or a run longer than errors
    are remembered. If the next block is a further draw of the same climate, its share of truths by area inside the
    interval at 1 - a is 1 - a or more on average; with K blocks that are alike it is (1 - a) / K more (Dunn, Wasserman
    and Ramdas 2023, doi:10.1080/01621459.2022.2060112; Lee, Barber and Willett 2023, arXiv:2306.06342). K blocks bear
    intervals up to K / (K + 1), the last of them as wide as the largest error. Wider intervals than ``level`` therefore
    take twice as many blocks; else they lie as far beyond the last one borne as they do in the distribution itself,
    in its scale, of a single value as in a normal distribution. ``blocks: none`` takes every value for a draw: coverage
    is then exact for values that are exchangeable, and too low where they are not.

    A group that the evidence lacks has what all others together learned.
    """

    Config: ClassVar[type[ModelConfig]] = ConformalConfig

    def why_not(self, prediction: Prediction, schema: Schema) -> str | None:
        """Refuse classes, and single values with a score that needs a spread."""
        if prediction.is_categorical:
            return "expected a prediction of numbers for conformal, got one of classes. Take temperature."
        if self.config.score != "absolute" and says_nothing(prediction):
            return (
                f"expected a distribution for conformal with score: {self.config.score}, got single values of the "
                f"family {prediction.family!r}. Take score: absolute."
            )
        return None

    def learn(self, evidence: Evidence, context: Context) -> dict[str, np.ndarray]:
        """Return how far both ends of every interval move, and where levels stand that follow the truth.

        Raises
        ------
        CalibrationError
            If there are too few blocks for ``level``, or too many truths outside of a distribution without spread.
        """
        samples, said, config = evidence.samples, evidence.prediction, self.config
        truth, mean = (np.asarray(to_host(part), float) for part in (samples.target, said.mean()))
        known = np.isfinite(truth) & np.isfinite(mean)
        kind, number = block_numbers(config.blocks, samples, np.where(known, truth - mean, np.nan))
        draws = Draws(groups_of(samples, config.by), known, None if config.blocks == "none" else number)
        headline = max(config.level, float(self._intervals()[-1]))
        fewest = draws.enough(headline, self._miss(headline), kind)
        pairs, shape = config.quantiles // 2, (known.shape[1], *draws.groups.shape)
        learned = {name: np.full((pairs, *shape), np.inf) for name in ("low", "high")} | {"median": np.zeros(shape)}
        for places, low, high in self._scores(FRAMES[config.score](said), truth):
            wanted = 1.0 - self._miss(self._intervals()[places])
            for name, score in (("low", low), ("high", high)):
                draws.fill(learned[name], places, score, wanted, sure=1.0 - self._miss(headline))
        self._bearable(learned, headline)
        if config.tails == "apart":
            middle_one = FRAMES[config.score](said).end(0.5)
            learned["median"] = draws.medians(truth - np.asarray(to_host(middle_one), float))
        self.arrays = learned | {"least": least_of(samples), "blocks": np.array([fewest, _KINDS.index(kind)])}
        if config.adaptive is not None:
            start = 2.0 * np.arange(1, pairs + 1)[:, None, None] / (config.quantiles + 1)
            self.arrays["misses"] = np.broadcast_to(start, (pairs, shape[0], shape[2])).copy()
            _, self.arrays["misses"] = self._followed(said, self._quantiles(said, samples), samples)
        return self.arrays

    def apply(self, prediction: Prediction, inputs: Samples, context: Context) -> Prediction:
        """Return the calibrated quantiles; adaptive ones follow the truth of ``inputs``, where it is known."""
        quantiles = self._quantiles(prediction, inputs)
        if self.config.adaptive is not None:
            if inputs.target is None:
                log.info("%s: %s has no truth; adaptive levels stay as they were", context.name, inputs.name)
            quantiles, _ = self._followed(prediction, quantiles, inputs)
        return of_quantiles(prediction, quantiles, self.arrays["least"])

    def summary(self) -> dict[str, Any]:
        """Return what was taken for a draw, how many there were, and how far the ends of the headline interval move."""
        fewest, kind = self.arrays["blocks"].tolist()
        headline = int(np.argmin(np.abs(self._intervals() - self.config.level)))
        extended = np.isinf(self.arrays["low"]).any(axis=(1, 2, 3))
        found: dict[str, Any] = {
            "kind": "conformal",
            "score": self.config.score,
            "by": list(self.config.by),
            "blocks": f"{fewest} {_KINDS[kind]}",
            "widened": {name: middle(self.arrays[name][headline]) for name in ("low", "high")},
            "intervals_from_shape": int(extended.sum()),
            "intervals": len(extended),
            **super().summary(),
        }
        if self.config.adaptive is not None:
            found["adaptive"] = {
                **self.config.adaptive.model_dump(),
                "misses": middle(self.arrays["misses"][headline]),
                "note": "scores of a test period use its own earlier truth",
            }
        return found

    def _intervals(self) -> np.ndarray:
        """Return the probabilities of the central intervals, the widest first."""
        count = self.config.quantiles
        return np.asarray(1.0 - 2.0 * np.arange(1, count // 2 + 1) / (count + 1))

    def _miss(self, level: Any) -> Any:
        """Return how often one end, or both, may miss at a level."""
        return (1.0 - level) / (2.0 if self.config.tails == "apart" else 1.0)

    def _scores(self, frame: Frame, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield intervals of the same scores, the widest being 0, with these scores of the lower and the upper end."""
        count = self.config.quantiles
        unit = frame.unit if isinstance(frame.unit, float) else np.asarray(to_host(frame.unit), float)
        pairs = np.arange(count // 2)
        for places in [pairs] if frame.flat else pairs[:, None]:
            at = levels(count)[places[0]]
            low, high = (
                steps_out(np.asarray(to_host(frame.end(float(level))), float), truth, unit, side)
                for level, side in ((at, -1.0), (1.0 - at, 1.0))
            )
            if self.config.tails == "together":
                low = high = np.maximum(low, high)
            yield places, low, high

    def _bearable(self, learned: dict[str, np.ndarray], headline: float) -> None:
        """Refuse a headline interval that would have to be infinite: truth where there is no spread."""
        borne = self._intervals() <= headline + 1e-9
        if np.isinf(learned["low"][borne]).any() or np.isinf(learned["high"][borne]).any():
            raise CalibrationError(
                f"expected a spread above zero around {headline:.0%} of the truth, got distributions that are certain "
                "and wrong more often. Take score: absolute or cqr."
            )

    def _quantiles(self, prediction: Prediction, samples: Samples) -> Array:
        """Return calibrated quantiles, shape (quantile, time, target, lat, lon)."""
        low, high, shift = (self.arrays[name] for name in ("low", "high", "median"))
        frame, groups = FRAMES[self.config.score](prediction), groups_of(samples, self.config.by)
        return laid_around(prediction, frame, low, high, shift, groups)

    def _followed(self, base: Prediction, quantiles: Array, samples: Samples) -> tuple[Array, np.ndarray]:
        """Return quantiles at levels that follow the truth, and where levels stand in the end."""
        made = of_quantiles(base, quantiles, self.arrays["least"]).parameters
        nodes = [made["lowest"][None, ...], made["quantiles"], made["highest"][None, ...]]
        found, misses = follow(
            np.concatenate([np.asarray(to_host(part), float) for part in nodes]),
            None if samples.target is None else np.asarray(to_host(samples.target), float),
            self.arrays["misses"],
            course=Course.of(samples, self.config.adaptive.delay),
            groups=groups_of(samples, self.config.by),
            rate=self.config.adaptive.rate,
        )
        return beside(found, quantiles, quantiles.dtype), misses
