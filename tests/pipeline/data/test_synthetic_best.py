import numpy as np
import pytest
from scipy.stats import norm

from pipeline.data.synthetic import SyntheticConfig, generate, known_best
from pipeline.data.synthetic.target import draw
from pipeline.errors import DataError


@pytest.fixture(scope="module")
def climate():
    return generate(SyntheticConfig(years=1))


def area_mean(values, climate):
    weight = np.cos(np.deg2rad(climate.terrain.fine.lat))[:, None] * climate.terrain.mask
    return float((np.nan_to_num(values) * weight).sum() / (weight.sum() * len(values)))


def test_closed_forms_agree_with_draws(climate):
    best, sigma = known_best(climate), climate.truth.sigma
    rng = np.random.default_rng(0)
    error, other = (sigma * rng.standard_normal(sigma.shape) for _ in range(2))
    again = sigma * rng.standard_normal(sigma.shape)
    assert np.sqrt(area_mean(error**2, climate)) == pytest.approx(best.rmse, rel=0.01)
    assert area_mean(np.abs(error), climate) == pytest.approx(best.mae, rel=0.01)
    # The CRPS as E|X - y| - E|X - X'| / 2.
    assert area_mean(np.abs(other - error) - np.abs(other - again) / 2, climate) == pytest.approx(best.crps, rel=0.02)
    assert area_mean(-norm.logpdf(error, scale=sigma), climate) == pytest.approx(best.nll, rel=0.01)
    for level in (50, 90, 95):
        half = norm.ppf(0.5 + level / 200) * sigma
        inside = np.where(np.isnan(sigma), np.nan, np.abs(error) <= half)
        assert area_mean(inside, climate) == pytest.approx(best.scores()[f"coverage_{level}"], abs=0.01)
        assert area_mean(2 * half, climate) == pytest.approx(best.scores()[f"width_{level}"], rel=1e-9)


def test_the_true_mean_reaches_the_known_best_on_the_data():
    climate = generate(SyntheticConfig())
    best = known_best(climate)
    reached = np.sqrt(area_mean((climate.tas - climate.truth.expected) ** 2, climate))
    assert reached == pytest.approx(best.rmse, abs=3 * best.rmse_error)


def test_rmse_error_is_the_spread_over_draws():
    climate = generate(SyntheticConfig(years=1, coarse=(3, 4), refine=2))
    reached = []
    for seed in range(150):
        config = climate.config.model_copy(update={"seed": seed})
        reached.append(np.sqrt(area_mean((draw(config, climate.truth) - climate.truth.expected) ** 2, climate)))
    # The standard error of a deviation from 150 draws is 6 %.
    assert known_best(climate).rmse_error == pytest.approx(np.std(reached), rel=0.2)


def test_linear_variant_has_the_closed_form():
    scores = known_best(generate(SyntheticConfig(years=1, variant="linear"))).scores()
    assert scores["rmse"] == pytest.approx(0.8)
    assert scores["crps"] == pytest.approx(0.8 / np.sqrt(np.pi))
    assert scores["spread_skill"] == 1
    assert scores["bias"] == 0


def test_days_and_cells_can_be_chosen(climate):
    cells = np.zeros(climate.terrain.mask.shape, bool)
    row, column = np.argwhere(climate.terrain.mask)[50]
    cells[row, column] = True
    sigma = climate.truth.sigma[30:60, row, column]
    assert known_best(climate, slice(30, 60), cells).rmse == pytest.approx(np.sqrt((sigma**2).mean()))
    numbers = known_best(climate, np.arange(30, 60), cells)
    assert numbers == known_best(climate, slice(30, 60), cells)


@pytest.mark.parametrize(("days", "shape"), [(slice(0, 0), "0 and"), (slice(0, 5), "5 and 0")])
def test_no_days_or_cells_are_refused(climate, days, shape):
    cells = None if shape == "0 and" else ~climate.terrain.mask
    with pytest.raises(DataError, match=f"expected at least one day and one land cell, got {shape}"):
        known_best(climate, days, cells)


def ridge_rmse(climate, train, test):
    """Fit penalised least squares of all cells on all predictors on the first days, and score it on the last."""
    weather, mask = climate.weather, climate.terrain.mask
    fields = [getattr(weather, name).reshape(len(weather.time), -1) for name in ("tas", "psl", "hus850", "uas", "vas")]
    x = np.concatenate(fields, axis=1).astype(float)
    x = (x - x[:train].mean(axis=0)) / x[:train].std(axis=0)
    y = climate.tas[:, mask].astype(float)
    mean = y[:train].mean(axis=0)
    slopes = np.linalg.solve(x[:train].T @ x[:train] + 10 * np.eye(x.shape[1]), x[:train].T @ (y[:train] - mean))
    guess = np.full(climate.tas.shape, np.nan)
    guess[:, mask] = x @ slopes + mean
    return np.sqrt(area_mean((climate.tas - guess)[-test:] ** 2, climate))


def test_least_squares_reaches_the_known_best_of_the_linear_variant_and_does_not_beat_it():
    climate = generate(SyntheticConfig(variant="linear"))
    best = known_best(climate, slice(-730, None))
    reached = ridge_rmse(climate, 2922, 730)
    assert best.rmse - 3 * best.rmse_error < reached < 1.02 * best.rmse


def test_least_squares_stays_far_from_the_known_best_of_the_full_variant():
    climate = generate(SyntheticConfig())
    assert ridge_rmse(climate, 2556, 730) > 2 * known_best(climate, slice(-730, None)).rmse
