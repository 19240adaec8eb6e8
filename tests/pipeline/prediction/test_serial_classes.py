"""Files of a segmentation: classes beside their probabilities, with their names."""

import numpy as np
import pytest
import xarray as xr

from pipeline.cf import names_back
from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Forecast, Variable, from_dataset, parts_of, write_forecasts, writing

GRID = Grid(np.array([40.0, 41.0]), np.array([0.0, 120.0, 240.0]))
NAMES = ("background", "tropical cyclone", "river")
EVENT = Variable("event", "1", long_name="weather event", classes=NAMES)
DAYS = np.datetime64("2001-01-01", "ns") + np.arange(5) * np.timedelta64(1, "D")


def forecast(split="test", classes=3, targets=1, time=DAYS, known=True, members=0):
    rng = np.random.default_rng(classes)
    shape = (len(time), targets, *GRID.shape)
    chances = np.moveaxis(rng.dirichlet(np.ones(classes), shape), -1, 0).astype("f4")
    chances[..., 0, 0] = np.nan
    truth = rng.integers(0, classes, shape).astype("f4") if known else None
    said = Prediction("categorical", {"probabilities": chances})
    if members:
        said = Prediction("categorical_mixture", said.formulas.mix([said.map(np.flipud).parameters, said.parameters]))
    return Forecast(split, time, said, truth)


def write(path, *forecasts, variables=(EVENT,), **options):
    write_forecasts(path, iter(forecasts), model="m", variables=variables, grid=GRID, **options)
    return path


def test_the_file_says_which_class_is_which(tmp_path):
    said = forecast()
    with xr.open_dataset(write(tmp_path / "a.nc", said)) as data:
        assert data.attrs["family"] == "categorical"
        assert set(data.data_vars) == {"event", "event_truth", "event_aleatoric", "event_param_probabilities"}
        assert tuple(data["class_name"].to_numpy()) == NAMES
        chances = data["event_param_probabilities"]
        assert chances.dims == ("class", "time", "lat", "lon")
        assert chances.attrs["units"] == data["event"].attrs["units"] == "1"
        for name in ("event", "event_truth"):
            attrs = data[name].attrs
            np.testing.assert_array_equal(attrs["flag_values"], np.array([0, 1, 2], "f4"))
            assert attrs["flag_values"].dtype == data[name].dtype == np.float32
            assert attrs["flag_meanings"] == "background tropical_cyclone river"
        assert "flag_values" not in chances.attrs
        assert data["event"].attrs["long_name"] == "most likely weather event"
        assert data["event"].attrs["parameters"] == "probabilities: event_param_probabilities"
        assert parts_of(data, "event") == ("event", "event_param_probabilities")
        np.testing.assert_array_equal(data["event"], said.prediction.mean()[:, 0])
        likely = names_back(data)["event_param_probabilities"].sel({"class": "river"})
        np.testing.assert_array_equal(likely, said.prediction.parameters["probabilities"][2, :, 0])


def test_what_members_expect_and_by_what_they_disagree_is_in_the_file(tmp_path):
    said = forecast(members=2)
    with xr.open_dataset(write(tmp_path / "a.nc", said)) as data:
        assert data.attrs["family"] == "categorical_mixture"
        kinds = ("aleatoric", "epistemic")
        others = {"event", "event_truth", "event_param_probabilities"}
        assert set(data.data_vars) == {*others, *(f"event_{kind}" for kind in kinds)}
        for kind, values in zip(kinds, said.prediction.uncertainties(), strict=True):
            part = data[f"event_{kind}"]
            np.testing.assert_array_equal(part, values[:, 0])
            assert part.attrs["units"] == "1"
            assert part.attrs["long_name"] == f"{kind} entropy of the predicted weather event [nat]"
        # Written once: what the members expect is the aleatoric part.
        places = "probabilities: event_param_probabilities expected_entropy: event_aleatoric"
        assert data["event"].attrs["parameters"] == places
        assert float(data["event_epistemic"].max()) > 0.01
        (found,) = from_dataset(data.load())
    for before, after in zip(said.prediction.uncertainties(), found.prediction.uncertainties(), strict=True):
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("members", [0, 2])
@pytest.mark.parametrize("splits", [True, False])
def test_probabilities_come_back_bit_for_bit_whatever_the_block(tmp_path, monkeypatch, splits, members):
    monkeypatch.setattr(writing, "_BLOCK", 30)  # two days at a time
    written = [forecast(members=members)]
    if splits:
        written.append(forecast("late", time=DAYS + 40 * (DAYS[1] - DAYS[0]), members=members))
    with xr.open_dataset(write(tmp_path / "a.nc", *written, splits=splits)) as data:
        found = from_dataset(data.load())
    for before, after in zip(written, found, strict=True):
        assert after.prediction.family == before.prediction.family
        assert (after.prediction.class_count, after.prediction.member_count) == (3, 0)
        for name, values in before.prediction.parameters.items():
            np.testing.assert_array_equal(after.prediction.parameters[name], values)
        np.testing.assert_array_equal(after.truth, before.truth)


def test_classes_without_names_are_numbered(tmp_path):
    path = write(tmp_path / "a.nc", forecast(known=False), variables=(Variable("event", "1"),))
    with xr.open_dataset(path) as data:
        assert data["class_name"].to_numpy().tolist() == ["0", "1", "2"]
        assert "flag_values" not in data["event"].attrs


def test_two_variables_share_their_classes(tmp_path):
    variables = (EVENT, Variable("other", "1", classes=NAMES))
    with xr.open_dataset(write(tmp_path / "a.nc", forecast(targets=2), variables=variables)) as data:
        (found,) = from_dataset(data.load())
    assert found.prediction.parameters["probabilities"].shape == (3, 5, 2, 2, 3)


@pytest.mark.parametrize(
    ("variables", "got"),
    [
        ((Variable("event", "1", classes=NAMES[:2]),), r"\['background', 'tropical cyclone'\]\.$"),
        ((EVENT, Variable("other", "1", classes=("a", "b", "c"))), r"\['a', 'b', 'c'\] and \['background', .*\]\.$"),
    ],
)
def test_names_that_are_not_those_of_the_prediction_are_refused(tmp_path, variables, got):
    message = r"^expected the names of the 3 classes that were predicted for every variable, got " + got
    with pytest.raises(DataError, match=message):
        write(tmp_path / "a.nc", forecast(targets=len(variables)), variables=variables)


def test_splits_with_other_numbers_of_classes_are_refused(tmp_path):
    late = forecast("late", classes=2, time=DAYS + 40 * (DAYS[1] - DAYS[0]))
    with pytest.raises(DataError, match=r"^expected 3 classes of 'm' in all splits, got 2 in one\.$"):
        write(tmp_path / "a.nc", forecast(), late)


def test_a_shape_that_does_not_fit_is_told_without_its_classes(tmp_path):
    with pytest.raises(DataError, match=r"^expected probabilities of 'm' .* = \(5, 2, 2, 3\), got \(5, 1, 2, 3\)\.$"):
        write(tmp_path / "a.nc", forecast(), variables=(EVENT, Variable("other", "1")))
