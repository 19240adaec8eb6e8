import cftime
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Forecast, Variable, from_dataset, read, write_forecasts

GRID = Grid(np.array([[41.8, 38.7]]), np.array([[-6.7, -9.1]]), ("row", "station"), ("Braganca", "Lisboa"))
VARIABLES = (Variable("flow", "m3 s-1"), Variable("level", "m"))
LEADS = (1, 3)
# Stamps in the middle of every month, which no arithmetic of months finds: the 16th, and the 15th of February.
MIDDLES = np.array(
    ["1997-12-16", "1998-01-16", "1998-02-15", "1998-03-16", "1998-04-16", "1998-05-16"], "datetime64[ns]"
)


def _forecast(split="test", time=MIDDLES[:3], valid=None, targets=4):
    values = np.random.default_rng(len(split)).normal(size=(2, len(time), targets, 1, 2)).astype(np.float32)
    valid = np.stack([MIDDLES[1:4], MIDDLES[3:6]], axis=1) if valid is None else valid
    parameters = {"mean": values[0], "sd": np.abs(values[1])}
    return Forecast(split, time, Prediction("normal", parameters), values[1], valid)


def _file(path, *forecasts, leads=LEADS):
    write_forecasts(path, iter(forecasts), model="m", variables=VARIABLES, grid=GRID, leads=leads)
    return read(path)


def test_forecasts_some_steps_ahead_come_back_with_the_times_they_are_for(tmp_path):
    written = _forecast()
    dataset = _file(tmp_path / "m.nc", written)
    assert dataset["flow"].dims == ("time", "lead", "station")
    assert dataset["lead"].values.tolist() == list(LEADS)
    assert dataset["time"].attrs["standard_name"] == "forecast_reference_time"
    np.testing.assert_array_equal(dataset["valid_time"], written.valid)
    # All variables of the first lead stand before those of the second.
    np.testing.assert_array_equal(dataset["level"], written.prediction.parameters["mean"][:, 1::2, 0, :])
    (found,) = from_dataset(dataset)
    np.testing.assert_array_equal(found.valid, written.valid)
    for name, values in written.prediction.parameters.items():
        np.testing.assert_array_equal(found.prediction.parameters[name], values)
    np.testing.assert_array_equal(found.truth, written.truth)


def test_blocks_of_times_keep_their_own_valid_times():
    part = _forecast().rows(1, 3)
    np.testing.assert_array_equal(part.valid, np.stack([MIDDLES[2:4], MIDDLES[4:6]], axis=1))


def test_valid_times_are_of_the_calendar_of_their_split(tmp_path):
    days = cftime.num2date(np.arange(56, 62), "days since 2001-01-01", "noleap")
    other = _forecast("run", days[:3], np.stack([days[1:4], days[3:6]], axis=1))
    found = from_dataset(_file(tmp_path / "m.nc", _forecast(), other))
    np.testing.assert_array_equal(found[1].valid, other.valid)
    assert found[1].valid[0, 0].calendar == "noleap"
    np.testing.assert_array_equal(found[0].valid, MIDDLES[[[1, 3], [2, 4], [3, 5]]])


@pytest.mark.parametrize(("leads", "valid"), [(LEADS, MIDDLES[:3, None]), (None, MIDDLES[:3, None])])
def test_leads_without_their_times_are_refused(leads, valid, tmp_path):
    message = r"^expected the times that 'm' answers on 'test' in shape \(time, lead\) = .*, got \(3, \d\)\.$"
    with pytest.raises(DataError, match=message):
        _file(tmp_path / "m.nc", _forecast(valid=valid, targets=4 if leads else 2), leads=leads)
