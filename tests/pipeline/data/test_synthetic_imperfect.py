"""The coarse weather of an imperfect model: errors of its climate, the same day's weather."""

import numpy as np
import pytest

from pipeline.data.synthetic import SyntheticConfig, SyntheticReader, generate
from pipeline.data.synthetic.imperfect import Imperfection, worsened

CONFIG = SyntheticConfig(years=3, seed=2)


@pytest.fixture(scope="module")
def coarse():
    return generate(CONFIG).dataset("coarse")


def test_nothing_is_changed_by_default(coarse):
    assert worsened(coarse, CONFIG, Imperfection()) is coarse


def test_the_mean_is_off_by_a_pattern_and_the_spread_by_a_factor(coarse):
    wrong = worsened(coarse, CONFIG, Imperfection(bias=1.0, spread=1.5))
    for name in ("tas", "psl", "uas"):
        true, false = coarse[name].values.astype(float), wrong[name].values.astype(float)
        np.testing.assert_allclose(false.std(axis=0), 1.5 * true.std(axis=0), rtol=1e-4)
        error = false.mean(axis=0) - true.mean(axis=0)
        assert 0.1 < np.sqrt((error**2).mean()) / true.std(axis=0).mean() < 3.0
        assert error.std() > 0
        day = [np.corrcoef(true[:, i, j], false[:, i, j])[0, 1] for i in (0, 3) for j in (0, 5)]
        np.testing.assert_allclose(day, 1.0, atol=1e-5)
    assert float(wrong["hus850"].min()) >= 0.01


def test_errors_are_of_the_asked_size_on_average(coarse):
    ratios = [
        worsened(coarse, SyntheticConfig(years=3, seed=seed), Imperfection(bias=1.0))["psl"].values.mean(axis=0)
        - coarse["psl"].values.mean(axis=0)
        for seed in range(60)
    ]
    size = np.sqrt(np.mean(np.square(ratios))) / coarse["psl"].values.astype(float).std(axis=0).mean()
    assert size == pytest.approx(1.0, abs=0.25)


def test_only_the_coarse_part_of_an_entry_is_worsened():
    options = SyntheticReader.Options(part="coarse", bias=0.5, years=1)
    assert (options.bias, options.spread) == (0.5, 1.0)
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        SyntheticReader.Options(part="coarse", bias=-1)
