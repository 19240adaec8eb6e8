import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from pipeline.data.synthetic import SyntheticConfig, generate
from pipeline.data.synthetic.config import TARGET, WEATHER
from pipeline.data.synthetic.fields import correlation
from pipeline.data.synthetic.target import make_truth, stability
from pipeline.data.synthetic.terrain import KM_PER_DEGREE
from pipeline.data.synthetic.weather import Weather, saturation_humidity
from pipeline.errors import ConfigError

PREDICTORS = ("tas", "psl", "hus850", "uas", "vas")


@pytest.fixture(scope="module")
def climate():
    return generate(SyntheticConfig(years=6))


@pytest.fixture(scope="module")
def linear():
    return generate(SyntheticConfig(years=2, variant="linear"))


def without_season(field, time):
    """Subtract mean, trend and two harmonics of the year by least squares."""
    day = (time - time[0]) / np.timedelta64(1, "D")
    waves = [f(2 * np.pi * k * day / 365.25) for k in (1, 2) for f in (np.cos, np.sin)]
    design = np.stack([np.ones_like(day), day, *waves], axis=1)
    flat = field.reshape(len(field), -1).astype(float)
    return flat - design @ np.linalg.lstsq(design, flat, rcond=None)[0]


def lag_one(anomaly):
    return float((anomaly[1:] * anomaly[:-1]).mean() / (anomaly**2).mean())


def test_sizes_and_times(climate):
    assert climate.weather.time[0] == np.datetime64("2001-01-01")
    assert climate.weather.time[-1] == np.datetime64("2006-12-31")
    assert np.unique(np.diff(climate.weather.time)) == np.timedelta64(1, "D")
    assert climate.tas.shape == (len(climate.weather.time), 16, 24)
    assert climate.tas.dtype == np.float32


def test_predictors_are_finite_and_fine_temperature_is_missing_over_the_sea_alone(climate):
    for name in PREDICTORS:
        assert np.isfinite(getattr(climate.weather, name)).all()
    assert (np.isfinite(climate.tas) == climate.terrain.mask).all()
    assert 0.6 < climate.terrain.mask.mean() < 0.95


@pytest.mark.parametrize(
    ("name", "lowest", "highest"), [("psl", 0.70, 0.80), ("tas", 0.80, 0.88), ("uas", 0.65, 0.82), ("vas", 0.65, 0.82)]
)
def test_weather_lasts_for_days(climate, name, lowest, highest):
    anomaly = without_season(getattr(climate.weather, name), climate.weather.time)
    assert lowest < lag_one(anomaly) < highest


def test_pressure_is_correlated_in_space_as_documented(climate):
    psl = without_season(climate.weather.psl, climate.weather.time).reshape(-1, *climate.config.coarse)
    measured = np.corrcoef(psl[:, 0, 2], psl[:, 2, 2])[0, 1]
    assert measured == pytest.approx(math.exp(-((2 * KM_PER_DEGREE / WEATHER.psl_length) ** 2) / 2), abs=0.04)


def test_seasonal_cycle_has_its_amplitude_and_its_warmest_day(climate):
    time = climate.weather.time
    day = (time - time.astype("datetime64[Y]")) / np.timedelta64(1, "D")
    wave = 2 * np.pi * day / 365.25
    design = np.stack([np.ones_like(wave), np.cos(wave), np.sin(wave)], axis=1)
    _, cosine, sine = np.linalg.lstsq(design, climate.weather.tas.mean(axis=(1, 2)), rcond=None)[0]
    assert math.hypot(cosine, sine) == pytest.approx(WEATHER.tas_season, abs=0.6)
    assert math.atan2(sine, cosine) * 365.25 / (2 * np.pi) % 365.25 == pytest.approx(WEATHER.warmest_day, abs=5)


def test_trend_is_in_the_coarse_temperature_and_reaches_the_fine_one():
    flat = generate(SyntheticConfig(years=4, trend=0.0, variant="linear"))
    warm = generate(SyntheticConfig(years=4, trend=2.0, variant="linear"))
    decades = (flat.weather.time - flat.weather.time[0]) / np.timedelta64(1, "D") / 3652.5
    rise = warm.weather.tas - flat.weather.tas
    assert rise == pytest.approx(np.broadcast_to(2.0 * decades[:, None, None], rise.shape), abs=1e-4)
    assert (warm.weather.psl == flat.weather.psl).all()
    fine = (warm.tas - flat.tas)[:, flat.terrain.mask]
    assert np.polyfit(decades, fine.mean(axis=1), 1)[0] == pytest.approx(2.0, abs=0.3)


def test_wind_blows_around_low_pressure_turned_towards_it():
    climate = generate(SyntheticConfig(years=1, coarse=(9, 9)))
    weather, lat = climate.weather, climate.terrain.coarse.lat
    metre = KM_PER_DEGREE * 1000
    north = (weather.psl[:, 2:, 4] - weather.psl[:, :-2, 4]) / (2 * metre)
    east = (weather.psl[:, 1:-1, 5] - weather.psl[:, 1:-1, 3]) / (2 * metre * np.cos(np.deg2rad(lat[1:-1])))
    u, v = weather.uas[:, 1:-1, 4], weather.vas[:, 1:-1, 4]
    strong = np.hypot(u, v) > 3
    towards_low = -(u * east + v * north) / (np.hypot(u, v) * np.hypot(east, north))
    assert towards_low[strong] == pytest.approx(math.sin(math.radians(WEATHER.wind_turn)), abs=0.01)
    # Low pressure lies on the left of the wind north of the equator.
    assert (u * north - v * east < 0)[strong].all()
    geostrophic = 100 * np.hypot(east, north) / (WEATHER.air_density * 1.4584e-4 * np.sin(np.deg2rad(lat[1:-1])))
    assert np.hypot(u, v)[strong] == pytest.approx(WEATHER.wind_ratio * geostrophic[strong], rel=0.01)


def test_air_is_never_oversaturated(climate):
    ground = climate.terrain.height.reshape(4, 4, 6, 4).mean(axis=(1, 3)) / 1000
    aloft = climate.weather.tas + TARGET.lapse * (ground - WEATHER.height_850)
    share = climate.weather.hus850 / saturation_humidity(aloft)
    assert share.min() > 0
    assert share.max() <= 1
    # 12.27 hPa of vapour saturate air at 10 degC (WMO tables).
    assert float(saturation_humidity(np.array(10.0))) == pytest.approx(622 * 12.27 / 850, rel=0.003)


def test_slopes_are_the_rise_of_the_ground(climate):
    land = climate.terrain
    south_to_north = (land.height[6, 9] - land.height[4, 9]) / (2 * KM_PER_DEGREE * 1000 / 4)
    west_to_east = (land.height[5, 10] - land.height[5, 8]) / (
        2 * KM_PER_DEGREE * 1000 / 4 * math.cos(math.radians(land.fine.lat[5]))
    )
    assert land.slope_north[5, 9] == pytest.approx(south_to_north)
    assert land.slope_east[5, 9] == pytest.approx(west_to_east)
    assert land.height.min() >= 0


def local_weather(climate, day, row, column):
    """Interpolate the predictors to one fine cell by hand."""
    position = [min(max((i + 0.5) / 4 - 0.5, 0), size - 1) for i, size in ((row, 4), (column, 6))]
    (i, a), (j, b) = [
        (min(int(p), size - 2), p - min(int(p), size - 2)) for p, size in zip(position, (4, 6), strict=True)
    ]
    found = {}
    for name in PREDICTORS:
        f = getattr(climate.weather, name)[day].astype(float)
        found[name] = (1 - a) * ((1 - b) * f[i, j] + b * f[i, j + 1]) + a * (
            (1 - b) * f[i + 1, j] + b * f[i + 1, j + 1]
        )
    return found


def step(x):
    return 1 / (1 + math.exp(-x))


def full_by_hand(x, excess, shore, slopes):
    wind = math.hypot(x["uas"], x["vas"])
    stable = step((x["psl"] - 1015) / 1.5) * step((6 - wind) / 1.0)
    lapse = 6.5 * (1 - stable) - 5.0 * stable
    descent = max(0.0, -x["uas"] * slopes[0] - x["vas"] * slopes[1])
    foehn = 9 * (1 - math.exp(-descent / 0.15)) * x["hus850"] / (x["hus850"] + 5)
    breeze = 0.5 * shore * max(0.0, x["tas"] - 15) * math.exp(-(wind**2) / 25)
    snow = 3.5 * step((1 - (x["tas"] - 6.5 * excess)) / 0.7)
    return x["tas"] - lapse * excess + foehn - breeze - snow, 0.4 + 0.4 * stable + 0.03 * wind


def linear_by_hand(x, excess, shore, slopes):
    descent = -x["uas"] * slopes[0] - x["vas"] * slopes[1]
    mean = x["tas"] - (6.5 - 0.3 * (x["psl"] - 1015)) * excess + 5 * descent
    return mean - 0.25 * shore * (x["tas"] - 15) + 0.5 * (x["hus850"] - 5) * excess, 0.8


@pytest.mark.parametrize("variant", ["full", "linear"])
def test_truth_is_the_documented_formula(climate, linear, variant):
    made, formula = (climate, full_by_hand) if variant == "full" else (linear, linear_by_hand)
    land = made.terrain
    cells = np.argwhere(land.mask)[::23]
    for number, (row, column) in enumerate(cells):
        day = 41 * number % len(made.weather.time)
        excess = (land.height - land.coarse_height)[row, column] / 1000
        slopes = land.slope_east[row, column], land.slope_north[row, column]
        mean, sigma = formula(local_weather(made, day, row, column), excess, land.shore[row, column], slopes)
        assert made.truth.expected[day, row, column] == pytest.approx(mean, abs=1e-6)
        assert made.truth.sigma[day, row, column] == pytest.approx(sigma, abs=1e-6)


def test_truth_depends_on_the_day_s_predictors_alone(climate):
    weather = climate.weather
    order = np.random.default_rng(0).permutation(len(weather.time))
    shuffled = Weather(weather.time, *(getattr(weather, name)[order] for name in PREDICTORS))
    truth = make_truth(climate.config, climate.terrain, shuffled)
    assert np.array_equal(truth.expected, climate.truth.expected[order], equal_nan=True)
    assert np.array_equal(truth.sigma, climate.truth.sigma[order], equal_nan=True)


@pytest.mark.parametrize(("variant", "is_linear"), [("linear", True), ("full", False)])
def test_only_the_linear_variant_is_linear(climate, variant, is_linear):
    config = climate.config.model_copy(update={"variant": variant})
    weather, mask = climate.weather, climate.terrain.mask
    one, other = ([getattr(weather, name)[part] for name in PREDICTORS] for part in (slice(0, 99), slice(1000, 1099)))
    middle = [(a.astype(float) + b) / 2 for a, b in zip(one, other, strict=True)]
    means = [make_truth(config, climate.terrain, Weather(weather.time[:99], *x)).expected for x in (one, other, middle)]
    gap = np.abs((means[0] + means[1]) / 2 - means[2])[:, mask].max()
    assert (gap < 1e-5) == is_linear
    assert is_linear or gap > 1


def test_stability_needs_clear_and_calm():
    table = stability(np.array([20.0, 20.0, -20.0, -20.0]), np.array([0.0, 20.0, 0.0, 20.0]))
    assert table == pytest.approx([1, 0, 0, 0], abs=0.01)


def test_noise_has_its_deviation_and_correlation_and_no_memory(climate):
    mask = climate.terrain.mask
    noise = ((climate.tas - climate.truth.expected) / climate.truth.sigma)[:, mask]
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert lag_one(noise) == pytest.approx(0, abs=0.01)
    row, column = np.nonzero(mask)
    lats, lons = correlation(2.0, 16), correlation(2.0, 24)
    known = lats[np.ix_(row, row)] * lons[np.ix_(column, column)]
    assert np.corrcoef(noise.T) == pytest.approx(known, abs=0.12)


def test_stations_measure_their_cell_at_their_own_height(climate):
    table, land = climate.stations, climate.terrain
    assert table.tas.shape == (len(climate.weather.time), 12)
    assert len({*zip(table.row.tolist(), table.column.tolist(), strict=True)}) == 12
    assert land.mask[table.row, table.column].all()
    lift = table.altitude - land.height[table.row, table.column]
    assert 30 < np.abs(lift).mean() < 300
    rest = table.tas - (climate.tas[:, table.row, table.column] - 6.5 * lift / 1000)
    assert np.nanmean(rest, axis=0) == pytest.approx(np.zeros(12), abs=0.05)
    assert np.nanstd(rest, axis=0) == pytest.approx(np.full(12, TARGET.station_noise), rel=0.06)
    assert np.isnan(table.tas).mean() == pytest.approx(TARGET.station_gaps, abs=0.005)


def test_more_stations_than_land_cells_are_refused():
    climate = generate(SyntheticConfig(years=1, coarse=(3, 3), refine=2, stations=200))
    with pytest.raises(
        ConfigError, match=r"stations: expected at most \d+, the number of land cells, got 200. Ask for"
    ):
        climate.dataset("stations")


DIGEST = """
import hashlib
from pipeline.data.synthetic import SyntheticConfig, generate
climate = generate(SyntheticConfig(years=1))
print(hashlib.sha256(b"".join(a.tobytes() for a in (climate.weather.psl, climate.tas, climate.stations.tas))).hexdigest())
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_options_give_the_same_bytes_in_another_process(threads):
    climate = generate(SyntheticConfig(years=1))
    parts = (climate.weather.psl, climate.tas, climate.stations.tas)
    here = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    there = subprocess.run([sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_seeds_differ_in_weather_terrain_and_noise():
    one, other = (generate(SyntheticConfig(years=1, seed=seed)) for seed in (0, 1))
    assert abs(np.corrcoef(one.weather.psl[:, 1, 1], other.weather.psl[:, 1, 1])[0, 1]) < 0.5
    assert np.abs(one.terrain.height - other.terrain.height).max() > 100
    both = one.terrain.mask & other.terrain.mask
    noise = [((c.tas - c.truth.expected) / c.truth.sigma)[:, both].ravel() for c in (one, other)]
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.1


def test_variants_share_terrain_and_weather(linear):
    full = generate(SyntheticConfig(years=2))
    assert np.array_equal(full.terrain.height, linear.terrain.height)
    assert all(np.array_equal(getattr(full.weather, name), getattr(linear.weather, name)) for name in PREDICTORS)
