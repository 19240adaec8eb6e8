"""The registered scores of fields: what they make of a case."""

import dataclasses

import array_api_strict
import numpy as np
import pytest

from pipeline.backend.special import to_host
from pipeline.grid import Grid
from pipeline.metrics import METRICS, Case, Place
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.neighbourhood import fraction_errors
from pipeline.metrics.spectra import annuli, curves, log_spectral_distance, power, spacing
from pipeline.metrics.structure import pattern_correlation, structural_similarity, truth_ends
from pipeline.prediction import Prediction

GRID = Grid(np.linspace(40.0, 43.5, 8), np.linspace(-5.0, -1.0, 9))
MASK = np.ones((8, 9), bool)
MASK[:2, :3] = False
NAMES = ("log_spectral_distance", "spatial_correlation", "ssim", "fss_r01", "fss_r10")
TIMES = 12


def _case(family="members", units="mm d-1", missing=0.1, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.gamma(0.6, 8.0, (TIMES, int(MASK.sum()))).astype(np.float32)
    members = (truth * rng.uniform(0.5, 1.5, (3, *truth.shape))).astype(np.float32)
    truth[rng.random(truth.shape) < missing] = np.nan
    truth[4] = np.nan
    parameters = {
        "point": {"mean": members[0]},
        "members": {"members": members},
        "normal": {"mean": members[0], "sd": np.full_like(truth, 2.0)},
    }[family]
    usual = Prediction("point", {"mean": np.zeros_like(truth)})
    time = np.datetime64("2001-01-01", "D") + np.arange(TIMES)
    return Case(Prediction(family, parameters), truth, usual, units=units, time=time, place=Place(GRID, MASK), seed=1)


def _score(name, case):
    metric = METRICS.get(name)()
    terms = metric.terms(case)
    count = np.asarray(float(to_host(case.valid).any(axis=1).sum()))
    return float(metric.value(count, tuple(term.sum(axis=0) for term in terms)))


def _fields(case):
    def lay(rows):
        field = np.full((*rows.shape[:-1], *MASK.shape), np.nan)
        field[..., MASK] = rows
        return field

    truth = lay(case.truth)
    return truth, lay(case.draws), np.isfinite(truth)


@pytest.mark.parametrize("family", ["point", "members", "normal"])
def test_they_are_the_formulas_of_the_fields_of_all_draws(family):
    case = _case(family).with_draws()
    truth, draws, known = _fields(case)
    rings = annuli(GRID.shape, spacing(GRID))
    spectra = [np.nanmean(power(field, known, rings), axis=0) for field in (truth, *draws)]
    expected = log_spectral_distance(spectra[0], np.mean(spectra[1:], axis=0))
    assert _score("log_spectral_distance", case) == pytest.approx(float(expected), rel=1e-9)
    daily = pattern_correlation(truth, draws, known, GRID.area)
    assert _score("spatial_correlation", case) == pytest.approx(np.nanmean(daily), rel=1e-9)
    ends = float(np.nanmin(truth)), float(np.nanmax(truth))
    assert truth_ends(case) == ends
    daily = structural_similarity(truth, draws, known, GRID.area, ends)
    assert _score("ssim", case) == pytest.approx(np.nanmean(daily), rel=1e-9)


@pytest.mark.parametrize(("name", "threshold"), [("fss_r01", 1.0), ("fss_r10", 10.0)])
def test_fractions_are_of_the_share_of_members(name, threshold):
    case = _case()
    truth, draws, known = _fields(case)
    errors, largest = fraction_errors((draws >= threshold).mean(axis=0), truth >= threshold, known, GRID.area, 3)
    assert _score(name, case) == pytest.approx(1.0 - errors.sum() / largest.sum(), rel=1e-6)


def test_thresholds_are_of_the_units():
    case = _case()
    flux = dataclasses.replace(
        case, prediction=case.prediction.map(lambda x: x / 86400.0), truth=case.truth / 86400.0, units="kg m-2 s-1"
    )
    assert _score("fss_r10", flux) == pytest.approx(_score("fss_r10", case), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_itself_is_perfect(name):
    case = _case("point")
    same = dataclasses.replace(case, prediction=Prediction("point", {"mean": np.nan_to_num(case.truth)}))
    assert _score(name, same) == pytest.approx(METRICS.get(name).perfect, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_days_without_truth_add_nothing_and_none_at_all_is_nan(name):
    case = _case()
    for term in METRICS.get(name)().terms(case):
        assert term.dtype == np.float64
        assert term.shape[0] == TIMES
        assert (term[4] == 0.0).all()
        assert np.isfinite(term).all()
    case.truth[:] = np.nan
    assert np.isnan(_score(name, case))


@pytest.mark.parametrize("name", NAMES)
def test_long_series_are_worked_on_in_parts(name, monkeypatch):
    case = _case()
    whole = METRICS.get(name)().terms(case)
    monkeypatch.setattr("pipeline.metrics._parts._VALUES", 5 * MASK.size)
    for part, expected in zip(METRICS.get(name)().terms(case), whole, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["strict", "backend"])
@pytest.mark.parametrize("name", NAMES)
def test_other_kinds_of_arrays_give_the_same(name, kind, backend):
    place = array_api_strict.asarray if kind == "strict" else backend.asarray
    case = _case()
    moved = dataclasses.replace(
        case, prediction=case.prediction.map(place), truth=place(case.truth), climatology=case.climatology.map(place)
    )
    terms, plain = METRICS.get(name)().terms(moved), METRICS.get(name)().terms(case)
    for term, expected in zip(terms, plain, strict=True):
        assert type(term) is type(moved.truth)
        np.testing.assert_allclose(to_host(term), expected, rtol=1e-6)
    sums = tuple(part.sum(axis=0)[None] for part in plain)
    found = METRICS.get(name)().value(place(np.array([11.0])), tuple(place(part) for part in sums))
    assert found.shape == (1,)
    assert float(found[0]) == pytest.approx(_score(name, case), rel=1e-9)


def test_curves_are_the_mean_spectra_of_truth_and_draws():
    case = _case()
    truth, draws, known = _fields(case)
    found = curves(case)
    rings = annuli(GRID.shape, spacing(GRID))
    np.testing.assert_array_equal(found.wavelength, rings.wavelength)
    np.testing.assert_allclose(found.truth, np.nanmean(power(truth, known, rings), axis=0), rtol=1e-9)
    each = [np.nanmean(power(draw, known, rings), axis=0) for draw in draws]
    np.testing.assert_allclose(found.prediction, np.mean(each, axis=0), rtol=1e-9)
    assert _score("log_spectral_distance", case) == pytest.approx(
        float(log_spectral_distance(found.truth, found.prediction)), rel=1e-9
    )


def test_the_mean_of_members_has_less_power_than_the_members():
    case = _case()
    members = case.prediction.parameters["members"]
    rng = np.random.default_rng(5)
    noisy = dataclasses.replace(
        case, prediction=Prediction("members", {"members": members + rng.normal(0, 9.0, members.shape)})
    )
    mean = dataclasses.replace(case, prediction=Prediction("point", {"mean": noisy.mean}))
    assert (curves(noisy).prediction > curves(mean).prediction).all()


def test_a_case_without_a_place_has_no_fields():
    case = dataclasses.replace(_case(), place=None)
    for name in NAMES:
        assert not METRICS.get(name)().applies(case, "mm d-1")
        with pytest.raises(ValueError, match="expected a case that knows its place, got one without"):
            METRICS.get(name)().terms(case)
    with pytest.raises(ValueError, match="expected a case that knows its place"):
        curves(case)


def test_fractions_are_of_daily_precipitation_alone():
    assert METRICS.get("fss_r01")().applies(_case(), "mm d-1")
    assert not METRICS.get("fss_r01")().applies(_case(), "K")
    months = np.arange("2001-01", "2002-01", dtype="datetime64[M]").astype("datetime64[D]")
    assert not METRICS.get("fss_r01")().applies(dataclasses.replace(_case(), time=months), "mm d-1")


def test_they_are_scored_with_intervals_beside_the_others():
    parts = [_case(seed=seed) for seed in range(8)]
    case = dataclasses.replace(
        parts[0],
        prediction=Prediction("members", {"members": np.concatenate([part.draws for part in parts], axis=1)}),
        truth=np.concatenate([part.truth for part in parts]),
        climatology=Prediction("point", {"mean": np.zeros((8 * TIMES, int(MASK.sum())))}),
    )
    found = evaluate(
        {"model": {"pr": case}},
        split="test",
        time=np.datetime64("2001-01-01", "D") + np.arange(8 * TIMES),
        weights=GRID.area[MASK],
        units={"pr": "mm d-1"},
        seed=0,
        metrics=NAMES,
        resamples=50,
    ).scores
    rows = {row.metric: row for row in found if row.group == "all"}
    assert set(rows) == set(NAMES)
    for name, row in rows.items():
        assert row.value == pytest.approx(_score(name, case), rel=1e-9)
        assert row.low < row.high
        assert row.low <= row.value + 0.1 * abs(row.value)
        assert row.high >= row.value - 0.1 * abs(row.value)
