"""The target's own past beside new predictors, for models that go on from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from flows.apply.bundle import OWN_PAST, Bundle
from flows.apply.inputs import Inputs
from flows.apply.stations import with_stations
from flows.assemble import pick
from pipeline.errors import PredictError, SplitError
from pipeline.prepare.align import crop, steps_at
from pipeline.prepare.arrays import beside
from pipeline.prepare.dates import elapsed, microseconds, phase_of_year
from pipeline.prepare.elsewhere import truth_on
from pipeline.prepare.windows import lagged, segments
from pipeline.samples import Past, Samples

Array = Any


def past_of(bundle: Bundle, inputs: Inputs) -> OwnPast | None:
    """Return the target's own past in ``inputs``; None for a model that does not go on from it.

    Raises
    ------
    PredictError
        If the model needs it and it is not there.
    """
    if not bundle.traits & OWN_PAST:
        return None
    if inputs.target is None:
        raise lacking_past(bundle, "the input has none of it")
    found = OwnPast(bundle, inputs)
    if not (found.steps >= 0).any():
        raise lacking_past(bundle, "it has no date of the predictors")
    return found


def lacking_past(bundle: Bundle, what: str) -> PredictError:
    """Return the error of a model that goes on from a past that is not known."""
    data, schema = bundle.space.plan.experiment.data, bundle.recipe.schema
    name = data.target.dataset
    others = bundle.models(lambda traits: not traits & OWN_PAST)
    if name in [source.dataset for source in data.predictors]:
        do = f"Add {_columns(schema.variables)} to the files of {name!r} as far as it is known"
    else:
        do = f"Add --input {name}=FILE with {_columns(schema.variables)} as far as it is known"
    other = f", or take a model that needs none: --model {' or '.join(others)}" if others else ""
    return PredictError(
        f"predict: {bundle.name!r} goes on from the target's own past, {_columns(schema.variables)} of {name!r}, and "
        f"{what}; without it nothing but the mean cycle could be said. {do}{other}."
    )


def _columns(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)


@dataclass(frozen=True, eq=False)
class OwnPast:
    """What was known of the target on the dates of the predictors.

    Parameters
    ----------
    bundle : Bundle
        Says how the target is given to models.
    inputs : Inputs
        With the target, opened.
    """

    bundle: Bundle
    inputs: Inputs

    @cached_property
    def steps(self) -> np.ndarray:
        """The target's step on each date of the inputs, -1 where it has none."""
        target = self.inputs.target
        assert target is not None  # past_of has looked
        there = xr.Dataset(coords={"time": target.time})
        return steps_at(self.inputs.time, there, "the target's past", self.inputs.step)

    def known_to(self, samples: Samples) -> tuple[Samples, int]:
        """Return ``samples`` with the past that each may know, and of how many nothing is known to go on from."""
        schema, backend = self.bundle.recipe.schema, self.bundle.recipe.backend
        xp, time = backend.xp, self.inputs.time
        now = np.searchsorted(microseconds(time), microseconds(samples.time))
        run = segments(elapsed(time), schema.step_us)
        first, last = np.searchsorted(run, run)[now], now if min(schema.leads) else now - 1
        previous, past = self._previous(lagged(run, 0 if min(schema.leads) else 1)[now]), None
        known = np.asarray(backend.to_host(xp.any(xp.isfinite(previous), axis=(1, 2, 3))))
        if schema.target_grid.stations:
            past = Past(self._whole, first, last)
            if "past" in self.bundle.traits:
                known = (last >= first) & (self._newest[np.maximum(last, 0)] >= first)
        previous = xp.concat([previous] * len(schema.leads), axis=1) if len(schema.leads) > 1 else previous
        return replace(samples, previous=previous, past=past), int((~known).sum())

    @cached_property
    def without(self) -> tuple[str, ...]:
        """Stations of which the models say something, and of whose own past nothing is known at all."""
        schema, backend = self.bundle.recipe.schema, self.bundle.recipe.backend
        if not schema.target_grid.stations:
            return ()
        known = np.asarray(backend.to_host(backend.xp.any(backend.xp.isfinite(self._whole), axis=(0, 1))))
        return tuple(
            name
            for name, there, asked in zip(schema.target_grid.stations, known[0], schema.mask[0], strict=True)
            if asked and not there
        )

    @cached_property
    def _newest(self) -> np.ndarray:
        """The last date up to each one at which any station is known, -1 before the first."""
        backend = self.bundle.recipe.backend
        known = np.asarray(backend.to_host(backend.xp.any(backend.xp.isfinite(self._whole), axis=(1, 2, 3))))
        return np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))

    @cached_property
    def _whole(self) -> Array:
        """The target of stations at every date, as models are given it: series are small."""
        return self._read(np.arange(len(self.inputs.time)))

    def _previous(self, before: np.ndarray) -> Array:
        """Return the target at the positions ``before``, NaN where one is negative."""
        xp, places = self.bundle.recipe.backend.xp, np.maximum(before, 0)
        if self.bundle.recipe.schema.target_grid.stations:
            values = xp.take(self._whole, beside(places, self._whole), axis=0)
        else:
            unique, which = np.unique(places, return_inverse=True)
            found = self._read(unique)
            values = xp.take(found, beside(which, found), axis=0)
        there = beside(before >= 0, values)[:, None, None, None]
        return xp.where(there, values, xp.full_like(values, float("nan")))

    def _read(self, places: np.ndarray) -> Array:
        """Return the target on the dates at ``places``, ascending, shape (date, variable, lat, lon)."""
        recipe, data = self.bundle.recipe, self.bundle.space.plan.experiment.data
        steps, time = self.steps[places], self.inputs.time[places]
        there, xp, schema = steps >= 0, recipe.backend.xp, recipe.schema
        shape = (len(places), len(schema.variables), *schema.target_grid.shape)
        values = xp.full(shape, xp.nan, dtype=xp.float32)
        if there.any():
            own, _ = pick(self.inputs.known(steps[there]), data.target)
            own = crop(with_stations(own, schema.target_grid), data.region.bounds() if data.region else None)
            try:
                values = truth_on(recipe, own, time)
            except SplitError:  # not a value on these dates
                values = xp.full(shape, xp.nan, dtype=xp.float32)
        return recipe.transform.forward(values, phase_of_year(time))
