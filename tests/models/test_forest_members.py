"""Forests that answer members: both kinds, through the models' own doors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from models import MODELS
from models.lag_forest import LagForest, LagForestConfig
from models.random_forest import RandomForest, RandomForestConfig
from pipeline.backend import estimators, get_backend
from pipeline.model import Context
from pipeline.prediction.members import crps_ensemble
from pipeline.samples import Affine

FIELDS, SERIES = "downscaling", "series"
SAFE = {".json", ".safetensors", ".skops"}


class TreesOfOneOutput:
    """A forest as cuML has it: one output, and leaves through another object, numbered in floats."""

    def __init__(self, **options):
        from sklearn.ensemble import RandomForestRegressor

        known = ("n_estimators", "max_features", "min_samples_leaf", "random_state")
        self.forest = RandomForestRegressor(**{name: options[name] for name in known})

    def fit(self, X, y):
        assert y.ndim == 1
        self.forest.fit(X, y)
        return self

    def predict(self, X):
        return self.forest.predict(X)

    def as_sklearn(self):
        return self.forest

    @classmethod
    def from_sklearn(cls, forest):
        made = cls.__new__(cls)
        made.forest = forest
        return made

    def as_nvforest(self):
        found = self

        class Leaves:
            def apply(self, X):
                return (2 * found.forest.apply(X) + 1).astype(np.float32)

        return Leaves()


@pytest.fixture
def as_gpu(monkeypatch, tmp_path):
    """A context of a gpu backend on NumPy, whose forests have one output each."""
    from sklearn.decomposition import PCA

    load = estimators._load
    found = {
        "cuml.ensemble:RandomForestRegressor": TreesOfOneOutput,
        "cuml.decomposition:PCA": lambda n_components, **options: PCA(n_components, svd_solver="full"),
    }
    monkeypatch.setattr(estimators, "_load", lambda path: found.get(path) or load(path))
    return Context(replace(get_backend("cpu"), name="gpu"), seed=3, name="model", folder=tmp_path)


def kind_of(task: str):
    return "random_forest" if task == FIELDS else "lag_forest"


@pytest.fixture(params=[FIELDS, SERIES])
def task(request):
    return request.param


@pytest.fixture
def world(task, make_samples, make_series, context):
    make = make_samples if task == FIELDS else make_series
    return tuple(make(n, seed, name=name, backend=context.backend)
                 for n, seed, name in ((150, 0, "train"), (60, 1, "validation")))  # fmt: skip


def fitted(task, world, context, **options):
    model = MODELS.get(kind_of(task))
    return model(model.Config(distribution="members", trees=20, **options)).fit(*world, context)


def host(model, samples, context):
    prediction = model.predict(samples, context)
    assert prediction.family == "members"
    return context.backend.to_host(prediction.parameters["members"])


def of_climate(known, truth):
    """Return the mean CRPS of all values that are known, as members for every time."""
    return np.mean(crps_ensemble(np.broadcast_to(known[:, None], (len(known), *truth.shape)), truth))


def test_members_are_answered_and_are_better_than_the_climatology(task, world, context):
    members = host(fitted(task, world, context, members=20), world[1], context)
    truth, inside = context.backend.to_host(world[1].target), world[1].schema.mask
    assert members.shape == (20, *truth.shape)
    assert members.dtype == np.float32
    assert np.isnan(members[..., ~inside]).all()
    known = context.backend.to_host(world[0].target)[..., inside].astype(float)
    climate = of_climate(known, truth[..., inside])
    assert np.mean(crps_ensemble(members[..., inside], truth[..., inside])) < 0.8 * climate


def test_a_member_is_the_whole_field_of_a_train_day(make_samples, context):
    world = tuple(make_samples(n, n, targets=2, backend=context.backend) for n in (120, 30))
    members = host(fitted(FIELDS, world, context, members=9), world[1], context)
    inside = world[0].schema.mask
    known = {field.tobytes() for field in context.backend.to_host(world[0].target)[..., inside]}
    assert all(field.tobytes() in known for field in members[..., inside].reshape(-1, 2, inside.sum()))


def test_a_member_of_a_series_is_the_truth_of_one_row_at_all_leads(make_series, context):
    world = tuple(make_series(n, n, backend=context.backend) for n in (120, 30))
    members = host(fitted(SERIES, world, context, members=9), world[1], context)[:, :, :, 0]
    known = context.backend.to_host(world[0].target)[:, :, 0].transpose(0, 2, 1).reshape(-1, 3)
    rows = members.transpose(0, 1, 3, 2).reshape(-1, 3)
    assert {row.tobytes() for row in rows} <= {row.tobytes() for row in known}


def test_flow_is_never_negative_and_amounts_are_those_observed(make_series, context):
    """Three basins in a common unit; where no affine is known, numbers that are never negative bound them."""

    def positive(samples):
        target = context.backend.to_host(samples.target)
        amounts = np.where(target > 0, target, 0).astype(np.float32)  # half of the days are dry
        shape = (len(samples.schema.targets), *samples.schema.mask.shape)
        scale = np.ones(shape, np.float32)
        shift = np.broadcast_to(np.linspace(0, 0.3, shape[-1], dtype=np.float32), shape)
        affine = Affine(scale, shift)
        numbers = context.backend.asarray(amounts - shift[None])
        return replace(samples, target=numbers, schema=replace(samples.schema, target_affine=affine))

    world = tuple(positive(make_series(n, n, backend=context.backend)) for n in (150, 60))
    members = host(fitted(SERIES, world, context, members=20), world[1], context)
    shift = np.linspace(0, 0.3, 4, dtype=np.float32)
    amounts = members + shift
    assert amounts.min() > -1e-6
    dry = np.mean(np.abs(amounts) < 1e-6, axis=0)
    seen = np.mean(context.backend.to_host(world[0].target) + shift < 1e-6)
    assert np.mean(dry) == pytest.approx(seen, abs=0.1)
    assert dry.max() == 1.0  # certain of a dry day, with no amount at all
    assert dry.min() == 0.0


def test_missing_truth_takes_the_mean_of_the_other_members(make_samples, context, with_truth):
    world = tuple(make_samples(n, n, backend=context.backend) for n in (120, 30))

    def hide(truth):
        truth[::3, 0, 2, 2] = np.nan
        truth[:, 0, 3, 3] = np.nan
        return truth

    whole = host(fitted(FIELDS, world, context, members=9), world[1], context)
    lost = with_truth(world[0], hide, context)
    model = fitted(FIELDS, (lost, world[1]), context, members=9)
    members = host(model, world[1], context)
    assert np.isfinite(members[..., world[0].schema.mask]).all()
    np.testing.assert_array_equal(members[..., 3, 3], 0)
    known = np.unique(context.backend.to_host(lost.target)[:, 0, 2, 2])
    filled = ~np.isin(members[..., 2, 2], known)
    others = np.ma.masked_where(filled, members[..., 2, 2]).mean(axis=0)
    np.testing.assert_allclose(members[..., 2, 2][filled], np.broadcast_to(others, filled.shape)[filled], atol=1e-5)
    assert 0.1 < filled.mean() < 0.6
    assert whole.shape == members.shape


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_a_saved_forest_answers_the_same_members(task, world, make_series, context, tmp_path, missing):
    if missing and task == SERIES:  # a forest a lead
        world = tuple(make_series(n, n, missing=missing, backend=context.backend) for n in (90, 40))
    model = fitted(task, world, context)
    model.save(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= SAFE
    again = MODELS.get(kind_of(task)).load(tmp_path, context)
    np.testing.assert_array_equal(host(model, world[1], context), host(again, world[1], context))
    assert again.summary() == model.summary()


def test_forests_of_one_output_each_answer_members_and_move_to_the_cpu(
    task, make_samples, make_series, as_gpu, tmp_path
):
    make = make_samples if task == FIELDS else make_series
    world = tuple(make(n, n) for n in (150, 60))
    model = fitted(task, world, as_gpu, components=5) if task == FIELDS else fitted(task, world, as_gpu)
    members = host(model, world[1], as_gpu)
    truth, inside = np.asarray(world[1].target), world[1].schema.mask
    climate = of_climate(np.asarray(world[0].target)[..., inside], truth[..., inside])
    assert np.mean(crps_ensemble(members[..., inside], truth[..., inside])) < 0.85 * climate
    model.save(tmp_path)
    cpu = replace(as_gpu, backend=get_backend("cpu"))
    again = MODELS.get(kind_of(task)).load(tmp_path, cpu)
    np.testing.assert_array_equal(host(again, world[1], cpu), members)


def test_members_are_as_many_as_asked_and_two_at_least(world, task, context):
    assert len(host(fitted(task, world, context, members=3), world[1], context)) == 3
    for config in (RandomForestConfig, LagForestConfig):
        with pytest.raises(ValidationError, match="greater than or equal to 2"):
            config(members=1)


def test_by_default_no_member_is_answered_and_nothing_more_is_kept(world, task, context):
    model = (RandomForest if task == FIELDS else LagForest)().fit(*world, context)
    assert not any(name.startswith("leaf") for name in model.arrays)
    assert model.predict(world[1], Context(context.backend)).family == "normal"
