"""What is explained: an area-weighted mean of one target over some cells."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.attribution.question import regional_mean
from pipeline.errors import ConfigError
from pipeline.grid import Grid


@pytest.fixture
def schema(samples):
    """Two targets on three rows of four cells, one cell outside of the mask."""
    return replace(samples.schema, targets=("tas", "pr"), target_units=("degC", "mm d-1"))


def test_the_whole_mask_by_area(schema):
    question = regional_mean(schema, np.ones((2, 1, 1)))
    expected = np.cos(np.deg2rad(schema.target_grid.lat))[:, None] * schema.mask
    np.testing.assert_allclose(question.weights[0], expected / expected.sum())
    assert (question.weights[1] == 0).all()
    assert question.label == "mean tas over 11 cells"
    assert question.units == "K"  # a departure from the baseline, not a temperature


def test_a_region_includes_its_ends(schema):
    question = regional_mean(schema, np.ones((2, 1, 1)), {"lat": (20.0, 40.0), "lon": (1.0, 2.0)}, "pr")
    chosen = np.zeros((3, 4), bool)
    chosen[1:, 1:3] = True
    np.testing.assert_array_equal(question.weights[1] > 0, chosen)
    assert question.weights.sum() == pytest.approx(1.0)
    assert (question.weights[0] == 0).all()
    assert (question.label, question.units) == ("mean pr over 4 cells in lat 20 to 40, lon 1 to 2", "mm d-1")


@pytest.mark.parametrize("bounds", [(179.0, 182.0), (-181.0, -178.0)])
def test_a_region_across_the_date_line_is_one_region(schema, bounds):
    grid = Grid(schema.target_grid.lat, np.array([-180.0, -179.0, -178.0, 179.0]))
    question = regional_mean(replace(schema, target_grid=grid), np.ones((2, 1, 1)), {"lon": bounds})
    np.testing.assert_array_equal((question.weights[0] > 0).any(axis=0), [True, True, True, True])
    narrow = regional_mean(replace(schema, target_grid=grid), np.ones((2, 1, 1)), {"lon": (179.0, 180.5)})
    np.testing.assert_array_equal((narrow.weights[0] > 0).any(axis=0), [True, False, False, True])


def test_a_projected_grid_is_cut_by_its_own_coordinates(schema):
    lat, lon = np.meshgrid(schema.target_grid.lat, schema.target_grid.lon, indexing="ij")
    grid = Grid(lat, lon, ("y", "x"))
    one = regional_mean(schema, np.ones((2, 1, 1)), {"lon": (1.0, 2.0)})
    other = regional_mean(replace(schema, target_grid=grid), np.ones((2, 1, 1)), {"lon": (1.0, 2.0)})
    np.testing.assert_allclose(one.weights, other.weights)


def test_the_scale_of_a_field_holds_in_every_cell(schema):
    assert regional_mean(schema, np.array([2.0, 3.0])[:, None, None]).scale.shape == (2, 3, 4)


def test_an_unknown_target_and_an_empty_region_are_refused(schema):
    with pytest.raises(ConfigError, match=r"^explain: no target 'tass'\. Did you mean 'tas'\? Known: tas, pr\.$"):
        regional_mean(schema, np.ones((2, 1, 1)), target="tass")
    with pytest.raises(ConfigError, match=r"^explain: no cell of the target lies in the region \{'lat': \(0, 1\)\}\.$"):
        regional_mean(schema, np.ones((2, 1, 1)), {"lat": (0, 1)})
