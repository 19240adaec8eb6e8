"""Bias correction and spatial disaggregation against what can be worked out cell by cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models._classical import Table
from models._cover import Cover
from models._layout import Layout
from models.bcsd import Bcsd, BcsdConfig
from pipeline.backend import get_backend
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.model import Context
from pipeline.prepare.regrid import Regridder

CONTEXT = Context(get_backend("cpu"), name="bcsd")


def fitted(train, **options):
    return Bcsd(BcsdConfig(**options)).fit(train, train, CONTEXT)


def cover_of(schema):
    return Cover.of(Table(CONTEXT.backend, Layout.of(schema)))


def test_a_cover_averages_the_cells_nearest_to_each_coarse_cell(nested):
    samples = nested.samples(5, targets=2)
    mask = samples.schema.mask.copy()
    mask[:4, :5] = False  # no truth at all in the first coarse cell
    schema = replace(samples.schema, mask=mask)
    cover = cover_of(schema)
    values = np.asarray(samples.target, float)[..., mask]
    values[2, 1, 7] = np.nan
    found = cover.means(values.reshape(5, -1)).reshape(5, 2, -1)
    lat, lon = (part.ravel()[mask.ravel()] for part in np.meshgrid(nested.grid.lat, nested.grid.lon, indexing="ij"))
    centres = [(a, b) for a in schema.input_grid.lat for b in schema.input_grid.lon]
    near = [min(range(6), key=lambda k: abs(a - centres[k][0]) + abs(b - centres[k][1])) for a, b in zip(lat, lon)]  # noqa: B905
    assert sorted(set(near)) == cover.used.tolist() == [1, 2, 3, 4, 5]
    for position, cell in enumerate(cover.used):
        inside = np.array(near) == cell
        part, weight = values[..., inside], np.cos(np.deg2rad(lat[inside]))
        there = np.isfinite(part)
        expected = np.where(there, part * weight, 0).sum(-1) / (there * weight).sum(-1)
        np.testing.assert_allclose(found[..., position], expected, rtol=1e-12)
    # The first cell takes the nearest with truth: its neighbour along the parallel, which is shorter.
    fields = cover.fields(found.reshape(5, -1))
    np.testing.assert_array_equal(fields[..., 0, 0], fields[..., 0, 1])
    np.testing.assert_array_equal(cover.columns(fields), found.reshape(5, -1))


def test_on_curved_grids_every_cell_belongs_to_the_nearest_centre(nested):
    schema = nested.samples(2).schema
    lat, lon = np.meshgrid(nested.grid.lat, nested.grid.lon, indexing="ij")
    curved = replace(schema, target_grid=Grid(lat, lon, ("y", "x")))
    one, two = cover_of(schema), cover_of(curved)
    np.testing.assert_allclose(one.weights, two.weights)
    np.testing.assert_array_equal(one.stand_in, two.stand_in)


def perfect(nested, samples):
    """Coarse fields that are exactly the means of the truth which the cover makes."""
    schema = samples.schema
    units = np.asarray(samples.target, float) * schema.target_affine.scale + schema.target_affine.shift
    cover = cover_of(schema)
    means = cover.fields(cover.means(units[..., schema.mask].reshape(len(samples), -1)))
    affine, inputs = schema.channel_affine, np.array(samples.inputs)
    inputs[:, 1:] = (means - affine.shift[1:]) / affine.scale[1:]
    return replace(samples, inputs=inputs), means, units


@pytest.mark.parametrize("wet", [False, True])
def test_without_bias_it_is_the_fine_mean_with_the_coarse_anomaly(nested, wet):
    samples, means, units = perfect(nested, nested.samples(300, amounts=wet))
    model = fitted(samples, harmonics=0, quantiles=300)
    found = nested.units(model.predict(samples, CONTEXT), samples).mean()
    regrid = Regridder.between(samples.schema.input_grid, samples.schema.target_grid, "bilinear")
    normal, fine = means.mean(0), units.mean(0)
    # Mapped to its own quantiles a value stays what it is.
    expected = fine * regrid(means / normal) if wet else fine + regrid(means - normal)
    np.testing.assert_allclose(found, expected, rtol=2e-4 if wet else 1e-5, atol=2e-3)
    assert model.summary()["ratios"] == [wet]
    if wet:
        assert (np.asarray(found) >= 0).all()


def test_a_bias_of_the_coarse_model_is_taken_out(nested):
    samples, _, _ = perfect(nested, nested.samples(300))
    inputs = np.array(samples.inputs)
    inputs[:, 1:] = 1.7 * inputs[:, 1:] + 0.9
    plain, biased = (
        np.asarray(fitted(part, harmonics=0).predict(part, CONTEXT).mean())
        for part in (samples, replace(samples, inputs=inputs))
    )
    spread = np.asarray(samples.target).std()
    # Between the outermost quantiles: beyond them a correction is constant.
    assert np.quantile(np.abs(plain - biased), 0.95) < 1e-3 * spread


def test_targets_are_worked_off_each_in_its_own_way(nested):
    both, _, _ = perfect(nested, nested.samples(100, targets=2))
    schema = replace(both.schema, target_units=("K", "mm/day"), channel_units=("Pa", "K", "mm/day"))
    model = fitted(replace(both, schema=schema), harmonics=0)
    assert model.summary()["ratios"] == [False, True]
    alone = fitted(both, harmonics=0)  # the second as a difference
    first, second = (np.asarray(part.predict(both, CONTEXT).mean()) for part in (model, alone))
    np.testing.assert_array_equal(first[:, 0], second[:, 0])
    assert np.abs(first[:, 1] - second[:, 1]).max() > 1e-3


def test_stations_are_sent_to_quantile_mapping(nested):
    samples = nested.samples(20)
    place = np.array([[41.0, 42.0, 43.0]])
    stations = Grid(place, place - 45, ("row", "station"), ("a", "b", "c"))
    schema = replace(samples.schema, target_grid=stations, mask=np.ones((1, 3), bool), target_affine=None)
    moved = replace(samples, target=samples.target[..., :1, :3], schema=schema)
    with pytest.raises(ConfigError, match=r"got 3 stations, which cannot be averaged.* Take quantile_mapping"):
        fitted(moved)


def test_ratios_want_a_zero(nested):
    samples = nested.samples(20, amounts=True)
    anomalies = replace(samples, schema=replace(samples.schema, target_affine=None))
    with pytest.raises(
        ConfigError, match=r"bcsd: .*set prepare\.target\.anomaly: none for all targets, or correction: add"
    ):
        fitted(anomalies)
    assert fitted(anomalies, correction="additive").summary()["ratios"] == [False]
