import json
import re

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.backend import get_backend
from pipeline.errors import RunFolderError, TrainingError, TraitError
from pipeline.grid import Grid
from pipeline.model import Context, Model
from pipeline.prediction import Prediction
from pipeline.samples import Samples, Schema
from pipeline.uncertainty import WHOLE, Part
from pipeline.uncertainty.deep_ensemble import DeepEnsemble, DeepEnsembleConfig

SHAPE = (2, 3)


class Member(Model):
    """Answers fixed fields, the same every time it is asked about the same number of days."""

    traits = frozenset({"seeded"})

    def __init__(self, number, family="normal"):
        super().__init__()
        self.number, self.family = number, family

    def fit(self, train, validation, context):
        return self

    def predict(self, inputs, context):
        random = np.random.default_rng(self.number)
        shape = (len(inputs), 1, *SHAPE)
        mean = random.normal(250.0, 2.0, shape).astype(np.float32)
        sd = random.uniform(0.5, 2.0, shape).astype(np.float32)
        mean[:, :, 0, 0] = np.nan
        if self.family == "members":
            return Prediction("members", {"members": np.stack([mean, mean + 1.0])})
        if self.family == "bernoulli_gamma":
            wet, amount = (random.uniform(0.2, 0.9, shape).astype(np.float32) for _ in range(2))
            return Prediction(self.family, {"wet": wet, "shape": amount, "scale": sd})
        return Prediction(self.family, {"mean": mean, "sd": sd} if self.family == "normal" else {"mean": mean})

    def save(self, folder):
        raise NotImplementedError

    @classmethod
    def load(cls, folder, context):
        raise NotImplementedError


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def context(warnings):
    return Context(get_backend("cpu"), name="unet", warn=warnings.append)


@pytest.fixture
def samples():
    grid = Grid(np.array([40.0, 41.0]), np.arange(3.0))
    static = np.zeros((0, *SHAPE), np.float32)
    schema = Schema(
        ("a",), ("K",), ("tas",), ("K",), grid, grid, np.ones(SHAPE, bool), static, (), np.timedelta64(1, "D")
    )
    time = np.datetime64("2001-01-01", "ns") + np.arange(5) * np.timedelta64(1, "D")
    zeros = np.zeros((5, 1, *SHAPE), np.float32)
    return Samples("test", zeros, zeros, None, time, np.linspace(0, 0.01, 5), schema)


class Source:
    """Members by number, less those that failed."""

    def __init__(self, family="normal", failed=()):
        self.family, self.failed, self.asked = family, failed, []

    def __call__(self, count, part=WHOLE):
        self.asked.append(count)
        return [Member(number, self.family) for number in range(count) if number not in self.failed]


def fitted(source, samples, context, **options):
    return DeepEnsemble(DeepEnsembleConfig(**options)).fit(source, samples, samples, context)


def test_normal_members_obey_the_law_of_total_variance(samples, context):
    source = Source()
    ensemble = fitted(source, samples, context)
    assert source.asked == [5]
    found = ensemble.predict(samples, context)
    aleatoric, epistemic = found.variances()
    members = [Member(number).predict(samples, context).parameters for number in range(5)]
    assert found.family == "mixture"
    for index in np.ndindex(5, 1, *SHAPE):
        means = [float(member["mean"][index]) for member in members]
        variances = [float(member["sd"][index]) ** 2 for member in members]
        if np.isnan(means[0]):
            assert np.isnan(found.variance()[index])
            continue
        mean = sum(means) / 5
        between = sum((value - mean) ** 2 for value in means) / 5
        assert found.mean()[index] == pytest.approx(mean, rel=1e-6)
        assert aleatoric[index] == pytest.approx(sum(variances) / 5, rel=1e-6)
        assert epistemic[index] == pytest.approx(between, rel=1e-5)
        # Second moment of the mixture less the square of its mean: another way to the same number.
        second = sum(value**2 + variance for value, variance in zip(means, variances, strict=True)) / 5
        assert found.variance()[index] == pytest.approx(second - mean**2, rel=1e-5)
    np.testing.assert_allclose(found.variance(), aleatoric + epistemic, rtol=1e-6)


def test_point_members_are_values_of_which_all_variance_is_epistemic(samples, context):
    found = fitted(Source("point"), samples, context, members=3).predict(samples, context)
    means = np.stack([Member(number).predict(samples, context).parameters["mean"] for number in range(3)])
    aleatoric, epistemic = found.variances()
    assert found.family == "members"
    assert aleatoric is None
    np.testing.assert_array_equal(found.members, means)
    np.testing.assert_allclose(epistemic, means.astype(float).var(axis=0, ddof=0), rtol=1e-5)


def test_equal_members_have_no_epistemic_variance(samples, context):
    ensemble = DeepEnsemble().fit(
        lambda count, part=WHOLE: [Member(7) for _ in range(count)], samples, samples, context
    )
    found = ensemble.predict(samples, context)
    aleatoric, epistemic = found.variances()
    np.testing.assert_allclose(np.nanmax(epistemic), 0.0, atol=1e-9)
    np.testing.assert_allclose(aleatoric, Member(7).predict(samples, context).variance(), rtol=1e-6)


def test_asks_for_as_many_members_as_the_options_say():
    assert DeepEnsemble().wants() == {WHOLE: 5}
    assert DeepEnsemble(DeepEnsembleConfig(members=8)).wants() == {WHOLE: 8}
    assert DeepEnsemble.needs == {"seeded"}


@pytest.mark.parametrize(
    ("failed", "message"),
    [
        ((2,), "unet: 1 of 5 members could not be fitted and is left out."),
        ((0, 4), "unet: 2 of 5 members could not be fitted and are left out."),
    ],
)
def test_a_failed_member_is_left_out_with_a_warning(samples, context, warnings, failed, message):
    ensemble = fitted(Source(failed=failed), samples, context)
    assert warnings == [message]
    assert ensemble.predict(samples, context).members.shape[0] == 5 - len(failed)
    assert ensemble.summary() == {"members": 5 - len(failed), "members_asked": 5, "bagged": False}


def test_no_warning_when_all_are_there(samples, context, warnings):
    fitted(Source(), samples, context)
    assert warnings == []


@pytest.mark.parametrize(("failed", "left"), [((0, 1, 2, 4), 1), (range(5), 0)])
def test_one_member_is_no_ensemble(samples, context, failed, left):
    wanted = (
        rf"^expected at least 2 fitted members for a deep ensemble of 'unet', got {left} of 5: "
        r"the others failed, the log says why\.$"
    )
    with pytest.raises(TrainingError, match=wanted):
        fitted(Source(failed=failed), samples, context)


def test_members_of_members_are_pooled(samples, context):
    found = fitted(Source("members"), samples, context, members=3).predict(samples, context)
    answers = [Member(number, "members").predict(samples, context).members for number in range(3)]
    assert found.family == "members"
    np.testing.assert_array_equal(found.members, np.concatenate(answers))


def test_amounts_beside_dry_days_obey_the_law_of_total_variance(samples, context):
    found = fitted(Source("bernoulli_gamma"), samples, context, members=4).predict(samples, context)
    answers = [Member(number, "bernoulli_gamma").predict(samples, context) for number in range(4)]
    aleatoric, epistemic = found.variances()
    assert found.family == "bernoulli_gamma_mixture"
    means = np.stack([answer.mean() for answer in answers]).astype(float)
    np.testing.assert_allclose(found.members, means, rtol=1e-6)
    np.testing.assert_allclose(found.mean(), means.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(aleatoric, np.mean([answer.variance() for answer in answers], axis=0), rtol=1e-5)
    np.testing.assert_allclose(epistemic, means.var(axis=0), rtol=1e-5)


def test_mixed_families_are_refused(samples, context):
    mixed = [Member(0, "normal"), Member(1, "point")]
    wanted = (
        "expected members of 'unet' that all answer the same family for a deep ensemble, got 'normal', 'point'. "
        "Choose another model or loss."
    )
    with pytest.raises(TraitError, match=f"^{re.escape(wanted)}$"):
        DeepEnsemble().fit(lambda count, part=WHOLE: mixed, samples, samples, context)


def test_saved_and_loaded_is_the_same(samples, context, tmp_path):
    ensemble = fitted(Source(failed=(1,)), samples, context, members=4)
    ensemble.save(tmp_path)
    loaded = DeepEnsemble().load(tmp_path, Source(failed=(1,)), context)
    assert loaded.wants() == {WHOLE: 4}
    assert loaded.summary() == ensemble.summary()
    np.testing.assert_array_equal(loaded.predict(samples, context).mean(), ensemble.predict(samples, context).mean())


def test_loading_notices_that_members_are_gone(samples, context, tmp_path):
    fitted(Source(), samples, context).save(tmp_path)
    assert json.loads((tmp_path / "members.json").read_text()) == {"members": 5}
    wanted = (
        r"^expected the 5 members that the deep ensemble of 'unet' was made of, got 4\. Run the experiment again\.$"
    )
    with pytest.raises(RunFolderError, match=wanted):
        DeepEnsemble().load(tmp_path, Source(failed=(3,)), context)


def test_members_of_drawn_blocks_are_not_trained_as_one():
    with pytest.raises(
        ValidationError, match="expected stacked: auto or false with bagged: true, whose members learn from"
    ):
        DeepEnsembleConfig(bagged=True, stacked=True)
    assert DeepEnsemble(DeepEnsembleConfig(bagged=True, members=3)).wants() == {Part(bagged=True): 3}
