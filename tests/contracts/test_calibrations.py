"""What every registered calibration owes, on every family of predictions that it can serve."""

import json
from dataclasses import replace
from types import SimpleNamespace

import array_api_strict
import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.backend import get_backend
from pipeline.backend.special import to_host
from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import FAMILIES, Prediction
from pipeline.prediction.categorical import entropy
from pipeline.prediction.quantiles import from_quantiles, levels
from pipeline.uncertainty.calibration import CALIBRATIONS, Calibration, Evidence

DAYS, MEMBERS, CLASSES, QUANTILES = 150, 21, 3, 19
FEW = {"isotonic": {"quantiles": QUANTILES}, "conformal": {"quantiles": QUANTILES}}  # quicker than 39
MORE = {
    "variance_scaling": [{"bias": True, "by": ["season", "cell"]}],
    "emos": [{"by": ["season"]}],
    "isotonic": [{"by": ["season"]}],
    "temperature": [{"by": ["season", "cell"]}],
    "conformal": [
        {"score": "absolute", "blocks": "none"},
        {"score": "normalised", "by": ["cell"]},
        {"score": "cqr", "blocks": "none", "tails": "apart"},
        {"score": "absolute", "adaptive": {"rate": 0.01, "delay": 2}},
    ],
}
KINDS = [(name, options) for name in CALIBRATIONS.names() for options in ({}, *MORE.get(name, []))]
CONTEXT = Context(get_backend("cpu"), seed=4, name="candidate")


def calibration(name, options) -> Calibration:
    kind = CALIBRATIONS.get(name)
    return kind(kind.Config.model_validate({**FEW.get(name, {}), **options}))


def _parameters(family, shape, rng):
    """Return parameters of a forecast whose spread differs from day to day and cell to cell."""
    mean, sd = rng.normal(0.0, 2.0, shape), np.exp(rng.normal(0.0, 0.4, shape))
    means = mean + 0.4 * rng.normal(size=(5, *shape))
    wet, amount = rng.uniform(0.3, 1.0, shape), rng.uniform(0.8, 2.0, shape)
    weight = rng.dirichlet(np.ones(5), shape)
    chances = np.moveaxis(rng.dirichlet(np.ones(CLASSES), shape), -1, 0)
    return {
        "point": lambda: {"mean": mean},
        "normal": lambda: {"mean": mean, "sd": sd},
        "mixture": lambda: {"mean": means, "sd": sd + 0.0 * means},
        "weighted_mixture": lambda: {
            "mean": means, "sd": sd + 0.0 * means, "weight": np.moveaxis(weight, -1, 0), "centre": means[:2]
        },
        "members": lambda: {"members": mean + sd * rng.normal(size=(MEMBERS, *shape))},
        "bernoulli_gamma": lambda: {"wet": wet, "shape": amount, "scale": sd},
        "bernoulli_gamma_mixture": lambda: {
            "wet": np.stack([wet, 0.9 * wet]), "shape": np.stack([amount, amount]), "scale": np.stack([sd, 1.3 * sd])
        },
        "quantiles": lambda: from_quantiles(
            Prediction("normal", {"mean": mean, "sd": sd}).quantile(0.5)[None]
            + np.stack([Prediction("normal", {"mean": 0 * sd, "sd": sd}).quantile(p) for p in levels(QUANTILES)])
        ),
        "categorical": lambda: {"probabilities": chances},
        "categorical_mixture": lambda: {"probabilities": chances, "expected_entropy": 0.7 * entropy(chances)},
    }[family]()  # fmt: skip


def perfect(family, samples, seed):
    """Return a forecast, and the samples with a truth that is a further draw of it."""
    rng = np.random.default_rng([seed, len(family)])
    shape = (len(samples), 1, *samples.schema.mask.shape)
    parameters = _parameters(family, shape, rng)
    said = Prediction(family, {name: np.asarray(part, np.float32) for name, part in parameters.items()})
    if family == "members":  # drawn from what they were drawn from
        said, truth = Prediction(family, {"members": said.members[1:]}), said.members[0]
    else:
        truth = said.sample(1, seed=seed)[0] + (rng.normal(size=shape) if family == "point" else 0.0)
    outside = ~samples.schema.mask
    parameters = {name: np.array(part) for name, part in said.parameters.items()}
    for part in (*parameters.values(), truth):
        part[..., outside] = np.nan
    return Prediction(family, parameters), replace(samples, target=truth.astype(np.float32))


@pytest.fixture(scope="module")
def world(make_samples):
    """Return forecasts and samples of a family for evidence and for a test, each made once."""
    made = {}

    def get(family):
        if family not in made:
            made[family] = [perfect(family, make_samples(DAYS, seed=seed), seed) for seed in (0, 1)]
        return made[family]

    return get


def served(name, options):
    """Return the families that a calibration has nothing against."""
    asked, schema = calibration(name, options), SimpleNamespace(quantities=("temperature",))
    made = {
        family: Prediction(family, _parameters(family, (2, 1, 2, 2), np.random.default_rng(0)))
        for family in FAMILIES.names()
    }
    return [family for family, said in made.items() if asked.why_not(said, schema) is None]


PAIRS = [(name, options, family) for name, options in KINDS for family in served(name, options)]


def _id(value):
    return json.dumps(value, separators=(",", ":")).translate(str.maketrans("", "", '{}"')) or "default"


@pytest.fixture(scope="module", params=PAIRS, ids=_id)
def fitted(request, world):
    """Return a calibration, the family that it was fitted on, and what it answers of the test."""
    name, options, family = request.param
    evidence, test = world(family)
    found = calibration(name, options).fit(Evidence(*evidence, "the evidence"), CONTEXT)
    return found, family, found.apply(*test, CONTEXT)


def coverage(said, samples, level=0.9):
    mask = samples.schema.mask
    low, high = (said.quantile(0.5 + side * level / 2) for side in (-1, 1))
    return float(((samples.target >= low) & (samples.target <= high))[:, :, mask].mean())


def test_every_calibration_serves_a_family_and_every_family_is_served_by_one():
    assert {name for name, _, _ in PAIRS} == set(CALIBRATIONS.names())
    assert {family for _, _, family in PAIRS} == set(FAMILIES.names())


def test_answers_a_distribution_that_is_finite_in_the_mask_and_nowhere_else(fitted, world):
    _, family, answer = fitted
    samples = world(family)[1][1]
    mask = samples.schema.mask
    assert answer.mean().shape == samples.target.shape
    for values in answer.parameters.values():
        assert values.dtype == np.float32
        assert np.isfinite(values[..., mask]).all()
        assert np.isnan(values[..., ~mask]).all()


def test_quantiles_grow_with_their_level_and_parts_of_the_variance_add_up(fitted, world):
    found, family, answer = fitted
    if found.of_classes:
        return
    mask = world(family)[1][1].schema.mask
    ladder = np.stack([answer.quantile(level)[:, :, mask] for level in (0.01, 0.05, 0.3, 0.5, 0.7, 0.95, 0.99)])
    assert (np.diff(ladder, axis=0) >= 0.0).all()
    assert (answer.variance()[:, :, mask] > 0.0).all()
    parts = [part[:, :, mask] for part in answer.variances() if part is not None]
    np.testing.assert_allclose(sum(parts), answer.variance()[:, :, mask], rtol=1e-5)


def test_keeps_the_share_of_epistemic_variance_where_there_is_one(fitted, world):
    found, family, answer = fitted
    said, samples = world(family)[1]
    if said.members is None or family == "members" or found.summary()["kind"] == "emos":
        return
    mask = samples.schema.mask
    before, after = (each.variances()[1][:, :, mask] / each.variance()[:, :, mask] for each in (said, answer))
    np.testing.assert_allclose(after, before, rtol=2e-3, atol=1e-4)


def test_saved_and_loaded_answers_the_same_and_tells_the_same(fitted, world, tmp_path):
    found, family, before = fitted
    found.save(tmp_path)
    loaded = type(found)(found.config).load(tmp_path, CONTEXT.backend)
    after = loaded.apply(*world(family)[1], CONTEXT)
    assert before.family == after.family
    for name, values in before.parameters.items():
        np.testing.assert_array_equal(after.parameters[name], values)
    assert loaded.summary() == found.summary()


def test_the_summary_is_json_and_says_what_was_learned_from(fitted, world):
    found, family, _ = fitted
    said = found.summary()
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["kind"] in CALIBRATIONS
    samples = world(family)[0][1]
    assert said["samples"] == len(samples)
    assert said["values"] == int(np.isfinite(samples.target).sum())


def test_a_calibrated_forecast_stays_calibrated(fitted, world):
    """Its coverage changes by Monte-Carlo error; blocks add (1 - a) / K on purpose."""
    found, family, answer = fitted
    if family == "point":
        return
    said, samples = world(family)[1]
    if found.of_classes:
        before, after = (each.nll(samples.target)[:, :, samples.schema.mask].mean() for each in (said, answer))
        assert abs(after - before) < 0.01
        return
    count, _, what = found.summary().get("blocks", "100000 values").partition(" ")
    error, excess = 0.02, 0.0 if what == "values" or found.config.adaptive else 0.9 / int(count)
    # Steps of few members: their own line is no calibrated forecast, and no measure for it.
    before = 0.9 if family in ("members", "bernoulli_gamma", "bernoulli_gamma_mixture") else coverage(said, samples)
    after = coverage(answer, samples)
    if family.startswith("bernoulli") and found.summary()["kind"] in ("isotonic", "conformal"):
        assert after > before - error  # the mass at zero is inside
    elif answer.family != "members":
        assert -error < after - before < error + excess


def test_truth_outside_of_the_evidence_changes_nothing(fitted, world):
    found, family, before = fitted
    if getattr(found.config, "adaptive", None) is not None:
        return  # tested by itself: it looks back, on purpose
    said, samples = world(family)[1]
    after = found.apply(said, replace(samples, target=None), CONTEXT)
    for name, values in before.parameters.items():
        np.testing.assert_array_equal(after.parameters[name], values)


def test_strict_arrays_give_the_same_on_their_own_kind(fitted, world, strict_backend):
    found, family, whole = fitted
    strict = [
        (said.map(array_api_strict.asarray), replace(each, target=array_api_strict.asarray(each.target)))
        for said, each in ((pair[0].map(lambda a: a[..., :60, :, :, :]), pair[1].take(slice(60))) for pair in world(family))
    ]  # fmt: skip
    context = Context(strict_backend, seed=4, name="candidate")
    answer = found.apply(*strict[1], context)
    expected = whole.map(lambda array: array[..., :60, :, :, :])  # the first sixty days, whatever comes behind
    for name, values in expected.parameters.items():
        assert type(answer.parameters[name]) is type(array_api_strict.ones(1))
        np.testing.assert_allclose(to_host(answer.parameters[name]), values, rtol=1e-5, atol=1e-6)
    again = type(found)(found.config)
    if "season" not in getattr(found.config, "by", ()) and "cell" not in getattr(found.config, "by", ()):
        again.fit(Evidence(*strict[0], "the evidence"), context)  # nothing of NumPy's own is asked of the arrays
        assert again.summary()["samples"] == 60


@pytest.mark.parametrize(("name", "options"), KINDS, ids=_id)
def test_refuses_families_that_it_cannot_serve(name, options, world):
    able = served(name, options)
    for family in set(FAMILIES.names()) - set(able):
        said, samples = world(family)[0]
        with pytest.raises(CalibrationError, match=r"expected .*got .*\. Take "):
            calibration(name, options).fit(Evidence(said, samples, "the evidence"), CONTEXT)


@pytest.mark.parametrize("name", CALIBRATIONS.names())
def test_refuses_evidence_without_truth(name, world):
    family = served(name, {})[0]
    said, samples = world(family)[0]
    blank = replace(samples, target=np.full_like(samples.target, np.nan))
    for other in (blank, replace(samples, target=None)):
        with pytest.raises(CalibrationError, match="expected truth to calibrate with, got none in the evidence"):
            calibration(name, {}).fit(Evidence(said, other, "the evidence"), CONTEXT)


@pytest.mark.parametrize("name", CALIBRATIONS.names())
def test_options_are_frozen_described_and_known(name):
    config = CALIBRATIONS.get(name).Config
    assert issubclass(config, ModelConfig)
    assert all(field.description and not field.is_required() for field in config.model_fields.values())
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        config.model_validate({"no_such_option": 1})
    with pytest.raises(ValidationError, match="frozen"):
        config().by = ("cell",)
