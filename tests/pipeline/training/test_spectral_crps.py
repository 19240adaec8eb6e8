import numpy as np
import pytest
import torch

from pipeline.errors import DataError
from pipeline.training.losses import Place, make_loss

ROWS, COLUMNS = 6, 8


def place_of(index, shape=(ROWS, COLUMNS)):
    return Place(area=torch.ones(len(index), dtype=torch.float64), index=index, shape=shape)


@pytest.fixture(params=[(6, 8), (5, 7), (6, 7)], ids=str)
def shape(request):
    return request.param


def draws(count, members, cells, seed=1):
    random = torch.Generator().manual_seed(seed)
    output = torch.randn(count, members, 1, cells, generator=random, dtype=torch.float64)
    return output, torch.randn(count, 1, cells, generator=random, dtype=torch.float64)


def fair(members, truth):
    size = len(members)
    pairs = sum(abs(one - other) for one in members for other in members)
    return sum(abs(one - truth) for one in members) / size - pairs / (2 * size * (size - 1))


@pytest.mark.parametrize("low_pass", [1.0, 0.5])
def test_is_the_brute_force_over_the_whole_plane(shape, low_pass):
    """The oracle takes all coefficients of the full transform, one by one."""
    rows, columns = shape
    index = torch.tensor([cell for cell in range(rows * columns) if cell not in (0, 5, 11)])
    place = place_of(index, shape)
    output, target = draws(3, 4, len(index))
    known = torch.rand(target.shape, generator=torch.Generator().manual_seed(3)) < 0.8
    target = torch.where(known, target, 0.0)
    loss = make_loss({"kind": "spectral_crps", "weight": 0.7, "low_pass": low_pass, "members": 4})
    values = loss(output, target, place.cells(known)) - make_loss("fair_crps")(output, target, place.cells(known))
    for time in range(3):

        def transform(values, time=time):
            field = np.zeros(rows * columns)
            field[index.numpy()] = np.where(known[time, 0], values, 0.0)
            return np.fft.fft2(field.reshape(rows, columns)) * np.sqrt(2 / int(known[time].sum()))

        members, truth = [transform(one.numpy()) for one in output[time, :, 0]], transform(target[time, 0].numpy())
        scores = []
        for row, column in np.ndindex(rows, columns):
            if np.hypot(np.fft.fftfreq(rows)[row], np.fft.fftfreq(columns)[column]) > 0.5 * low_pass + 1e-9:
                continue
            for part in (np.real, np.imag):
                scores.append(fair([part(one[row, column]) for one in members], part(truth[row, column])))
        assert values[time, 0].numpy() == pytest.approx(0.7 * np.mean(scores), abs=1e-12)


def test_both_parts_are_of_the_same_size_for_fields_without_correlation():
    place = place_of(torch.arange(0, ROWS * COLUMNS, 2))
    output, target = draws(4000, 4, 24)
    cells = place.cells(torch.ones_like(target, dtype=torch.bool))
    alone = make_loss("fair_crps")(output, target, cells).mean().item()
    both = make_loss({"kind": "spectral_crps", "weight": 1.0})(output, target, cells).mean().item()
    assert both - alone == pytest.approx(alone, rel=0.05)


def test_without_weight_it_is_the_fair_crps():
    place = place_of(torch.arange(ROWS * COLUMNS))
    output, target = draws(3, 4, ROWS * COLUMNS)
    cells = place.cells(torch.ones_like(target, dtype=torch.bool))
    values = make_loss({"kind": "spectral_crps", "weight": 0.0})(output, target, cells)
    torch.testing.assert_close(values, make_loss("fair_crps")(output, target, cells))


def test_a_low_pass_does_not_see_the_finest_pattern():
    place = place_of(torch.arange(ROWS * COLUMNS))
    output, target = draws(3, 4, ROWS * COLUMNS)
    cells = place.cells(torch.ones_like(target, dtype=torch.bool))
    chequer = torch.tensor([(-1.0) ** (row + column) for row in range(ROWS) for column in range(COLUMNS)])

    def spectral(low_pass, members):
        loss = make_loss({"kind": "spectral_crps", "weight": 1.0, "low_pass": low_pass})
        return loss(members, target, cells) - make_loss("fair_crps")(members, target, cells)

    moved = output + 5.0 * chequer
    torch.testing.assert_close(spectral(0.9, output), spectral(0.9, moved))
    column = torch.tensor([(-1.0) ** column for _ in range(ROWS) for column in range(COLUMNS)])
    assert (spectral(1.0, output + 5.0 * column) > spectral(1.0, output) + 0.01).all()


def test_it_is_least_for_the_true_spectrum():
    random = torch.Generator().manual_seed(8)
    smooth = torch.randn(4000, 5, 1, 1, generator=random, dtype=torch.float64)
    rough = torch.randn(4000, 5, 1, ROWS * COLUMNS, generator=random, dtype=torch.float64)
    fields = 0.8 * smooth + 0.6 * rough  # each cell has deviation 1
    truth, members = fields[:, 0], fields[:, 1:]
    cells = place_of(torch.arange(ROWS * COLUMNS)).cells(torch.ones_like(truth, dtype=torch.bool))
    loss = make_loss({"kind": "spectral_crps", "weight": 1.0, "members": 4})
    right = loss(members, truth, cells).mean().item()
    for flat in (0.95, 0.4):  # as much spread in every cell, but too smooth or too rough
        other = flat * smooth[:, 1:] + (1 - flat**2) ** 0.5 * rough[:, 1:]
        assert loss(other, truth, cells).mean().item() > right + 0.005


def test_stations_have_no_spectrum():
    target = torch.zeros(3, 1, 5)
    place = place_of(torch.arange(5), (1, 5))
    with pytest.raises(
        DataError, match=r"^spectral_crps: expected a target grid of several rows and columns, got \(1, 5\)"
    ):
        make_loss("spectral_crps").fit(target, place.cells(torch.ones_like(target, dtype=torch.bool)))
