"""What the spread of analogs is, on a world where it can be worked out, and what it does not say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.analogs import Analogs, AnalogsConfig

NOISE, WIDTH = 0.3, 4.0


@pytest.fixture
def line(make_samples, context):
    """Factory: days whose one pattern has an amplitude u, evenly over (-2, 2) or as given; the target is u + noise."""

    def make(n, seed, amplitude=None):
        samples = make_samples(n, seed, backend=context.backend)
        rng = np.random.default_rng([5, seed])
        u = rng.permutation((np.arange(n) + 0.5) / n * WIDTH - WIDTH / 2) if amplitude is None else amplitude
        pattern = np.random.default_rng(1).normal(size=samples.inputs.shape[1:])
        target = u[:, None, None, None] + NOISE * rng.normal(size=samples.target.shape)
        target[..., ~samples.schema.mask] = np.nan
        inputs = u[:, None, None, None] * pattern
        parts = (context.backend.asarray(part.astype(np.float32)) for part in (inputs, target))
        return replace(samples, **dict(zip(("inputs", "target"), parts, strict=True)))

    return make


def answered(line, context, count, asked):
    """Members and truth of ``asked`` in the mask, shapes (member, day, cell) and (day, cell)."""
    model = Analogs(AnalogsConfig(components=1, neighbours=[count])).fit(line(2000, 0), line(50, 1), context)
    inside = asked.schema.mask
    members = context.backend.to_host(model.predict(asked, context).parameters["members"])[:, :, 0, inside]
    return members.astype(float), context.backend.to_host(asked.target)[:, 0, inside].astype(float)


@pytest.mark.parametrize("count", [20, 500])
def test_the_spread_is_that_of_the_noise_and_of_the_target_among_the_analogs(line, context, count):
    within = line(300, 2, np.linspace(-1.2, 1.2, 300))
    members, truth = answered(line, context, count, within)
    local = (WIDTH * count / 2000) ** 2 / 12  # of a target that is even over the analogs' part of the line
    expected = np.sqrt((NOISE**2 + local) * (1 - 1 / count))
    spread = np.sqrt(np.mean(members.var(axis=0)))
    assert spread == pytest.approx(expected, rel=0.02)
    # The error has no part of the local variation: it is symmetric, and the mean is right.
    error = np.sqrt(np.mean((members.mean(axis=0) - truth) ** 2))
    assert error == pytest.approx(NOISE * np.sqrt(1 + 1 / count), rel=0.03)


def test_few_analogs_among_many_days_are_as_likely_as_the_truth(line, context):
    within = line(600, 2, np.linspace(-1.8, 1.8, 600))
    members, truth = answered(line, context, 9, within)
    rank = (members < truth).sum(axis=0)
    share = np.bincount(rank.ravel(), minlength=10) / rank.size
    np.testing.assert_allclose(share, 0.1, atol=0.005)


def test_beyond_the_observed_the_spread_does_not_grow_and_the_error_does(line, context):
    inside, beyond = line(200, 2, np.linspace(-1, 1, 200)), line(200, 3, np.linspace(2.5, 4, 200))
    (near, seen), (far, unseen) = (answered(line, context, 20, asked) for asked in (inside, beyond))
    spread = [np.sqrt(np.mean(members.var(axis=0))) for members in (near, far)]
    error = [np.sqrt(np.mean((members.mean(axis=0) - truth) ** 2)) for members, truth in ((near, seen), (far, unseen))]
    assert spread[1] == pytest.approx(spread[0], rel=0.05)
    assert error[1] > 3 * error[0]
    assert far.mean() == pytest.approx(WIDTH / 2, abs=0.1)  # whatever is asked: the last days that were seen
