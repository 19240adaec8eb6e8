"""The made storms: class shares, what moves where, what a threshold cannot see."""

import numpy as np
import pytest
from scipy import ndimage

from pipeline.data.synthetic import StormConfig, StormWorld
from pipeline.data.synthetic.storms.config import CHANNELS, KINDS, STRONG
from pipeline.data.synthetic.storms.events import Event, make_events
from pipeline.data.synthetic.storms.shapes import Globe, Signs, add
from pipeline.errors import CatalogError, DataError
from pipeline.sphere import EARTH_RADIUS

MAIN = ["TMQ", "U850", "V850", "PSL"]


@pytest.fixture(scope="module")
def world():
    return StormWorld(StormConfig(times=250))


@pytest.fixture
def one_event():
    """What one event at full strength does to one map."""

    def make(name, lat, lon, size, shape=(90, 180)):
        lat, lon = np.atleast_1d(lat).astype(float)[None], np.atleast_1d(lon).astype(float)[None]
        event = Event(KINDS[name], np.array([0]), lat, lon, np.array([1.0]), size)
        globe, signs = Globe.of(shape), Signs.none((1, *shape))
        add(event, globe, signs)
        return globe, signs

    return make


def haversine(lat, lon, other_lat, other_lon):
    """Great-circle distance in km by another formula than the code's."""
    lat, lon, other_lat, other_lon = map(np.deg2rad, (lat, lon, other_lat, other_lon))
    half = np.sin((lat - other_lat) / 2) ** 2 + np.cos(lat) * np.cos(other_lat) * np.sin((lon - other_lon) / 2) ** 2
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(half))


def test_classes_are_as_rare_as_they_should_be(world):
    labels = world.signs.labels
    shares = [float((labels == number).mean()) for number in range(3)]
    assert 0.975 < shares[0] < 0.988
    assert 0.0005 < shares[1] < 0.0015
    assert 0.013 < shares[2] < 0.022


@pytest.mark.parametrize("lon", [0.0, 179.0, -180.0])
def test_a_cyclone_is_a_disc_that_wraps_with_a_low_and_wind_round_it(one_event, lon):
    globe, signs = one_event("cyclone", 15.0, lon, 600.0)
    away = haversine(globe.lat[:, None], globe.lon, 15.0, lon)
    np.testing.assert_array_equal(signs.labels[0] == 1, away <= 600.0)
    np.testing.assert_allclose(signs.depth[0], 2600.0 * np.exp(-((away / 660.0) ** 2)), atol=2600.0 * 1e-3)
    speed = np.hypot(signs.east[0], signs.north[0])
    assert speed.max() == pytest.approx(17.0, rel=0.02)
    assert haversine(globe.lat[:, None], globe.lon, 15.0, lon)[speed == speed.max()][0] == pytest.approx(480, abs=150)


@pytest.mark.parametrize("lat", [16.0, -16.0])
def test_wind_turns_cyclonically_in_either_hemisphere(one_event, lat):
    globe, signs = one_event("cyclone", lat, 10.0, 600.0)
    row, column = int(np.abs(globe.lat - lat).argmin()), int(np.abs(globe.lon - 10.0).argmin())
    north_of_it, east_of_it = signs.east[0, row + 2, column], signs.north[0, row, column + 2]
    assert np.sign(lat) * north_of_it < -5.0  # northern hemisphere: counter-clockwise
    assert np.sign(lat) * east_of_it > 5.0


def test_a_river_is_all_that_is_near_its_arc(one_event):
    lat, lon = np.linspace(20.0, 50.0, 400), np.linspace(150.0, 210.0, 400)
    globe, signs = one_event("river", lat, lon, 300.0, shape=(60, 120))
    rows, columns = np.meshgrid(globe.lat, globe.lon, indexing="ij")
    away = np.array([haversine(one, other, lat, lon).min() for one, other in zip(rows.ravel(), columns.ravel())])  # noqa: B905
    np.testing.assert_array_equal((signs.labels[0] == 2).ravel(), away <= 300.0)
    inside = signs.labels[0] == 2
    assert inside[:, globe.lon < -150].any(), "it goes on across the date line"
    assert (signs.north[0][inside] > 0).all()
    assert (signs.east[0][inside] > 0).all()


def test_a_cyclone_goes_before_a_river_and_weak_events_have_no_class():
    globe, signs = Globe.of((48, 96)), Signs.none((1, 48, 96))
    where, arc = (np.array([[15.0]]), np.array([[0.0]])), (np.array([[15.0, 17.0]]), np.array([[0.0, 2.0]]))
    for name, place in (("cyclone", where), ("river", arc), ("cyclone", where)):
        add(Event(KINDS[name], np.array([0]), *place, np.array([1.0]), 500.0), globe, signs)
        disc = haversine(globe.lat[:, None], globe.lon, 15.0, 0.0) <= 500.0
        assert (signs.labels[0][disc] == 1).all()
    assert set(np.unique(signs.labels)) == {0, 1, 2}
    weak = Signs.none((1, 48, 96))
    add(Event(KINDS["cyclone"], np.array([0]), *where, np.array([STRONG - 0.01]), 500.0), globe, weak)
    assert not weak.labels.any()
    assert weak.depth.max() > 1000.0


def test_cyclones_drift_west_and_poleward_and_turn_where_they_are_far_from_the_equator():
    events = make_events(StormConfig(times=1500, step_hours=6), "cyclone")
    assert len(events) > 30
    low = [event for event in events if len(event.step) > 4 and np.abs(event.lat[0, 0]) < 15]
    assert all(event.lon[4, 0] < event.lon[0, 0] for event in low)
    assert all(np.abs(event.lat[-1, 0]) > np.abs(event.lat[0, 0]) for event in low)
    steps = [(event.lat[i, 0], event.lon[i + 1, 0] - event.lon[i, 0]) for event in events for i in range(len(event.step) - 1)]  # fmt: skip
    turned = [drift for lat, drift in steps if abs(lat) > 25]
    assert turned
    assert min(turned) > 0


def test_the_drift_is_the_integral_of_its_speed():
    (event, *_) = (e for e in make_events(StormConfig(times=4000, step_hours=1), "cyclone") if np.abs(e.lat).max() > 26)
    lat, speed = np.abs(event.lat[:, 0]), np.diff(event.lon[:, 0])
    middle = (lat[1:] + lat[:-1]) / 2
    east = (
        speed[middle < 20].mean() if (middle < 20).any() else speed[0] / (1 - 3 * np.clip((middle[0] - 20) / 10, 0, 1))
    )
    np.testing.assert_allclose(speed, east * (1 - 3 * np.clip((middle - 20) / 10, 0, 1)), atol=0.01 * abs(east))


def test_events_last_and_move_by_less_than_a_gap(world):
    """What is labelled on one map mostly meets what is labelled on the next, as tracking needs."""
    labels = world.signs.labels == 2
    wide = ndimage.binary_dilation(labels, structure=np.ones((1, 3, 9)))
    met = (labels[1:] & wide[:-1]).sum() / labels[1:].sum()
    assert met > 0.5


def iou(found, truth):
    return (found & truth).sum() / (found | truth).sum()


@pytest.mark.parametrize(("channel", "sign", "label", "most"), [("TMQ", 1, 2, 0.3), ("PSL", -1, 1, 0.1)])
def test_no_threshold_solves_it(world, channel, sign, label, most):
    """The best threshold of a channel, or of its anomaly from the zonal mean, found on the very maps it is scored on."""
    field = sign * world.channel(channel)
    truth = world.signs.labels == label
    for values in (field, field - field.mean(axis=(0, 2), keepdims=True)):
        levels = np.quantile(values, np.linspace(0.9, 0.9999, 40))
        assert max(iou(values >= level, truth) for level in levels) < most


def test_signs_of_the_events_are_in_the_channels(world):
    """Without noise and the look-alikes they could be seen: the events raise, lower and turn what they should."""
    labels = world.signs.labels
    zonal = {name: world.channel(name) - world.channel(name).mean(axis=(0, 2), keepdims=True) for name in MAIN}
    assert zonal["PSL"][labels == 1].mean() < -800
    assert zonal["TMQ"][labels == 1].mean() > 5
    assert zonal["TMQ"][labels == 2].mean() > 5
    assert np.abs(zonal["PSL"][labels == 2].mean()) < 300
    warm = world.channel("T500") - world.channel("T500").mean(axis=(0, 2), keepdims=True)
    assert warm[labels == 1].mean() > 1.0


def test_noise_wraps_and_lasts():
    config = StormConfig(times=400)
    noise = StormWorld(config)._noise("test", 900.0)
    assert noise.std() == pytest.approx(1.0, abs=0.03)
    seam = np.corrcoef(noise[:, :, 0].ravel(), noise[:, :, -1].ravel())[0, 1]
    inside = np.corrcoef(noise[:, :, 40].ravel(), noise[:, :, 41].ravel())[0, 1]
    assert seam == pytest.approx(inside, abs=0.03)
    later = np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]
    assert later == pytest.approx(np.exp(-24 / 60), abs=0.03)


def test_the_same_options_give_the_same_bytes_and_another_seed_others():
    config = StormConfig(times=3, shape=(16, 32))
    first, again = (StormWorld(config).dataset([*MAIN, "LABELS"]) for _ in range(2))
    assert first.identical(again)
    other = StormWorld(StormConfig(times=3, shape=(16, 32), seed=1)).dataset(MAIN)
    assert not np.array_equal(first["TMQ"], other["TMQ"])


def test_a_longer_series_of_finer_steps_has_the_same_paths():
    """An event does not depend on the maps that it is on: births are drawn for the whole span."""
    every = ((80, 6), (20, 24))
    fine, coarse = (make_events(StormConfig(times=times, step_hours=hours), "river") for times, hours in every)
    known = {event.size: event for event in fine}
    assert len(coarse) > 10
    for other in coarse:
        one = known[other.size]
        same = np.isin(one.step, 4 * other.step)
        np.testing.assert_allclose(one.lat[same], other.lat)
        np.testing.assert_allclose(one.lon[same], other.lon)
        np.testing.assert_allclose(one.strength[same], other.strength)


def test_all_channels_are_finite_and_named():
    data = StormWorld(StormConfig(times=2, shape=(16, 32))).dataset([*CHANNELS])
    for name, array in data.data_vars.items():
        assert array.dtype == np.float32
        assert np.isfinite(array.values).all()
        assert array.attrs["units"] == CHANNELS[name].units
    assert float(data["QREFHT"].min()) > 0
    assert float(data["PRECT"].min()) == 0


def test_unknown_channels_and_options_are_refused(entry_of, load_entry):
    with pytest.raises(DataError, match=r"set: no variable 'TMG'\. Did you mean 'TMQ'\?"):
        load_entry(entry_of("synthetic_storms", [], {"TMG": {"units": "1"}}, times=2))
    with pytest.raises(CatalogError, match=r"options.shape.0: .* greater than or equal to 16, got 8"):
        load_entry(entry_of("synthetic_storms", [], {"TMQ": {"units": "kg m-2"}}, shape=[8, 96]))
