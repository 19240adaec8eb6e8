import pytest
import torch

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.training.losses import LOSSES, describe, make_loss
from pipeline.training.losses._point import PointLoss


@pytest.fixture
def cells(row):
    return row(torch.ones(4)).cells(torch.ones(6, 1, 4, dtype=torch.bool))


@pytest.fixture
def point():
    return torch.randn(6, 1, 1, 4, generator=torch.Generator().manual_seed(1))


def test_a_name_and_a_mapping_make_the_same(point, cells):
    target = torch.zeros(6, 1, 4)
    assert torch.equal(make_loss("mae")(point, target, cells), make_loss({"kind": "mae"})(point, target, cells))
    assert make_loss({"kind": "huber", "delta": 0.25}).config.delta == 0.25
    assert make_loss("huber").config.delta == 1.0


def test_a_list_is_the_weighted_sum(point, cells):
    target = torch.ones(6, 1, 4)
    mixed = make_loss([{"kind": "mae", "weight": 0.5}, {"kind": "mse"}, {"kind": "huber", "delta": 0.1, "weight": 2}])
    alone = [make_loss(spec)(point, target, cells) for spec in ("mae", "mse", {"kind": "huber", "delta": 0.1})]
    torch.testing.assert_close(mixed(point, target, cells), 0.5 * alone[0] + alone[1] + 2 * alone[2])
    assert (mixed.family, mixed.parameters) == ("point", ("mean",))
    assert torch.equal(mixed.mean(point), point[:, 0])
    assert torch.equal(mixed.distribution(point)["mean"], point[:, 0])


def test_a_list_mixes_losses_of_cells_and_of_fields(row):
    members = torch.randn(6, 4, 1, 4, generator=torch.Generator().manual_seed(1))
    target = torch.zeros(6, 1, 4)
    cells = row(torch.ones(4)).cells(torch.ones(6, 1, 4, dtype=torch.bool))
    kinds = [{"kind": "fair_crps", "members": 4}, {"kind": "energy_score", "members": 4}]
    one, other = (make_loss(kind)(members, target, cells) for kind in kinds)
    assert (one.shape, other.shape) == ((6, 1, 4), (6, 1, 1))
    mixed = make_loss([kind | {"weight": weight} for kind, weight in zip(kinds, (0.25, 0.75), strict=True)])
    torch.testing.assert_close(mixed(members, target, cells), 0.25 * one + 0.75 * other)


def test_every_part_of_a_list_is_fitted(monkeypatch, cells):
    seen = []
    monkeypatch.setattr(PointLoss, "fit", lambda self, target, cells: seen.append((type(self), target.shape)))
    make_loss([{"kind": "mae"}, {"kind": "mse"}]).fit(torch.zeros(6, 1, 4), cells)
    assert seen == [(LOSSES.get("mae"), (6, 1, 4)), (LOSSES.get("mse"), (6, 1, 4))]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hubber", r"^unknown loss 'hubber'\. Did you mean 'huber'\?"),
        ({"kind": "hubber"}, r"^unknown loss 'hubber'\. Did you mean 'huber'\?"),
        ([{"kind": "mae"}, {"kind": "hubber"}], r"^unknown loss 'hubber'\. Did you mean 'huber'\?"),
    ],
)
def test_an_unknown_name_is_refused_with_the_near_one(spec, message):
    with pytest.raises(UnknownNameError, match=message):
        make_loss(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"kind": "huber", "dleta": 1.0},
            r"^loss 'huber': dleta: unknown key\. Did you mean 'delta'\? Known: delta\.$",
        ),
        ({"kind": "huber", "delta": -1.0}, r"^loss 'huber': delta: input should be greater than 0, got -1\.0\.$"),
        ({"kind": "mse", "delta": 1.0}, r"^mse: expected no options, got \{'delta': 1\.0\}; this loss has none\.$"),
        ({"kind": "huber", "weight": 1.0}, r"^loss 'huber': weight: unknown key\."),
        (
            {"delta": 1.0},
            r"^expected a loss with its name under the key 'kind', such as .*, got \{'delta': 1\.0\}\. .* Known: asym, b",
        ),
        ([], r"^expected the name of a loss, a mapping .* or a list .*, got \[\]\.$"),
        (3, r"^expected the name of a loss, a mapping .*, got 3\.$"),
        (["mse"], r"^0: expected a mapping \{kind: name, weight: 1\.0\}, got 'mse'\.$"),
        ([{"kind": "mse"}, {"kind": "mae", "weight": 0}], r"^1\.weight: expected a positive number, got 0\.$"),
        ([{"kind": "mse", "weight": True}], r"^0\.weight: expected a positive number, got True\.$"),
        ([{"kind": "mse", "weight": float("inf")}], r"^0\.weight: expected a positive number, got inf\.$"),
        (
            [{"kind": "mse"}, {"kind": "normal_nll"}],
            r"^expected losses of the same family and parameters to mix, got 'mse' with the family 'point' and "
            r"'normal_nll' with 'normal'\. Mix losses of one head, with the same number of members\.$",
        ),
        (
            [{"kind": "fair_crps", "members": 4}, {"kind": "energy_score", "members": 5}],
            r"got 'fair_crps' with the parameters 'member_00' \.\.\. 'member_03' and 'energy_score' with "
            r"'member_00' \.\.\. 'member_04'\.",
        ),
    ],
)
def test_what_does_not_fit_is_named(spec, message):
    with pytest.raises(ConfigError, match=message):
        make_loss(spec)


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("mse", "mse"),
        ({"kind": "mse"}, "mse"),
        ({"kind": "energy_score", "beta": 0.5, "joint": True}, "energy_score (beta 0.5, joint True)"),
        ([{"kind": "mae", "weight": 0.5}, {"kind": "huber", "delta": 2.0}], "0.5 * mae + 1 * huber (delta 2.0)"),
    ],
)
def test_a_loss_is_described_in_one_line(spec, line):
    assert describe(spec) == line
