"""What flips keep: pairs, areas, the sense in which vorticity turns (latitude), divergence."""

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.samples import Affine
from pipeline.training.augment import Batch, make_augmentations

DIM = {"flip_latitude": -2, "flip_longitude": -1}
KINDS = list(DIM)


def made(kind, world, **options):
    return make_augmentations([{"kind": kind, "probability": 1.0, **options}])[0].prepare(world)


@pytest.mark.parametrize("kind", KINDS)
def test_cells_keep_their_truth_and_classes_their_area(kind, world, batch):
    before = batch()
    after = made(kind, world())(before)
    assert torch.equal(after.inputs[:, 2], before.inputs[:, 2].flip(DIM[kind]))
    torch.testing.assert_close(after.target, before.target.flip(DIM[kind]), rtol=0, atol=0, equal_nan=True)
    for number in range(3):
        areas = (((maps.target == number) * maps.area).sum((1, 2, 3)) for maps in (before, after))
        torch.testing.assert_close(*areas)


@pytest.mark.parametrize("kind", KINDS)
def test_twice_is_not_at_all(kind, world, batch):
    flip, before = made(kind, world()), batch()
    after = flip(flip(before))
    assert torch.equal(after.inputs, before.inputs)
    torch.testing.assert_close(after.target, before.target, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("kind", "negated", "kept"), [("flip_latitude", 1, 0), ("flip_longitude", 0, 1)])
def test_one_wind_changes_its_sign_at_all_lags_and_the_other_does_not(kind, negated, kept, world, batch):
    flip, before = made(kind, world()), batch()
    after = flip(before)
    for lag in (0, 3):
        assert torch.equal(after.inputs[:, negated + lag], -before.inputs[:, negated + lag].flip(DIM[kind]))
        assert torch.equal(after.inputs[:, kept + lag], before.inputs[:, kept + lag].flip(DIM[kind]))
    assert flip.negated == (("V850",) if negated else ("U850",))
    assert flip.describe() == f"probability 1.0, sign of {'V850' if negated else 'U850'}"


def test_summers_trade_places(world, batch):
    before = batch()
    assert torch.equal(made("flip_latitude", world())(before).inputs[:, 6:], -before.inputs[:, 6:])
    assert torch.equal(made("flip_longitude", world())(before).inputs[:, 6:], before.inputs[:, 6:])


def differences(u, v):
    """Return centred differences dv/dx - du/dy and du/dx + dv/dy, round in x, inner rows."""
    dx, dy = (
        ((w.roll(-1, -1) - w.roll(1, -1))[..., 1:-1, :] for w in (u, v)),
        ((w[..., 2:, :] - w[..., :-2, :]) for w in (u, v)),
    )
    (ux, vx), (uy, vy) = dx, dy
    return vx - uy, ux + vy


@pytest.mark.parametrize("kind", KINDS)
def test_vorticity_of_flipped_winds_is_minus_the_flipped_vorticity_and_divergence_its_own(kind, world, batch):
    before = batch()
    after = made(kind, world())(before)
    curl, divergence = differences(before.inputs[:, 0], before.inputs[:, 1])
    new_curl, new_divergence = differences(after.inputs[:, 0], after.inputs[:, 1])
    torch.testing.assert_close(new_curl, -curl.flip(DIM[kind]))
    torch.testing.assert_close(new_divergence, divergence.flip(DIM[kind]))


@pytest.mark.parametrize(("kind", "sign"), [("flip_latitude", 1.0), ("flip_longitude", -1.0)])
def test_geostrophic_wind_stays_so_north_for_south_and_not_east_for_west(kind, sign, world):
    """``f u = -dp/dy, f v = dp/dx`` on latitudes of both signs; the sense of turning is what a mirror in longitude breaks."""
    lat, lon = torch.deg2rad(torch.linspace(-50, 50, 6))[:, None], torch.deg2rad(torch.arange(0.0, 360.0, 45.0))[None]
    f = torch.sin(lat)
    # p = sin(lat) sin(lon + 1) + cos(lat) cos(2 lon), with its derivatives.
    pressure = torch.sin(lat) * torch.sin(lon + 1) + torch.cos(lat) * torch.cos(2 * lon)
    along = torch.sin(lat) * torch.cos(lon + 1) - 2 * torch.cos(lat) * torch.sin(2 * lon)
    up = torch.cos(lat) * torch.sin(lon + 1) - torch.sin(lat) * torch.cos(2 * lon)
    u, v = -up / f, along / f
    maps = torch.stack([u, v, pressure, along, up])[None]
    names = ("U850", "V850", "PSL", "VX", "VY")
    one = Batch(inputs=maps, target=maps[:, 2:3], area=torch.ones(6, 8))
    # A derivative along the mirrored dim changes its sign as the wind of that name does.
    negate = ["V850", "VY"] if kind == "flip_latitude" else ["U850", "VX"]
    inputs = made(kind, world(channels=names, scalars=()), negate=negate)(one).inputs[0]
    torch.testing.assert_close(f * inputs[0], -sign * inputs[4])
    torch.testing.assert_close(f * inputs[1], sign * inputs[3])


def test_the_sign_changes_in_units(world, batch):
    """Numbers less one mean of the field: mean 3, deviation 2."""
    scale, shift = np.full((8, 1, 1), 2.0, np.float32), np.full((8, 1, 1), 3.0, np.float32)
    before = batch()
    after = made("flip_latitude", world(channel_affine=Affine(scale, shift)))(before)
    torch.testing.assert_close(2 * after.inputs[:, 1] + 3, -(2 * before.inputs[:, 1] + 3).flip(-2))
    assert torch.equal(after.inputs[:, 0], before.inputs[:, 0].flip(-2))


def test_anomalies_of_every_cell_change_their_sign_as_they_are(world, batch):
    shift = np.random.default_rng(1).normal(size=(8, 6, 8)).astype(np.float32)
    shift[1, 0, 0] = np.nan  # a cell without values
    before = batch()
    after = made("flip_latitude", world(channel_affine=Affine(np.ones_like(shift), shift)))(before)
    assert torch.equal(after.inputs[:, 1], -before.inputs[:, 1].flip(-2))


def test_a_target_that_is_a_wind_changes_its_sign_too_and_a_class_never(world, batch):
    before = batch()
    scale, shift = np.full((1, 1, 1), 2.0, np.float32), np.full((1, 1, 1), 1.0, np.float32)
    winds = world(targets=("vas",), classes=(), target_affine=Affine(scale, shift))
    after = made("flip_latitude", winds)(before)
    torch.testing.assert_close(2 * after.target + 1, -(2 * before.target + 1).flip(-2), equal_nan=True)
    after = made("flip_latitude", world(targets=("v",)))(before)
    torch.testing.assert_close(after.target, before.target.flip(-2), rtol=0, atol=0, equal_nan=True)


def test_a_second_truth_goes_along(world, batch):
    before = batch()
    mixed = Batch(
        inputs=before.inputs, target=before.target, area=before.area, second=before.target.roll(1, 0), share=0.3
    )
    after = made("flip_latitude", world())(mixed)
    torch.testing.assert_close(after.second, mixed.second.flip(-2), rtol=0, atol=0, equal_nan=True)
    assert after.share == 0.3


@pytest.mark.parametrize(
    ("names", "kind", "negated"),
    [
        (("V850", "VBOT", "TMQ", "U850", "UBOT"), "flip_latitude", ("V850", "VBOT")),
        (("va_500", "ua_500", "v10", "u10", "vo"), "flip_latitude", ("va_500", "v10", "vo")),
        (("10m_u_component_of_wind", "10m_v_component_of_wind", "vpd", "tas"), "flip_latitude", ("10m_v_component_of_wind",)),
        (("UBOT", "u10m", "VBOT", "v10m"), "flip_longitude", ("UBOT", "u10m")),
        (("TMQ", "PSL"), "flip_latitude", ()),
    ],
)  # fmt: skip
def test_known_names_of_winds_are_found_and_others_are_not(names, kind, negated, world):
    assert made(kind, world(channels=names, scalars=())).negated == negated


def test_negate_takes_the_place_of_known_names(world):
    assert made("flip_latitude", world(), negate=[]).negated == ()
    assert made("flip_latitude", world(), negate=["TMQ"]).negated == ("TMQ",)


def test_negate_is_of_a_variable_whatever_lag_it_names(world, batch):
    before = batch()
    one, other = (made("flip_latitude", world(), negate=[name])(before) for name in ("V850", "V850@-1"))
    assert torch.equal(one.inputs, other.inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_the_samples_by_default(kind, world, batch):
    before = batch(2000, shape=(6, 8))
    torch.manual_seed(1)
    after = make_augmentations([{"kind": kind}])[0].prepare(world())(before)
    flipped = (after.inputs != before.inputs).flatten(1).any(1)
    assert float(flipped.double().mean()) == pytest.approx(0.5, abs=0.04)
    assert torch.equal(after.inputs[flipped][:, 2], before.inputs[flipped][:, 2].flip(DIM[kind]))


def test_images_have_no_equator(world, batch):
    image = Grid(np.arange(10.0, 16.0), np.arange(8.0), ("y", "x"), image=True)
    before = batch()
    after = made("flip_latitude", world(grid=image))(before)
    assert torch.equal(after.inputs[:, 2], before.inputs[:, 2].flip(-2))


@pytest.mark.parametrize(
    ("kind", "changed", "options", "message"),
    [
        ("flip_latitude", {"grid": Grid(np.arange(20.0, 61.0, 10.0), np.arange(3.0))}, {},
         r"^flip_latitude: expected latitudes symmetric about the equator, got inputs from 20 to 60\. Take"),
        ("flip_latitude", {"target_grid": Grid(np.arange(20.0, 61.0, 10.0), np.arange(3.0))}, {}, r"got target from 20 to 60\."),
        ("flip_longitude", {"target_grid": Grid(np.arange(3.0), np.arange(0.0, 90.0, 10.0))}, {},
         r"^flip_longitude: expected longitudes symmetric about the same one, 157\.5, got target from 0 to 80\."),
        ("flip_longitude", {"grid": Grid(np.arange(3.0), np.array([0.0, 1.0, 5.0]))}, {}, r"got inputs from 0 to 5\."),
        ("flip_latitude", {"static": np.zeros((1, 6, 8), np.float32)}, {}, r"^flip_latitude: expected no static fields, got 1"),
        ("flip_longitude", {"grid": Grid(np.zeros((1, 3)), np.zeros((1, 3)), ("row", "station"), ("a", "b", "c"))}, {},
         r"^flip_longitude: expected a regular grid .*, got a table of stations\."),
        ("flip_latitude", {}, {"negate": ["V80"]},
         r"^flip_latitude\.negate: no channel 'V80'\. Did you mean 'V850'\? Known: U850, V850, TMQ\.$"),
        ("flip_longitude", {"channels": ("vo", "tas"), "scalars": ()}, {},
         r"^flip_longitude: expected to be told whether vo changes its sign, .* such as negate: \[vo\]\.$"),
        ("flip_latitude", {"channels": ("u10", "vee10"), "scalars": ()}, {},
         r"^flip_latitude: expected both components of every wind .*, got u10 to the east and none to the north\."),
        ("flip_latitude", {"channels": ("wind_direction", "tas"), "scalars": ()}, {},
         r"^flip_latitude: expected vectors as components, got wind_direction: the mirror image of an angle"),
        ("flip_latitude", {"channel_affine": Affine(np.ones((8, 1, 1)), np.zeros((8, 1, 1)), ("none", "sqrt") * 4)}, {},
         r"^flip_latitude: expected 'V850' with its sign, got its sqrt\. Take it out of prepare\.inputs\.transform"),
    ],
)  # fmt: skip
def test_what_is_no_mirror_image_is_refused(kind, changed, options, message, world):
    with pytest.raises(ConfigError, match=message):
        made(kind, world(**changed), **options)
