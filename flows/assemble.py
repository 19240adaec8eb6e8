"""The datasets of an experiment put together as ``prepare`` takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import xarray as xr

from pipeline.errors import ConfigError
from pipeline.experiment import Experiment, Source
from pipeline.prepare.align import Predictors
from pipeline.prepare.coarsen import coarsen
from pipeline.prepare.elsewhere import TestSource
from pipeline.prepare.region_mean import area_mean

ALTITUDE = "altitude"
"""The height that a station table gives its stations: a coordinate, which may be asked for as a static field."""


@dataclass(frozen=True, eq=False)
class Assembled:
    """What :func:`pipeline.prepare.prepared.prepare` takes, and notes on what was done to it.

    Parameters
    ----------
    predictors, target, static, forcings, tests
        As there.
    notes : tuple of str
        For the report.
    """

    predictors: Predictors
    target: xr.Dataset
    static: tuple[xr.Dataset, ...]
    forcings: tuple[xr.Dataset, ...]
    tests: Mapping[str, TestSource]
    notes: tuple[str, ...]


def assemble(experiment: Experiment, opened: Callable[[str], xr.Dataset]) -> Assembled:
    """Return the experiment's data; ``opened`` returns a dataset of the catalog by its name.

    Raises
    ------
    ConfigError
        If the altitude is asked of a dataset that has none.
    DataError
        If a dataset cannot be coarsened.
    """
    data, notes = experiment.data, dict[str, None]()

    def chosen(source: Source) -> xr.Dataset:
        picked, said = pick(opened(source.dataset), source)
        notes.update(dict.fromkeys(said))
        return picked

    tests = {
        name: TestSource(
            # Under the training names: channels that two datasets share are called by them.
            [
                (trained.dataset, chosen(source))
                for trained, source in zip(data.predictors, test.predictors, strict=True)
            ],
            None if test.target is None else chosen(test.target),
            tuple(chosen(source) for source in (data.forcings if test.forcings is None else test.forcings)),
            test.span,
        )
        for name, test in data.tests.items()
    }
    return Assembled(
        [(source.dataset, chosen(source)) for source in data.predictors],
        chosen(data.target),
        tuple(chosen(source) for source in data.static),
        tuple(chosen(source) for source in data.forcings),
        tests,
        tuple(notes),
    )


def pick(data: xr.Dataset, source: Source) -> tuple[xr.Dataset, tuple[str, ...]]:
    """Return what ``source`` asks of a dataset, coarsened where it says so, and notes on it."""
    if source.variables and ALTITUDE in source.variables and ALTITUDE not in data.data_vars:
        if ALTITUDE not in data.coords:
            raise ConfigError(
                f"expected the altitude of the stations in {source.dataset!r}, got the coordinates "
                f"{', '.join(map(str, data.coords))}. Leave it out of data.static."
            )
        height = data[ALTITUDE].drop_vars([name for name in data[ALTITUDE].coords if name == ALTITUDE])
        data = data.drop_vars(ALTITUDE).assign({ALTITUDE: (height.dims, height.values, data[ALTITUDE].attrs)})
    picked = data[source.variables] if source.variables else data
    if source.mean_over is not None:
        mean = area_mean(picked, source.mean_over.bounds(), source.dataset)
        return (mean if source.name is None else mean.rename({name: source.name for name in mean.data_vars})), ()
    return (picked, ()) if source.coarsen is None else coarsen(picked, source.coarsen, source.dataset)
