"""The day-of-year climatology against least squares by hand, closed forms and calendars."""

import numpy as np
import pytest

from pipeline.prepare.climatology import CONDITION, Climatology, harmonics_of, usable_harmonics
from pipeline.prepare.dates import phase_of_year


def noisy(time, generator, cells=(2, 3, 2)):
    phase = phase_of_year(time)
    wave = 3 * np.cos(2 * np.pi * phase) - np.sin(4 * np.pi * phase)
    return (280 + wave[:, None, None, None] + generator.normal(size=(len(time), *cells))).astype("float32")


def test_every_cell_is_the_least_squares_fit_to_its_own_finite_days(days, train_of, backend):
    generator = np.random.default_rng(1)
    time = days("1990-01-01", "1993-12-31")
    values = noisy(time, generator)
    values[generator.random(values.shape) < 0.3] = np.nan
    train = train_of(time, 1096)
    fitted = Climatology.fit(backend.asarray(values), train, harmonics=2)
    design, ask = harmonics_of(train.phase, 2), np.array([0.1, 0.55, 0.9])
    mean, sd = (backend.to_host(part) for part in (fitted.mean_at(ask), fitted.sd_at(ask)))
    for cell in np.ndindex(2, 3, 2):
        own = values[:1096][(slice(None), *cell)].astype(float)
        seen = np.isfinite(own)
        beta = np.linalg.lstsq(design[seen], own[seen], rcond=None)[0]
        np.testing.assert_allclose(mean[(slice(None), *cell)], harmonics_of(ask, 2) @ beta, rtol=2e-7)
        square = (own[seen] - design[seen] @ beta) ** 2
        gamma = np.linalg.lstsq(design[seen], square, rcond=None)[0] * seen.sum() / (seen.sum() - 5)
        np.testing.assert_allclose(sd[(slice(None), *cell)] ** 2, harmonics_of(ask, 2) @ gamma, rtol=1e-5)


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "proleptic_gregorian"])
def test_a_pure_harmonic_is_found_exactly(days, train_of, calendar):
    time = days("1990-01-01", "1992-12-30", calendar)
    phase = phase_of_year(time)
    truth = 5 + 2 * np.cos(2 * np.pi * phase - 0.4) + 0.7 * np.sin(2 * np.pi * 2 * phase)
    values = truth.astype("float32")[:, None, None, None]
    fitted = Climatology.fit(values, train_of(time, 700), harmonics=2)
    assert fitted.used == 2
    np.testing.assert_allclose(fitted.mean_at(phase)[:, 0, 0, 0], truth, atol=1e-5)


def test_no_harmonics_are_the_plain_mean_and_deviation(days, train_of):
    time = days("1990-01-01", "1991-12-31")
    values = noisy(time, np.random.default_rng(2))
    fitted = Climatology.fit(values, train_of(time, 500), harmonics=0)
    seen = values[:500].astype(float)
    np.testing.assert_allclose(fitted.mean_at(np.array([0.3]))[0], seen.mean(0), rtol=1e-6)
    np.testing.assert_allclose(fitted.sd_at(np.array([0.3]))[0], seen.std(0, ddof=1), rtol=1e-6)


def test_a_season_keeps_as_many_harmonics_as_it_can_tell_apart(days, train_of):
    time = days("1990-01-01", "1999-12-31")
    month = time.astype("datetime64[M]").astype(int) % 12 + 1
    winter = time[np.isin(month, [12, 1, 2])]
    fitted = Climatology.fit(noisy(winter, np.random.default_rng(3)), train_of(winter, 700), harmonics=4)
    assert (fitted.asked, fitted.used) == (4, 1)
    assert np.linalg.cond(harmonics_of(phase_of_year(winter[:700]), 2)) > CONDITION
    # Half a year away from every day it has seen it stays within reach of the data.
    assert np.abs(fitted.mean_at(np.linspace(0, 1, 50)) - 280).max() < 60


@pytest.mark.parametrize(
    ("phase", "used"), [(np.arange(12) / 12, 5), (np.arange(4) / 4, 1), (np.array([0.5]), 0), (np.arange(3) / 365, 0)]
)
def test_harmonics_beyond_the_days_there_are_left_out(phase, used):
    assert usable_harmonics(phase, 8) == used


def test_cells_with_few_days_have_their_mean_and_cells_without_any_have_nothing(days, train_of, backend):
    time = days("1990-01-01", "1991-12-31")
    values = noisy(time, np.random.default_rng(4))
    values[:, 0, 0, 0] = np.nan
    values[:, 0, 0, 1] = np.nan
    values[3:6, 0, 0, 1] = [1.0, 2.0, 6.0]
    values[40:, 0, 1, 0] = np.nan  # forty days of winter cannot carry harmonics
    fitted = Climatology.fit(backend.asarray(values), train_of(time, 600), harmonics=2)
    mean, sd = (backend.to_host(part) for part in (fitted.mean_at(np.array([0.0, 0.5])), fitted.sd_at(np.array([0.5]))))
    assert np.isnan(mean[:, 0, 0, 0]).all()
    assert np.isnan(sd[0, 0, 0, 0])
    np.testing.assert_allclose(mean[:, 0, 0, 1], 3.0, rtol=1e-6)
    np.testing.assert_allclose(sd[0, 0, 0, 1], np.std([1, 2, 6], ddof=1), rtol=1e-6)
    np.testing.assert_allclose(mean[:, 0, 1, 0], values[:40, 0, 1, 0].mean(dtype=float), rtol=1e-6)
    assert fitted.means_only == 2
    assert np.isfinite(mean[:, 1]).all()


def test_the_deviation_is_positive_where_nothing_varies(days, train_of):
    time = days("1990-01-01", "1991-12-31")
    values = noisy(time, np.random.default_rng(5))
    values[:, 0, 0, 0] = 7.0
    values[:, 1] = 7.0
    sd = Climatology.fit(values, train_of(time, 600), harmonics=2).sd_at(np.linspace(0, 1, 20, endpoint=False))
    assert (sd > 0).all()
    assert sd[:, 0, 0, 0].max() < 0.01


def test_the_deviation_follows_the_season(days, train_of):
    time = days("1990-01-01", "2009-12-31")
    phase = phase_of_year(time)
    wave = 1 + 0.5 * np.cos(2 * np.pi * phase)
    noise = np.random.default_rng(6).normal(size=(len(time), 1, 4, 4))
    fitted = Climatology.fit((wave[:, None, None, None] * noise).astype("float32"), train_of(time, 7000), harmonics=2)
    ask = np.array([0.0, 0.25, 0.5])
    np.testing.assert_allclose(fitted.sd_at(ask).mean(axis=(1, 2, 3)), [1.5, 1.0, 0.5], rtol=0.06)


def test_where_the_fit_to_the_squares_dips_below_zero_a_tenth_of_the_mean_variance_is_kept(days, train_of):
    time = days("1990-01-01", "1999-12-31")
    phase = phase_of_year(time)
    # Noise in one month alone: two harmonics of its square overshoot to below zero on the other side.
    loud = np.abs(phase - 0.5) < 0.04
    values = (loud * np.random.default_rng(9).normal(0, 3, len(time))).astype("float32")[:, None, None, None]
    fitted = Climatology.fit(values, train_of(time, len(time)), harmonics=2)
    sd = fitted.sd_at(np.linspace(0, 1, 365, endpoint=False))
    assert sd.min() ** 2 == pytest.approx(0.1 * values.var(), rel=0.01)


def test_the_forecast_is_a_normal_one_that_covers_what_it_says(days, train_of):
    time = days("1990-01-01", "1999-12-31")
    values = noisy(time, np.random.default_rng(7))
    forecast = Climatology.fit(values, train_of(time, 2000), harmonics=2).forecast(phase_of_year(time))
    assert forecast.family == "normal"
    inside = np.abs(values - forecast.parameters["mean"]) < 1.6449 * forecast.parameters["sd"]
    assert inside[2000:].mean() == pytest.approx(0.9, abs=0.01)


def test_large_fields_are_summed_in_blocks_with_the_same_result(days, train_of, monkeypatch):
    time = days("1990-01-01", "1991-12-31")
    values, train = noisy(time, np.random.default_rng(8)), train_of(time, 600)
    whole = Climatology.fit(values, train, harmonics=2)
    monkeypatch.setattr("pipeline.rows.parts.BLOCK_BYTES", 7 * 12 * 8)
    parts = Climatology.fit(values, train, harmonics=2)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-10, atol=1e-10)


def test_it_is_fitted_on_a_train_split_alone():
    with pytest.raises(TypeError, match=r"^Climatology is fitted on a TrainSplit alone, got array\(\[0, 1\]\); use "):
        Climatology.fit(np.zeros((2, 1, 1, 1)), np.arange(2), harmonics=0)
