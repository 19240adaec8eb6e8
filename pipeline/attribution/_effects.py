"""Methods of effects: how the explained number answers when one channel is moved, whatever the model is."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from pipeline.attribution import ATTRIBUTIONS, Attribution, AttributionMethod, Case, Curve, Finding
from pipeline.attribution.maps import bootstrap_interval, tensor_of
from pipeline.attribution.subject import Subject, subject_of
from pipeline.errors import ConfigError, DataError
from pipeline.model_config import ModelConfig
from pipeline.registry import suggest
from pipeline.samples import Schema

if TYPE_CHECKING:
    from torch import Tensor

STANDARD = "standard deviations"


class EffectConfig(ModelConfig):
    """Options of every method of effects."""

    channels: list[str] = Field(
        default=[], description="Names of channels, or patterns such as 'tas*'; none: all, in their order."
    )
    most: int = Field(default=12, ge=1, description="Most channels that are moved where none are named.")


@dataclass(frozen=True, eq=False)
class Moved:
    """One channel that can be moved: the whole field by the same amount, so that its pattern stays.

    Parameters
    ----------
    subject : Subject
        The explained number.
    inputs : Tensor, shape (row, channel, lat, lon)
        Of the explained days.
    which : Tensor of int64, shape (row,)
        Their numbers.
    place : int
        Of the channel.
    mean : ndarray of float64, shape (row,)
        The channel's mean over its cells, weighted by area.
    """

    subject: Subject
    inputs: Tensor
    which: Tensor
    place: int
    mean: np.ndarray

    def numbers(self, to: np.ndarray) -> np.ndarray:
        """Return the explained number of each day with the channel's mean moved ``to``, float64, both (row,)."""
        import torch

        moved = self.inputs.clone()
        by = torch.as_tensor(to - self.mean, dtype=torch.float64, device=moved.device)
        moved[:, self.place] = (moved[:, self.place].double() + by[:, None, None]).to(moved.dtype)
        found: np.ndarray = self.subject.numbers(moved, self.which).cpu().numpy()
        return found


class EffectMethod(AttributionMethod):
    """A method that moves one channel after the other; subclasses write ``daily``.

    What is moved is a channel's mean over its cells, weighted by area: the whole field goes up or down and keeps its
    pattern; of stations the channel at all of them. Effects are changes of the explained number. Their mean over the
    days is zero, straight lines between the points; importance is their standard deviation over the days (Greenwell
    et al. 2018, arXiv:1805.04755).
    """

    Config: ClassVar[type[ModelConfig]] = EffectConfig
    kind: ClassVar[str] = "effect"

    @abstractmethod
    def daily(self, moved: Moved) -> tuple[np.ndarray, np.ndarray]:
        """Return points and effects of which the mean over days is the curve, but for a constant.

        Returns
        -------
        tuple of ndarray of float64, shapes (point,) and (row, point)
            Points ascending, one or more, the least and the greatest mean among them.
        """

    @abstractmethod
    def finding(self, means: np.ndarray, chosen: list[int]) -> Finding:
        """Return what is checked, from the means of all channels over their cells, (row, channel)."""

    def explain(self, case: Case) -> Attribution:
        """Explain the question of ``case``.

        ``importance`` of channels that were not moved is NaN.

        Raises
        ------
        ConfigError
            If a name or a pattern fits no channel.
        DataError
            If there is one day alone, over which nothing varies.
        """
        import torch

        schema, step = case.samples.schema, case.samples.schema.step_word
        chosen = self._chosen(schema)
        if len(case.samples) < 2:
            raise DataError(f"expected two {step}s or more to see how a channel varies, got {len(case.samples)}.")
        subject, inputs = subject_of(case), tensor_of(case.samples, case)
        which = torch.arange(len(inputs), device=inputs.device)
        means = area_means(inputs, schema)
        importance, curves = np.full(len(schema.channels), np.nan), []
        with case.context.progress(f"{self.title.lower()} of {case.context.name}") as bar:
            subject.passes.advance = bar.advance
            for place in chosen:
                moved = Moved(subject, inputs, which, place, means[:, place])
                curve, importance[place] = self._curve(moved, schema, case.context.seed_for("explanation days"))
                curves.append(curve)
            numbers = subject.numbers(inputs, which).cpu().numpy()
        left_out = len(schema.channels) - len(chosen)
        return Attribution(
            method=next(name for name in ATTRIBUTIONS if ATTRIBUTIONS.get(name) is type(self)),
            values=None,
            importance=importance,
            low=None,
            high=None,
            measure=f"standard deviation of the effect over {step}s [{case.question.units}]",
            findings=(self.finding(means, chosen),),
            note=(
                f"{self.title} of the {case.question.label} on {len(case.samples)} {step}s of {case.samples.name}: the "
                "whole field of a channel is moved, its pattern kept"
                + (f"; {left_out} of {len(schema.channels)} channels are left out." if left_out else ".")
            ),
            curves=tuple(curves),
            numbers=numbers,
        )

    def _chosen(self, schema: Schema) -> list[int]:
        if not self.config.channels:
            return list(range(min(self.config.most, len(schema.channels))))
        for pattern in self.config.channels:
            if not any(fnmatchcase(name, pattern) for name in schema.channels):
                raise ConfigError(
                    f"explain: channels: expected names or patterns of channels, got {pattern!r}, which none has."
                    f"{suggest(pattern, schema.channels)} Known: {', '.join(schema.channels)}."
                )
        return [
            place
            for place, name in enumerate(schema.channels)
            if any(fnmatchcase(name, pattern) for pattern in self.config.channels)
        ]

    def _curve(self, moved: Moved, schema: Schema, seed: int) -> tuple[Curve, float]:
        points, daily = self.daily(moved)
        hats = _between(points, moved.mean)
        daily = daily - (daily @ hats.mean(axis=0))[:, None]
        effect = daily.mean(axis=0)
        low, high = bootstrap_interval(daily, seed)
        assert low is not None  # two days or more
        assert high is not None
        scale, shift, units = _units(schema, moved.place)
        curve = Curve(schema.channels[moved.place], points * scale + shift, effect, low, high, units)
        return curve, float(np.std(hats @ effect))


def area_means(inputs: Tensor, schema: Schema) -> np.ndarray:
    """Return the mean of every channel over its cells, weighted by area, float64, shape (row, channel)."""
    import torch

    area = schema.input_grid.area
    weights = torch.as_tensor(area / area.sum(), dtype=torch.float64, device=inputs.device)
    found: np.ndarray = torch.einsum("rcij,ij->rc", inputs.double(), weights).cpu().numpy()
    return found


def _between(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return what values at points count for in straight lines between them, shape (place, point).

    Examples
    --------
    >>> _between(np.array([0.0, 2.0]), np.array([0.5, 2.0])).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    return np.stack([np.interp(at, points, own) for own in np.eye(len(points))], axis=1)


def _units(schema: Schema, place: int) -> tuple[float, float, str]:
    """Return scale, shift and units from a channel's numbers; 1, 0 where a mean over cells has no units of its own."""
    affine: Any = schema.channel_affine
    if affine is None or affine.transform(place) != "none":
        return 1.0, 0.0, STANDARD
    scale, shift = (np.unique(part[place][np.isfinite(part[place])]) for part in (affine.scale, affine.shift))
    if len(scale) != 1 or len(shift) != 1:
        return 1.0, 0.0, STANDARD
    return float(scale[0]), float(shift[0]), schema.channel_units[place]
