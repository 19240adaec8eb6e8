"""From keys to questions: places, answers, quantities, thresholds, events, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.attribution.asking import ask, event_cells, find_place, with_events
from pipeline.backend import get_backend
from pipeline.errors import ConfigError, DataError
from pipeline.explain_config import ExplainConfig
from pipeline.grid import Grid
from pipeline.prediction import Prediction
from pipeline.samples import Affine

BACKEND = get_backend("cpu")
SCALE = np.array([2.0, 3.0])[:, None, None]


def entry(**keys):
    return ExplainConfig.model_validate({"method": "gradient", **keys})


def asked(schema, train=None, scale=SCALE, **keys):
    return ask(entry(**keys), schema, scale, train, BACKEND)[0]


@pytest.fixture
def schema(samples):
    """Two targets on three rows of four cells, one cell outside of the mask."""
    return replace(samples.schema, targets=("tas", "pr"), target_units=("degC", "mm d-1"))


@pytest.fixture
def ahead(schema):
    """One target at two leads."""
    return replace(schema, targets=("flow@+1", "flow@+3"), target_units=("mm d-1", "mm d-1"), leads=(1, 3))


@pytest.fixture
def classes(schema):
    return replace(schema, targets=("label",), target_units=("1",), classes=("land", "cloud", "ice"))


@pytest.fixture
def stations(schema):
    grid = Grid(np.array([[1.0, 2.0, 3.0]]), np.array([[5.0, 6.0, np.nan]]), ("row", "station"), ("a", "b", "c"))
    return replace(schema, target_grid=grid, mask=np.array([[True, False, True]]))


def test_the_whole_mask_by_area(schema):
    question = asked(schema)
    expected = np.cos(np.deg2rad(schema.target_grid.lat))[:, None] * schema.mask
    np.testing.assert_allclose(question.weights[0], expected / expected.sum())
    assert (question.weights[1] == 0).all()
    assert question.label == "mean tas over 11 cells"
    assert question.units == "K"  # a departure from the baseline, not a temperature
    assert question.quantity == "mean"
    np.testing.assert_allclose(question.factors[0].sum(), 2.0)


def test_a_region_includes_its_ends(schema):
    question = asked(schema, region={"lat": (20, 40), "lon": (1, 2)}, target="pr")
    chosen = np.zeros((3, 4), bool)
    chosen[1:, 1:3] = True
    np.testing.assert_array_equal(question.weights[1] > 0, chosen)
    assert question.weights.sum() == pytest.approx(1.0)
    assert (question.label, question.units) == ("mean pr over 4 cells in lat 20 to 40, lon 1 to 2", "mm d-1")


@pytest.mark.parametrize("bounds", [(179.0, 182.0), (-181.0, -178.0)])
def test_a_region_across_the_date_line_is_one_region(schema, bounds):
    schema = replace(schema, target_grid=Grid(schema.target_grid.lat, np.array([-180.0, -179.0, -178.0, 179.0])))
    assert (asked(schema, region={"lon": bounds}).weights[0] > 0).any(axis=0).all()
    narrow = asked(schema, region={"lon": (179.0, 180.5)})
    np.testing.assert_array_equal((narrow.weights[0] > 0).any(axis=0), [True, False, False, True])


def test_a_projected_grid_is_cut_by_its_own_coordinates(schema):
    lat, lon = np.meshgrid(schema.target_grid.lat, schema.target_grid.lon, indexing="ij")
    other = replace(schema, target_grid=Grid(lat, lon, ("y", "x")))
    keys = {"region": {"lon": (1.0, 2.0)}}
    np.testing.assert_allclose(asked(schema, **keys).weights, asked(other, **keys).weights)


def test_a_point_is_its_nearest_cell(schema):
    question = asked(schema, point={"lat": 38.0, "lon": 2.2})
    assert np.argwhere(question.weights).tolist() == [[0, 1, 2]]
    assert question.label == "tas at 38 N 2.2 E"


def test_a_station_is_found_by_name(stations):
    question = asked(stations, station="c")
    assert np.argwhere(question.weights).tolist() == [[0, 0, 2]]
    assert question.label == "tas at c"


def test_a_region_of_the_experiment_is_found_by_name(schema):
    number = np.where(np.arange(4)[None, :] < 2, 0, 1) * np.ones((3, 1), int)
    schema = replace(schema, regions=("west", "east"), region=np.where(schema.mask, number, -1))
    question = asked(schema, region="east")
    np.testing.assert_array_equal((question.weights[0] > 0).any(axis=0), [False, False, True, True])
    assert question.label == "mean tas over 6 cells of east"
    with pytest.raises(ConfigError, match=r"no region 'easst'\. Did you mean 'east'\? Known: west, east\."):
        asked(schema, region="easst")


def test_leads_are_found_by_number_and_by_name(ahead):
    assert [asked(ahead, **keys).label for keys in ({}, {"lead": 3}, {"target": "flow@+3"})] == [
        "mean flow@+1 over 11 cells", "mean flow@+3 over 11 cells", "mean flow@+3 over 11 cells",
    ]  # fmt: skip
    assert (asked(ahead, target="flow", lead=3).weights[1] > 0).any()


def test_classes_are_asked_for_their_log_odds(classes):
    question = asked(classes)
    assert question.weights.shape == (3, 3, 4)
    assert (question.weights[2] > 0).sum() == 11
    assert (question.label, question.units) == ("mean log odds of ice over 11 cells", "1")
    np.testing.assert_array_equal(question.factors, question.weights)
    sure = asked(classes, **{"class": "cloud", "of": "probability"})
    assert sure.label == "mean probability of cloud over 11 cells"
    assert (sure.weights[1] > 0).any()


def test_an_exceedance_of_a_quantile_is_of_the_train_split(schema, samples):
    truth = np.random.default_rng(4).normal(size=(60, 2, 3, 4)).astype(np.float32)
    truth[:, :, ~schema.mask] = np.nan
    question = asked(schema, replace(samples, target=truth), of="exceedance", quantile=0.9, target="pr")
    np.testing.assert_allclose(question.threshold, np.nanquantile(truth, 0.9, axis=0), rtol=1e-6)
    assert question.label == "mean probability that pr reaches its 0.9 quantile of the train split over 11 cells"
    assert question.units == "1"


def test_a_threshold_in_units_is_carried_into_the_space_of_the_samples(schema):
    affine = Affine(np.full((2, 1, 1), 2.0, np.float32), np.full((2, 1, 1), 10.0, np.float32))
    question = asked(replace(schema, target_affine=affine), of="exceedance", threshold=20.0)
    np.testing.assert_allclose(question.threshold, 5.0)
    assert question.label == "mean probability that tas reaches 20 over 11 cells"
    with pytest.raises(ConfigError, match=r"threshold: expected a target whose units.*Give quantile"):
        asked(schema, of="exceedance", threshold=20.0)


def test_an_event_has_cells_of_its_own_every_day(classes):
    keys = {"event": True, "class": "ice", "region": {"lon": (1.0, 3.0)}}
    question, place = ask(entry(**keys), classes, SCALE[:1], None, BACKEND)
    chances = np.zeros((3, 2, 1, 3, 4), np.float32)
    chances[0] = 0.5
    chances[2, 0, 0, 1:, :2] = 0.9
    events = event_cells(entry(**keys), Prediction("categorical", {"probabilities": chances}), question, place, BACKEND)
    np.testing.assert_array_equal(events.any(axis=(1, 2)), [True, False])
    found = with_events(question, place, events[:1])
    assert found.weights.shape == (1, 3, 3, 4)
    assert np.argwhere(found.weights[0]).tolist() == [[2, 1, 1], [2, 2, 1]]
    assert found.weights.sum() == pytest.approx(1.0)
    assert found.label.endswith("each day over the cells of the event")
    chances[2] = 0.0
    with pytest.raises(DataError, match="expected cells of 'ice' as predicted"):
        event_cells(entry(**keys), Prediction("categorical", {"probabilities": chances}), question, place, BACKEND)


def test_an_event_of_numbers_reaches_a_quantile(schema, samples):
    truth = np.broadcast_to(np.arange(60.0)[:, None, None, None], (60, 2, 3, 4))
    keys = {"event": True, "quantile": 0.5}
    question, place = ask(entry(**keys), schema, SCALE, replace(samples, target=truth), BACKEND)
    mean = np.full((1, 2, 3, 4), 29.0)
    mean[0, 0, 2] = 30.0
    events = event_cells(entry(**keys), Prediction("point", {"mean": mean}), question, place, BACKEND)
    assert events.sum() == 4


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"target": "tass"}, r"^explain: no target 'tass'\. Did you mean 'tas'\? Known: tas, pr\.$"),
        (
            {"region": {"lat": (0, 1)}},
            r"cells of the target in the region lat 0 to 1, got none with its centre there\. "
            r"The cells lie within lat 20 to 60, lon 0 to 3\. Take a wider region, or point for the nearest cell\.$",
        ),
        ({"region": {"lat": (30, 31), "lon": (1.2, 1.8)}}, r"lon 1\.2 to 1\.8, got none with its centre there"),
        ({"region": {"lat": (59, 61), "lon": (0, 0.5)}}, r"lon 0 to 0\.5, got none: those there are not predicted"),
        ({"point": {"lat": 0.0, "lon": 1.0}}, r"point: expected a place on the grid.*lat 20 to 60, lon 0 to 3"),
        ({"point": {"lat": 60.0, "lon": 0.0}}, r"point 60 N 0 E, got none: those there are not predicted"),
        ({"station": "x"}, r"no station 'x'\..*The target is on a grid: give point or region"),
        ({"lead": 2}, r"lead: expected one of 0, got 2"),
        ({"class": "ice"}, r"class: expected none for a target of numbers, got 'ice'"),
        ({"of": "log_odds"}, r"of: log_odds: expected a quantity that predictions of numbers have"),
    ],
)
def test_what_is_not_there_is_refused(schema, keys, message):
    with pytest.raises(ConfigError, match=message):
        find_place(entry(**keys), schema)


def test_a_class_that_is_not_there_is_refused(classes):
    with pytest.raises(ConfigError, match=r"no class 'clud'\. Did you mean 'cloud'\? Known: land, cloud, ice"):
        find_place(entry(**{"class": "clud"}), classes)
    with pytest.raises(ConfigError, match="expected class, got target or lead"):
        find_place(entry(target="label"), classes)


def test_a_station_that_is_not_predicted_is_refused(stations):
    with pytest.raises(ConfigError, match=r"station 'b', got none: those there are not predicted"):
        find_place(entry(station="b"), stations)
    with pytest.raises(ConfigError, match=r"no station 'bb'\. Did you mean|Known: a, b, c"):
        find_place(entry(station="bb"), stations)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"station": "a", "region": "b"}, "expected one of region, point and station, got region and station"),
        ({"of": "exceedance"}, "expected quantile or threshold, got neither"),
        ({"quantile": 0.9}, "expected of: exceedance or event: true"),
        ({"of": "exceedance", "quantile": 0.9, "threshold": 1.0}, "expected quantile or threshold, got both"),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        entry(**keys)
