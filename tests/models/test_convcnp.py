from dataclasses import replace

import numpy as np
import pytest
import torch

from models._layout import Layout
from models.convcnp import ConvCNP, ConvCNPConfig, ConvCNPNetwork
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.training.losses import make_loss

QUICK = {"epochs": 25, "batch_size": 16, "lr": 1e-2, "width": 16, "blocks": 2, "hidden": (32,), "loss": "mse"}


@pytest.fixture
def layout(make_samples):
    return Layout.of(make_samples(2).schema)


def network(layout, loss="mse", **options):
    torch.manual_seed(0)
    loss = make_loss(loss)
    return ConvCNPNetwork(layout, len(loss.parameters), ConvCNPConfig(**options), loss).eval()


def test_places_are_known_by_statics_latitude_and_longitude(layout):
    known = network(layout).known
    assert known.shape == (3, layout.cells)
    row, column = np.argwhere(layout.mask)[7]
    assert known[0, 7].item() == layout.static[0, row, column]
    # The input grid spans 40 to 46 degrees north and -6 to 2 east.
    assert known[1, 7].item() == pytest.approx((layout.target_grid.lat[row] - 43) / 3)
    assert known[2, 7].item() == pytest.approx((layout.target_grid.lon[column] + 2) / 4)


def test_longitudes_are_one_piece_across_the_date_line(layout):
    coarse = Grid(layout.input_grid.lat, np.array([172.0, 174.0, 176.0, 178.0, 180.0]))
    fine = Grid(layout.target_grid.lat, np.linspace(-186.0, -178.0, 10))  # 174 to 182
    known = network(replace(layout, input_grid=coarse, target_grid=fine, mask=np.ones((8, 10), bool))).known
    np.testing.assert_allclose(known[2, :10].numpy(), np.linspace(-0.5, 1.5, 10), atol=1e-6)


def test_equal_places_get_equal_answers_unless_they_are_embedded(layout):
    twins = Grid(np.array([[41.0, 41.0, 45.0]]), np.array([[-3.0, -3.0, 0.0]]), ("row", "station"), ("a", "b", "c"))
    static = np.array([[[0.5, 0.5, 0.5]]], np.float32)
    there = replace(layout, target_grid=twins, mask=np.ones((1, 3), bool), static=static)
    inputs = torch.randn(6, 3, 4, 5)
    answer = network(there)(inputs)[:, 0, 0]
    assert torch.equal(answer[:, 0], answer[:, 1])
    assert not torch.allclose(answer[:, 0], answer[:, 2])
    embedded = network(there, places="embedded")
    assert torch.equal(embedded(inputs)[:, 0, 0], answer)  # starts as the shared one
    with torch.no_grad():
        embedded.own.slope.zero_()
        before = embedded(inputs)[:, 0, 0]
        embedded.scale[0, 1], embedded.bias[0, 1] = 2.0, 3.0
        after = embedded(inputs)[:, 0, 0]
    torch.testing.assert_close(after[:, 1], 2 * before[:, 1] + 3)
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])


def test_the_shared_weights_do_not_count_places(layout):
    few = replace(layout, mask=layout.mask & (np.arange(10) < 4))
    sizes = [[p.shape for p in network(each).parameters()] for each in (layout, few)]
    assert sizes[0] == sizes[1]


def test_altitude_makes_a_difference(layout):
    inputs = torch.randn(2, 3, 4, 5)
    assert not torch.allclose(network(layout)(inputs), network(replace(layout, static=-layout.static))(inputs))


def test_a_target_is_read_between_its_neighbours(layout):
    # Features are bilinear: in the middle of four cells their mean.
    middle = Grid(np.array([[41.0]]), np.array([[-5.0]]), ("row", "station"), ("a",))
    made = network(replace(layout, target_grid=middle, mask=np.ones((1, 1), bool), static=np.zeros((1, 1, 1))))
    features = torch.randn(2, 16, 4, 5)
    torch.testing.assert_close(made.read(features)[:, :, 0, 0], features[:, :, :2, :2].mean((2, 3)))


@pytest.mark.parametrize("places", ["shared", "embedded"])
def test_learns_stations_better_than_a_linear_reading(to_stations, make_samples, context, places):
    train, validation, test = (to_stations(make_samples(n, seed=s)) for n, s in ((150, 0), (50, 1), (100, 2)))
    model = ConvCNP(ConvCNPConfig(**QUICK, places=places)).fit(train, validation, context)
    prediction = model.predict(test, context)
    mean = context.backend.to_host(prediction.mean())[:, 0, 0]
    truth = [np.asarray(each.target)[:, 0, 0] for each in (train, test)]
    own = model._network.own.to_target
    coarse = [own(torch.tensor(np.asarray(each.inputs))[:, :1])[:, 0, 0].numpy() for each in (train, test)]
    slope = (coarse[0] * truth[0]).mean(0) / (coarse[0] ** 2).mean(0)
    assert np.mean((mean - truth[1]) ** 2) < 0.8 * np.mean((slope * coarse[1] - truth[1]) ** 2)


def test_answers_all_parameters_of_several_targets(make_samples):
    layout = Layout.of(make_samples(2, targets=2).schema)
    assert network(layout, "normal_nll")(torch.randn(3, 3, 4, 5)).shape == (3, 2, 2, layout.cells)


def test_gradients_reach_every_input(layout):
    inputs = torch.randn(2, 3, 4, 5, requires_grad=True)
    network(layout)(inputs).square().sum().backward()
    assert (inputs.grad.abs().sum((0, 2, 3)) > 0).all()


def test_inputs_at_stations_are_refused(layout):
    stations = Grid(np.array([[41.0]]), np.array([[-3.0]]), ("row", "station"), ("a",))
    with pytest.raises(ConfigError, match=r"convcnp: expected inputs on a grid .* got 1 stations"):
        ConvCNP().build(replace(layout, input_grid=stations), 1)
