"""Test sets with data of their own: other days, calendars and stamps, with and without truth."""

import numpy as np
import pytest

from pipeline.errors import DataError, SplitError
from pipeline.prepare.config import InputsConfig, PrepareConfig, TargetConfig
from pipeline.prepare.elsewhere import TestSource as Source
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.splits import TimeSplit

CONFIG = PrepareConfig(inputs=InputsConfig(anomaly="none", lags=[0, 1]), target=TargetConfig(anomaly="mean"))


@pytest.fixture
def make(field, split, backend):
    def run(tests, config=CONFIG, **arguments):
        target = field("tas", seed=1)
        target.tas[dict(lat=0, lon=0)] = np.nan
        return prepare(
            [("era", field("psl", "hus"))],
            target,
            tests=tests,
            config=config,
            split=split,
            backend=backend,
            **arguments,
        )

    return run


def host(prepared, array):
    return prepared.backend.to_host(array)


def test_another_run_is_encoded_with_what_was_fitted_on_train(make, field, days):
    time = days("2041-01-01", "2042-12-30", "noleap")
    other = field("hus", "psl", seed=7, time=time)  # in another order, in another calendar
    prepared = make({"future": Source([("era", other)])})
    assert prepared.names == ("train", "validation", "test", "future")
    samples = prepared.samples("future")
    assert (len(samples), samples.target, prepared.truth("future")) == (len(time) - 1, None, None)
    scaler = prepared.encoder.scaler
    expected = (other.psl.values[1:] - host(prepared, scaler.mean)[0]) / host(prepared, scaler.deviation)[0]
    np.testing.assert_allclose(host(prepared, samples.inputs)[:, 0], expected, atol=1e-5)
    assert samples.time[0].calendar == "noleap"


def test_the_same_dates_as_train_are_allowed_and_fit_nothing(make, field):
    plain, both = make({}), make({"other": Source([("era", field("psl", "hus", seed=9))])})
    for part in ("mean", "deviation"):
        np.testing.assert_array_equal(
            host(plain, getattr(plain.encoder.scaler, part)), host(both, getattr(both.encoder.scaler, part))
        )
    np.testing.assert_array_equal(host(plain, plain.samples("train").inputs), host(both, both.samples("train").inputs))


def test_truth_is_matched_by_date_and_masked(make, field, tmp_path):
    truth = field("tas", seed=5, hour=12)
    truth = truth.isel(time=np.r_[100:600])
    prepared = make({"own": Source([("era", field("psl", "hus", seed=4))], truth, span=("1990-01-01", "1991-12-31"))})
    prepared.save(tmp_path)
    for made in (prepared, Prepared.load(tmp_path, prepared.backend)):
        samples = made.samples("own")
        assert len(samples) == 500
        known = made.truth("own")
        assert np.isnan(known[:, 0, 0, 0]).all()
        inside = np.broadcast_to(made.schema.mask, (500, 3, 4))
        np.testing.assert_array_equal(known[:, 0][inside], truth.tas.values[inside])
        back = host(made, samples.target)[:, 0] * made.schema.target_affine.scale + made.schema.target_affine.shift
        np.testing.assert_allclose(back[inside], truth.tas.values[inside], rtol=1e-5)
    summary = prepared.summary()["splits"]["own"]
    assert (summary["truth"], summary["own_data"], summary["samples"]) == (True, True, 500)


def test_months_and_region_hold_for_it_too(make, field):
    source = Source([("era", field("psl", "hus"))], field("tas"))
    prepared = make({"own": source}, months=[12, 1, 2], region={"lat": (42.0, 44.0)})
    assert set(prepared.samples("own").time.astype("datetime64[M]").astype(int) % 12) == {11, 0, 1}
    assert prepared.truth("own").shape[-2:] == (2, 4)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (lambda field: Source([("era", field("psl"))]), DataError, r"test set 'own': expected a channel 'hus' among the"),
        (lambda field: Source([("era", field("psl", "hus", units="degC"))]), DataError, r"'psl': expected units 'K', got 'de"),
        (lambda field: Source([("era", field("psl", "hus"))], field("tas", lat=(1.0, 2.0))), DataError, r"\(3, 4\) cells that the models"),
        (lambda field: Source([("era", field("psl", "hus"))], field("tx")), DataError, r"expected the targets tas, got tx"),
        (lambda field: Source([("era", field("psl", "hus"))], field("tas", units="degC")), DataError, r"target 'tas': expected units"),
        (lambda field: Source([("era", field("psl", "hus"))], field("tas").where(False)), SplitError, r"^test set 'own': expected truth on some date of the predictors, got none; leave `target` out"),
        (lambda field: Source([("era", field("psl", "hus")[{"time": slice(None, None, 5)}])]), DataError, r"test set 'own': era: expected a step of 1 day"),
        (lambda field: Source([("era", field("psl", "hus"))], span=("2050-01-01", "2050-02-01")), SplitError, r"expected dates in \('2050"),
        (lambda field: Source([("era", field("psl", "hus"))], span=("2050-13-01", "2050-02-01")), SplitError, r"test set 'own': span: "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_called_so(make, field, source, error, message):
    with pytest.raises(error, match=message):
        make({"own": source(field)})


def test_a_train_span_may_hold_a_hole(field, days, cpu):
    """As in an experiment of two periods: 1961 to 1980 and 2080 to 2099."""
    time = np.concatenate([days("1961-01-01", "1963-12-31"), days("2080-01-01", "2083-12-31")])
    split = TimeSplit(("1961", "2081"), ("2082", "2082"), {"test": ("2083", "2083")})
    prepared = prepare(
        [("gcm", field("psl", time=time))], field("tas", time=time, seed=1), config=CONFIG, split=split, backend=cpu
    )
    assert (
        len(prepared.samples("train")) == 3 * 365 + 366 + 365 - 2
    )  # 2080 is a leap year; a first day a period lacks its lag
    assert prepared.summary()["splits"]["train"]["segments"] == 2
    assert prepared.reference.used == 2


def test_dates_of_the_train_split_are_named_in_the_notes(make, field, days):
    same = Source([("era", field("psl", "hus"))], span=("1991-12-01", "1992-01-31"))
    later = Source([("era", field("psl", "hus", time=days("2041-01-01", "2042-12-30", "noleap")))])
    notes = make({"same": same, "later": later}).summary()["notes"]
    # The first of the 62 dates lacks its lag.
    said = "Test set same has data of its own: 30 of its 61 dates are dates of the train split too, in another source."
    assert [note for note in notes if "data of its own" in note] == [said]


def test_data_on_disk_take_no_memory_until_they_are_asked_for(make, field, cpu, tmp_path):
    make({"own": Source([("era", field("psl", "hus"))], field("tas"))}).save(tmp_path)
    loaded = Prepared.load(tmp_path, cpu)
    for steps, target in (
        (loaded.steps, loaded.target),
        (loaded.elsewhere["own"].steps, loaded.elsewhere["own"].target),
    ):
        assert isinstance(steps.inputs.base, np.memmap)
        assert isinstance(target.base, np.memmap)
    assert loaded.samples("own").inputs.flags.writeable
