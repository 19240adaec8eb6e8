"""Fine temperature given coarse weather and terrain: its exact mean and deviation, and a draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.data.synthetic.config import TARGET, WEATHER, SyntheticConfig
from pipeline.data.synthetic.fields import refine, smooth_noise
from pipeline.data.synthetic.terrain import Terrain
from pipeline.data.synthetic.weather import Weather
from pipeline.seeding import generator


@dataclass(frozen=True, eq=False)
class Truth:
    """Mean and deviation [degC] of fine temperature given the predictors of the day.

    Parameters
    ----------
    expected, sigma : ndarray, shape (time, lat, lon)
        The true predictive distribution is normal with these; NaN over the sea.
    """

    expected: np.ndarray
    sigma: np.ndarray


@dataclass(frozen=True, eq=False)
class _Local:
    """Coarse weather interpolated to the fine cells."""

    tas: np.ndarray
    anomaly: np.ndarray
    humidity: np.ndarray
    wind: np.ndarray
    descent: np.ndarray


def make_truth(config: SyntheticConfig, terrain: Terrain, weather: Weather) -> Truth:
    """Return the conditional mean and deviation, a function of the day's predictors and the terrain alone."""
    local = _interpolate(config, terrain, weather)
    expected, sigma = (_full if config.variant == "full" else _linear)(terrain, local)
    sea = ~terrain.mask
    expected[:, sea] = np.nan
    sigma[:, sea] = np.nan
    return Truth(expected, sigma)


def draw(config: SyntheticConfig, truth: Truth) -> np.ndarray:
    """Return fine temperature: the truth's mean plus correlated noise of its deviation, white in time."""
    lengths = (TARGET.noise_length * config.refine,) * 2
    noise = smooth_noise(generator(config.seed, "synthetic:noise"), truth.sigma.shape, lengths)
    return np.asarray(truth.expected + truth.sigma * noise)


def stability(anomaly: np.ndarray, wind: np.ndarray) -> np.ndarray:
    """Return how stable the air is, 0 to 1: clear under high pressure and calm.

    Examples
    --------
    >>> stability(np.array([15.0, 15.0, -15.0]), np.array([0.0, 15.0, 0.0])).round(2)
    array([1., 0., 0.])
    """
    clear, calm = (anomaly - TARGET.clear) / TARGET.clear_width, (TARGET.calm - wind) / TARGET.calm_width
    return np.asarray(_step(clear) * _step(calm))


def _interpolate(config: SyntheticConfig, terrain: Terrain, weather: Weather) -> _Local:
    tas, psl, hus850, uas, vas = (
        refine(field.astype(np.float64), config.refine)
        for field in (weather.tas, weather.psl, weather.hus850, weather.uas, weather.vas)
    )
    descent = -(uas * terrain.slope_east + vas * terrain.slope_north)
    return _Local(tas, psl - WEATHER.psl_mean, hus850, np.hypot(uas, vas), descent)


def _full(terrain: Terrain, local: _Local) -> tuple[np.ndarray, np.ndarray]:
    c = TARGET
    stable = stability(local.anomaly, local.wind)
    lapse = c.lapse + (c.inversion - c.lapse) * stable
    rained_out = local.humidity / (local.humidity + c.humidity)
    foehn = c.foehn * -np.expm1(-np.maximum(local.descent, 0) / c.descent) * rained_out
    breeze = c.breeze * terrain.shore * np.maximum(local.tas - c.sea, 0) * np.exp(-((local.wind / c.breeze_wind) ** 2))
    mixed = local.tas - c.lapse * terrain.excess
    snow = c.snow * _step((c.snow_limit - mixed) / c.snow_width)
    expected = local.tas - lapse * terrain.excess + foehn - breeze - snow
    return expected, c.noise + c.noise_stable * stable + c.noise_wind * local.wind


def _linear(terrain: Terrain, local: _Local) -> tuple[np.ndarray, np.ndarray]:
    c = TARGET
    expected = (
        local.tas
        - (c.lapse - c.linear_lapse * local.anomaly) * terrain.excess
        + c.linear_descent * local.descent
        - c.breeze / 2 * terrain.shore * (local.tas - c.sea)
        + c.linear_humidity * (local.humidity - c.humidity) * terrain.excess
    )
    return expected, np.full_like(expected, c.linear_noise)


def _step(x: np.ndarray) -> np.ndarray:
    """Return the logistic function."""
    return np.asarray(1 / (1 + np.exp(-x)))
