import logging
import math

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from pipeline.attribution.baseline import Baseline
from pipeline.attribution.dispersion import saliency_aggregates
from pipeline.attribution.dispersion_file import to_variables
from pipeline.grid import Grid
from pipeline.samples import Schema
from pipeline.sphere import EARTH_RADIUS, great_circles, lat_lon, unit_vectors

INPUT = Grid(np.array([50.0, 40.0, 30.0]), np.array([-10.0, 0.0, 10.0, 25.0]))
TARGET = Grid(np.array([48.0, 41.0]), np.array([-9.0, 2.0, 14.0]))
DAYS = 7


class Small(nn.Module):
    """Convolutions with a kink, then a cell's own reading; two answers."""

    def __init__(self, channels, source, target, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.maps = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))
        self.head = nn.Linear(4 * source.shape[0] * source.shape[1], 2 * target.shape[0] * target.shape[1])
        self.shape = target.shape

    def forward(self, inputs):
        return self.head(self.maps(inputs).relu().flatten(1)).reshape(-1, 2, *self.shape)


class Cell(nn.Module):
    """Every target cell reads one input cell of every channel, times a number of its own."""

    def __init__(self, reads, factors, shape):
        super().__init__()
        self.reads, self.factors, self.shape = torch.tensor(reads), torch.tensor(factors, dtype=torch.float32), shape

    def forward(self, inputs):
        read = inputs.flatten(2)[:, :, self.reads]
        return (read * self.factors).sum(1).reshape(len(inputs), 1, *self.shape)


def schema_of(source=INPUT, target=TARGET, channels=("a", "a@-1", "b"), mask=None, scalars=()):
    return Schema(
        channels=channels,
        channel_units=("1",) * len(channels),
        targets=("y",),
        target_units=("1",),
        input_grid=source,
        target_grid=target,
        mask=np.ones(target.shape, bool) if mask is None else mask,
        static=np.zeros((0, *target.shape), np.float32),
        statics=(),
        step=np.timedelta64(1, "D"),
        scalars=scalars,
    )


def days_of(schema, days=DAYS, seed=0):
    torch.manual_seed(seed)
    return torch.randn(days, len(schema.channels), *schema.input_grid.shape)


def haversine(lat, lon, other_lat, other_lon):
    """One pair of places."""
    lat, lon, other_lat, other_lon = map(math.radians, (lat, lon, other_lat, other_lon))
    half = math.sin((lat - other_lat) / 2) ** 2
    half += math.cos(lat) * math.cos(other_lat) * math.sin((lon - other_lon) / 2) ** 2
    return 2 * EARTH_RADIUS * math.asin(math.sqrt(half))


def distances(schema):
    mine, theirs = (np.stack(lat_lon(grid), -1).reshape(-1, 2) for grid in (schema.target_grid, schema.input_grid))
    return np.array([[haversine(*place, *other) for other in theirs] for place in mine])


def naive(network, inputs, schema, departure=None, answer=0):
    """One forward and backward pass a day and cell; maps (time, cell, channel, lat * lon), zero outside the mask."""
    cells = schema.mask.size
    maps = np.zeros((len(inputs), cells, inputs.shape[1], inputs[0, 0].numel()))
    for day in range(len(inputs)):
        for cell in np.flatnonzero(schema.mask):
            asked = inputs[day : day + 1].clone().requires_grad_()
            network(asked)[0, answer].flatten()[cell].backward()
            found = asked.grad[0] if departure is None else asked.grad[0] * departure[day]
            found = found.flatten(1).abs().double().numpy()
            if found.max() > 0:
                found /= found.max()
                found[found < 0.1] = 0.0
                maps[day, cell] = found / found.sum()
    return maps


def compare(found, maps, schema, weights=None):
    """Hold an aggregate against maps of all days and cells."""
    there = maps.sum(axis=(2, 3)) > 0
    placed = [channel not in schema.scalars for channel in schema.channels]
    own = there * (np.ones(schema.mask.size) if weights is None else weights)
    mean = np.tensordot(own, maps, axes=2) / own.sum()
    np.testing.assert_allclose(found.saliency.reshape(mean.shape), mean, atol=1e-5 * mean.max())
    inside = maps[:, :, placed].sum(axis=(2, 3))
    far = np.einsum("tncx,nx->tn", maps[:, :, placed], distances(schema))
    lies = inside > 0
    km = np.where(lies, far / np.where(lies, inside, 1), 0.0)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found.dispersion.ravel(), km.sum(0) / lies.sum(0), rtol=1e-5, atol=1e-4)
    heavy = lies * (np.ones(schema.mask.size) if weights is None else weights)
    assert found.distance == pytest.approx((heavy * km).sum() / heavy.sum(), rel=1e-5)
    assert found.maps == there.sum()
    assert found.empty == len(maps) * schema.mask.sum() - there.sum()


@pytest.fixture
def schema():
    mask = np.ones(TARGET.shape, bool)
    mask[1, 0] = False
    return schema_of(mask=mask)


@pytest.mark.parametrize("rows", [64, 3])
@pytest.mark.parametrize("at_once", [None, 1, 2])
@pytest.mark.parametrize("answer", [0, 1])
def test_the_same_as_a_pass_for_every_day_and_cell(schema, rows, at_once, answer):
    network, inputs = Small(3, INPUT, TARGET).eval(), days_of(schema)
    found = saliency_aggregates(network, inputs, schema, rows=rows, at_once=at_once, answer=answer)
    maps = naive(network, inputs, schema, answer=answer)
    compare(found.whole, maps, schema)
    shares = maps.sum(axis=3)[:, schema.mask.ravel()].mean(axis=(0, 1))
    assert found.variables == ("a", "b")
    np.testing.assert_allclose(found.whole.shares, [shares[0] + shares[1], shares[2]], rtol=1e-5)
    assert (found.whole.shares_low < found.whole.shares).all()
    assert (found.whole.shares < found.whole.shares_high).all()
    assert found.whole.low < found.whole.distance < found.whole.high
    assert found.whole.sampling_error == 0.0
    assert np.isnan(found.whole.dispersion[1, 0])


@pytest.mark.parametrize("rows", [64, 2])
@pytest.mark.parametrize("daily", [True, False])
def test_input_times_gradient_departs_from_the_mean_of_the_draws(schema, daily, rows):
    network, inputs = Small(3, INPUT, TARGET).eval(), days_of(schema)
    draws = torch.randn(4, DAYS if daily else 1, *inputs.shape[1:])
    found = saliency_aggregates(
        network, inputs, schema, of="input_x_gradient", baseline=Baseline("drawn", "draws", draws), rows=rows
    )
    compare(found.whole, naive(network, inputs, schema, inputs - draws.mean(0)), schema)


def test_distances_are_those_of_the_haversine_formula(schema):
    far = great_circles(*(unit_vectors(grid).reshape(-1, 3) for grid in (TARGET, INPUT)))
    np.testing.assert_allclose(far, distances(schema), rtol=1e-9)
    places = unit_vectors(INPUT).reshape(-1, 3)
    assert (np.diag(great_circles(places, places)) == 0.0).all()
    tensors = great_circles(torch.tensor(places), torch.tensor(places))
    np.testing.assert_allclose(tensors.numpy(), great_circles(places, places), rtol=1e-12)


def test_a_local_network_has_no_dispersion_and_looks_everywhere_alike():
    schema = schema_of(target=INPUT)
    found = saliency_aggregates(nn.Conv2d(3, 1, 1).eval(), days_of(schema), schema).whole
    assert (found.dispersion == 0.0).all()
    assert found.distance == found.low == found.high == 0.0
    np.testing.assert_allclose(found.saliency.sum(0), 1 / 12, rtol=1e-5)


def test_a_network_that_reads_one_far_cell_has_its_distance():
    schema = schema_of(channels=("a",))
    reads = [11, 0, 5, 7, 2, 11]
    found = saliency_aggregates(Cell(reads, [3.0, -2, 1, 1, 5, 9], TARGET.shape), days_of(schema), schema).whole
    expected = [distances(schema)[cell, read] for cell, read in enumerate(reads)]
    np.testing.assert_allclose(found.dispersion.ravel(), expected, rtol=1e-6)
    assert found.saliency[0, 2, 3] == pytest.approx(2 / 6)


def test_a_tenth_of_the_maximum_counts_and_less_does_not():
    schema = schema_of(channels=("a", "b", "c"))

    class Three(nn.Module):
        def forward(self, inputs):
            weights = torch.tensor([1.0, 0.11, 0.09])
            return (inputs[:, :, :2, :3] * weights[:, None, None]).sum(1, keepdim=True)

    found = saliency_aggregates(Three(), days_of(schema), schema).whole
    np.testing.assert_allclose(found.shares, [1 / 1.11, 0.11 / 1.11, 0.0], rtol=1e-5)


@pytest.mark.parametrize("at_once", [1, 3])
def test_cells_and_days_that_nothing_moves_are_left_out(at_once):
    schema = schema_of(channels=("a",))

    class Dry(nn.Module):
        def forward(self, inputs):
            wet = torch.tensor([0.0, 1, 1, 1, 1, 1]).reshape(TARGET.shape)
            return (inputs[:, :, :2, :3] * wet).relu()

    inputs = days_of(schema)
    inputs[2] = -1.0  # a dry day
    found = saliency_aggregates(Dry(), inputs, schema, at_once=at_once)
    compare(found.whole, naive(Dry(), inputs, schema), schema)
    moved = int((inputs[:, 0, :2, :3].flatten(1)[:, 1:] > 0).sum())
    assert (found.whole.maps, found.whole.empty) == (moved, DAYS * 6 - moved)
    assert found.whole.saliency.sum() == pytest.approx(1.0)
    assert np.isnan(found.whole.dispersion[0, 0])
    assert f"{DAYS * 6 - moved} without any gradient" in found.note


def test_nothing_at_all_is_said_of_a_constant():
    schema = schema_of()
    found = saliency_aggregates(Cell([0] * 6, [0.0] * 6, TARGET.shape), days_of(schema), schema).whole
    assert found.maps == 0
    assert np.isnan(found.saliency).all()
    assert np.isnan([found.distance, found.low, found.high, *found.shares]).all()


def test_groups_are_as_if_alone(schema):
    network, inputs = Small(3, INPUT, TARGET).eval(), days_of(schema)
    winter = np.array([True, False, True, True, False, False, True])
    found = saliency_aggregates(network, inputs, schema, groups={"DJF": winter, "one": np.arange(DAYS) == 4}, rows=4)
    alone = saliency_aggregates(network, inputs[winter], schema)
    for name in ("saliency", "dispersion", "shares", "shares_low", "shares_high", "distance", "low", "high"):
        one, other = getattr(found.groups["DJF"], name), getattr(alone.whole, name)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert found.groups["DJF"].days == 4
    compare(found.whole, naive(network, inputs, schema), schema)
    single = found.groups["one"]
    assert np.isnan([single.low, single.high, *single.shares_low]).all()
    assert np.isfinite(single.distance)


def test_the_area_of_target_cells_can_count(schema):
    network, inputs = Small(3, INPUT, TARGET).eval(), days_of(schema)
    maps = naive(network, inputs, schema)
    compare(saliency_aggregates(network, inputs, schema, by_area=True).whole, maps, schema, TARGET.area.ravel())
    compare(saliency_aggregates(network, inputs, schema).whole, maps, schema)


def test_chosen_cells_alone_are_asked(schema):
    network, inputs = Small(3, INPUT, TARGET).eval(), days_of(schema)
    found = saliency_aggregates(network, inputs, schema, cells=np.array([4, 1])).whole
    maps = naive(network, inputs, schema)
    maps[:, [0, 2, 3, 5]] = 0.0
    mean = maps.sum(axis=(0, 1)) / (2 * DAYS)
    np.testing.assert_allclose(found.saliency.reshape(mean.shape), mean, atol=1e-6)
    assert np.isfinite(found.dispersion).sum() == 2
    both = found.dispersion[np.isfinite(found.dispersion)]
    assert found.distance == pytest.approx(both.mean())
    assert found.sampling_error == pytest.approx(math.sqrt((1 - 2 / 5) * both.var(ddof=1) / 2))


def test_scalars_have_a_share_but_no_distance():
    schema = schema_of(channels=("a", "co2"), scalars=("co2",))
    far = Cell([7] * 6, [1.0] * 6, TARGET.shape)
    found = saliency_aggregates(far, days_of(schema), schema)
    np.testing.assert_allclose(found.whole.shares, [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(found.whole.dispersion.ravel(), distances(schema)[:, 7], rtol=1e-6)
    assert "co2 have no place" in found.note
    alone = schema_of(channels=("co2",), scalars=("co2",))
    assert np.isnan(saliency_aggregates(far, days_of(alone), alone).whole.dispersion).all()


def test_projected_grids_and_stations():
    lat, lon = np.meshgrid(np.linspace(40, 44, 3), np.linspace(0, 6, 4), indexing="ij")
    source = Grid(lat + 0.1 * lon, lon - 0.2 * lat, ("y", "x"))
    stations = Grid(np.array([[41.0, 43.0]]), np.array([[1.0, 5.0]]), ("row", "station"), ("p", "q"))
    schema = schema_of(source, stations)
    network, inputs = Small(3, source, stations).eval(), days_of(schema)
    found = saliency_aggregates(network, inputs, schema)
    compare(found.whole, naive(network, inputs, schema), schema)
    data = xr.Dataset(to_variables(found, "looks"))
    assert data["looks_saliency"].dims == ("channel", "y", "x")
    assert data["looks_dispersion"].dims == ("target_station",)


class Short(torch.autograd.Function):
    """Memory for few rows only, forwards or backwards; rows of cells under vmap count too."""

    @staticmethod
    def forward(ctx, inputs, most, seen):
        ctx.most, ctx.seen = most, seen
        return inputs.clone()

    @staticmethod
    def backward(ctx, grad):
        together = torch._C._functorch.is_batchedtensor(grad)
        cells = torch._C._functorch.get_unwrapped(grad).numel() // grad.numel() if together else 1
        ctx.seen.append(cells * len(grad))
        if cells * len(grad) > ctx.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return grad, None, None


@pytest.mark.parametrize("most", [12, 3])
def test_short_of_memory_takes_fewer_cells_then_fewer_days(schema, most, caplog):
    whole, inputs, seen = Small(3, INPUT, TARGET).eval(), days_of(schema), []

    class Tight(nn.Module):
        def forward(self, fields):
            return whole(Short.apply(fields, most, seen))

    with caplog.at_level(logging.INFO):
        found = saliency_aggregates(Tight(), inputs, schema, at_once=5)
    compare(found.whole, naive(whole, inputs, schema), schema)
    assert "short of memory" in caplog.text
    assert max(seen) == 5 * DAYS
    assert seen[-1] <= most


def test_what_no_batch_of_cells_goes_through_is_asked_cell_by_cell(schema, caplog):
    whole, inputs = Small(3, INPUT, TARGET).eval(), days_of(schema)

    class Looks(torch.autograd.Function):
        @staticmethod
        def forward(ctx, fields):
            return fields.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad if float(grad.sum()) != 0 else grad * 1.0

    class Odd(nn.Module):
        def forward(self, fields):
            return whole(Looks.apply(fields))

    with caplog.at_level(logging.INFO):
        found = saliency_aggregates(Odd(), inputs, schema, at_once=5, rows=3)
    compare(found.whole, naive(whole, inputs, schema), schema)
    assert caplog.text.count("one by one") == 1


def test_another_error_is_not_hidden(schema):
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, fields):
            return fields.clone()

        @staticmethod
        def backward(ctx, grad):
            raise RuntimeError("no derivative here")

    class Bad(nn.Module):
        def forward(self, fields):
            return Cell([0] * 6, [1.0] * 6, TARGET.shape)(Broken.apply(fields))

    with pytest.raises(RuntimeError, match="no derivative here"):
        saliency_aggregates(Bad(), days_of(schema), schema, at_once=3)
