from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from pipeline.metrics import METRICS, BinnedMetric, Case
from pipeline.prediction import Prediction
from pipeline.prediction.quantiles import from_quantiles, levels

DAYS = np.concatenate([np.arange(f"{y}-12-01", f"{y + 1}-03-01", dtype="datetime64[D]") for y in range(1997, 2000)])


def _case(family="normal", *, n=120, cells=6, seed=0, missing=0.1, members=5, dtype=np.float64):
    """Return a case whose truth is drawn from the very distribution that is predicted."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(8.0, 3.0, (n, cells))
    sd = rng.uniform(0.5, 2.0, (n, cells))
    truth = mean + sd * rng.standard_normal((n, cells))
    truth[rng.random((n, cells)) < missing] = np.nan
    draws = mean + sd * rng.standard_normal((members, n, cells))
    parameters = {
        "point": {"mean": mean},
        "normal": {"mean": mean, "sd": sd},
        "mixture": {"mean": np.stack([mean] * members), "sd": np.stack([sd] * members)},
        "members": {"members": draws},
        "quantiles": from_quantiles(mean + sd * scipy.stats.norm.ppf(levels(39))[:, None, None]),
        "weighted_mixture": {
            "weight": np.full((2, n, cells), 0.5),
            "mean": np.stack([mean] * 2),
            "sd": np.stack([sd] * 2),
            "centre": mean[None],
        },
    }[family]
    usual = {"mean": np.full((n, cells), 8.0), "sd": np.full((n, cells), 3.3)}
    return Case(
        Prediction(family, {name: values.astype(dtype) for name, values in parameters.items()}),
        truth.astype(dtype),
        Prediction("normal", {name: values.astype(dtype) for name, values in usual.items()}),
    )


def _score(name, case, weights=None):
    """Return a score made of sums from the whole series, one number, or with weights of None one a cell, if it has such."""
    metric = METRICS.get(name)()
    if isinstance(metric, BinnedMetric):
        return _binned_score(name, case, weights)
    valid = np.isfinite(case.truth)
    sums = tuple(np.where(valid, term, 0.0).sum(axis=0) for term in metric.terms(case))
    return metric.value(valid.sum(axis=0).astype(float), sums, weights)


@pytest.fixture(scope="session")
def make_case():
    """Factory of cases, see `_case`."""
    return _case


@pytest.fixture(scope="session")
def score():
    """Function that scores a case, see `_score`."""
    return _score


def _binned_score(name, case, weights):
    """Return a score of bins over all times of a case."""
    metric = METRICS.get(name)()
    times = np.arange(case.truth.shape[0])
    return float(metric.value(metric.counts(replace(case, weights=weights), times).sum(axis=0)))


@pytest.fixture(scope="session")
def binned_score():
    """Function that scores a case, see `_binned_score`."""
    return _binned_score


def _expanded(blocks):
    """Return the levels of an expanded percentile interval (Hesterberg 2015): of t with n - 1 degrees of freedom."""
    far = (blocks / (blocks - 1)) ** 0.5 * scipy.stats.t.ppf(0.975, blocks - 1)
    return tuple(scipy.stats.norm.cdf([-far, far]))


@pytest.fixture(scope="session")
def expanded():
    """Function from a number of blocks to the levels of their percentile interval, see `_expanded`."""
    return _expanded


@pytest.fixture(scope="session")
def winters():
    """Days of three winters."""
    return DAYS
