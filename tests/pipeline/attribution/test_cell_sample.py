import numpy as np
import pytest

from pipeline.attribution.cell_sample import CellSample, sample_cells
from pipeline.errors import ConfigError
from pipeline.grid import Grid

GRID = Grid(np.linspace(30, 60, 9), np.linspace(-10, 30, 11))


@pytest.fixture
def mask():
    return np.random.default_rng(0).random(GRID.shape) < 0.7


@pytest.mark.parametrize("count", range(2, 40))
def test_as_many_as_asked_for_from_parts_of_even_size(mask, count):
    found = sample_cells(GRID, mask, count, seed=count)
    assert len(set(found.cells.tolist())) == count
    assert mask.ravel()[found.cells].all()
    assert found.sizes.sum() == mask.sum()
    assert found.sizes.max() - found.sizes.min() <= 2
    assert found.drawn.min() >= 2
    assert (found.drawn <= found.sizes).all()
    assert found.weights.sum() == pytest.approx(mask.sum())


def test_nearly_all_cells_can_be_drawn():
    for total in range(3, 30):
        grid = Grid(np.arange(1.0, 3.0), np.arange(float(total)))
        mask = np.arange(2)[:, None] * np.ones(total) > 0
        for count in range(2, total):
            assert len(sample_cells(grid, mask, count).cells) == count


def test_the_draw_is_spread_over_the_area(mask):
    halves = [
        (found.cells % GRID.shape[1] < 6).mean() for found in (sample_cells(GRID, mask, 16, s) for s in range(20))
    ]
    true = mask[:, :6].sum() / mask.sum()
    assert np.std(halves) < 0.6 * np.sqrt(true * (1 - true) / 16)


def test_the_error_is_that_of_many_draws(mask):
    field = np.add.outer(GRID.lat, GRID.lon) + np.random.default_rng(1).normal(0, 3, GRID.shape)
    true, errors, claimed = field[mask].mean(), [], []
    for seed in range(300):
        found = sample_cells(GRID, mask, 12, seed)
        values = field.ravel()[found.cells]
        errors.append(found.weights @ values / found.weights.sum() - true)
        claimed.append(found.ratio_error(values, np.ones(12)) ** 2)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(300)
    assert np.sqrt(np.mean(claimed)) == pytest.approx(np.std(errors), rel=0.15)


def test_all_cells_have_no_error(mask):
    found = sample_cells(GRID, mask)
    assert found.complete
    assert found.ratio_error(np.arange(mask.sum()), np.ones(mask.sum())) == 0.0
    assert sample_cells(GRID, mask, int(mask.sum())).complete


def test_a_single_cell_tells_of_no_error():
    one = CellSample(np.array([3]), np.array([0]), np.array([9]))
    assert np.isnan(one.ratio_error(np.ones(1), np.ones(1)))
    assert np.isnan(one.ratio_error(np.zeros(1), np.zeros(1)))


def test_what_cannot_be_drawn_is_refused(mask):
    outside = int(np.flatnonzero(~mask)[0])
    inside = int(np.flatnonzero(mask)[0])
    for cells in (1, np.array([outside]), np.array([inside, inside]), np.array([], int)):
        with pytest.raises(ConfigError, match="cells"):
            sample_cells(GRID, mask, cells)
