"""What every model with slopes or trees owes to the SHAP values that are read off them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from models import MODELS
from pipeline.attribution import ATTRIBUTIONS, Case
from pipeline.attribution.baseline import BASELINES, make_baseline
from pipeline.attribution.checks.completeness import Completeness
from pipeline.attribution.question import Question
from pipeline.attribution.subject import subject_of
from pipeline.backend import get_backend
from pipeline.model import Context

METHODS = {"linear": "linear_shap", "trees": "tree_shap"}
QUICK = {"trees": 8, "components": 4, "target_components": 3, "neighbourhood": 1}
PAIRS = [
    (kind, trait, task)
    for kind in MODELS.names()
    for trait in METHODS
    for task in ("downscaling", "series", "segmentation")
    if trait in MODELS.get(kind).traits and task in MODELS.get(kind).tasks
]


@dataclass(frozen=True)
class World:
    """A fitted model, splits and a question."""

    kind: str
    trait: str
    model: object
    train: object
    test: object
    question: Question

    @property
    def method(self):
        return ATTRIBUTIONS.get(METHODS[self.trait])()

    def case(self, model=None, test=None, question=None, baseline="train_draws", **further) -> Case:
        test = self.test if test is None else test
        start = make_baseline(baseline, self.train, self.test, 3, a_context())
        if test.schema.channels != self.test.schema.channels:
            start = replace(
                start, fields=start.fields[:, :, [place_of(self.test, name) for name in test.schema.channels]]
            )
        return Case(model or self.model, test, question or self.question, a_context(), start, **further)

    def values(self, **change) -> np.ndarray:
        return self.method.explain(self.case(**change)).values.astype(float)


def place_of(samples, name: str) -> int:
    return samples.schema.channels.index(name)


def a_context() -> Context:
    return Context(get_backend("cpu"), seed=5, name="candidate")


def of_two(samples):
    """Fields of two classes: background, or any event."""
    schema = replace(samples.schema, classes=("background", "event"), class_shares=(0.8, 0.2))
    return replace(samples, target=np.minimum(samples.target, 1.0), schema=schema)


def splits(kind: str, task: str, make) -> list:
    if task == "series":
        return [make["series"](120, seed=seed, name=name) for seed, name in enumerate(("train", "validation", "test"))]
    if task == "downscaling":
        return [make["samples"](120, seed=seed, further=True) for seed in range(3)]
    made = [make["classes"](20, seed=seed, shape=(6, 10)) for seed in range(3)]
    return [of_two(each) for each in made] if kind == "pixel_logistic" else made


def question_of(schema, trait: str) -> Question:
    answers = len(schema.classes) or len(schema.targets)
    random = np.random.default_rng(0)
    weights = random.uniform(0, 1, (answers, *schema.mask.shape)) * schema.mask
    weights *= random.uniform(0, 1, weights.shape) < 0.5  # cells that nobody asks about
    scale = np.where(schema.mask, random.uniform(0.5, 2.0, weights.shape), np.nan)
    of = {"linear": "log_odds", "trees": "probability"}[trait] if schema.classes else "mean"
    return Question(weights / weights.sum(), scale, "1" if schema.classes else "degC", "something", of)


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def world(request, make_samples, make_series, make_classes) -> World:
    kind, trait, task = request.param
    make = {"samples": make_samples, "series": make_series, "classes": make_classes}
    train, validation, test = splits(kind, task, make)
    model = MODELS.get(kind)
    options = {
        key: [value] if key == "components" and kind == "pca_ridge" else value
        for key, value in QUICK.items()
        if key in model.Config.model_fields and (key, kind) != ("neighbourhood", "pixel_logistic")
    }
    fitted = model(model.Config.model_validate(options)).fit(train, validation, a_context())
    return World(kind, trait, fitted, train, test.take(slice(0, 9)), question_of(test.schema, trait))


def test_some_model_of_each_kind_is_served():
    assert {(trait, task) for _, trait, task in PAIRS} == {
        (trait, task) for trait in METHODS for task in ("downscaling", "series", "segmentation")
    }


@pytest.mark.parametrize("baseline", sorted(BASELINES.names()))
def test_parts_add_up_to_the_departure_from_the_named_baseline(world, baseline):
    found = world.method.explain(world.case(baseline=baseline, checks=("completeness",)))
    missing = np.abs(found.values.sum(axis=(1, 2, 3), dtype=float) - found.numbers)
    assert missing.max() < 2e-5 * max(1.0, np.abs(found.numbers).max())
    (finding,) = found.findings
    assert finding.check == "completeness"
    assert finding.passed
    assert Completeness.essential
    assert np.abs(found.values).max() > 0


def test_values_follow_channels_by_name(world):
    names = world.test.schema.channels
    order = np.random.default_rng(1).permutation(len(names))
    turned = replace(
        world.test,
        inputs=np.ascontiguousarray(world.test.inputs[:, order]),
        schema=replace(world.test.schema, channels=tuple(names[place] for place in order)),
    )
    np.testing.assert_allclose(world.values(test=turned), world.values()[:, order], atol=1e-7)


def test_a_day_is_explained_alone_as_together_with_others(world):
    together = world.values(baseline="zero")
    alone = world.values(baseline="zero", test=world.test.take(slice(4, 5)))
    np.testing.assert_allclose(alone, together[4:5], atol=1e-7)


def test_weights_of_each_day_are_looked_at(world):
    question, days = world.question, len(world.test)
    factor = np.linspace(0.0, 2.0, days)
    daily = replace(question, weights=question.weights[None] * factor[:, None, None, None])
    expected = world.values() * factor[:, None, None, None]
    np.testing.assert_allclose(world.values(question=daily), expected, atol=1e-6)


def test_a_loaded_model_answers_the_same(world, tmp_path):
    world.model.save(tmp_path)
    again = MODELS.get(world.kind).load(tmp_path, a_context())
    np.testing.assert_allclose(world.values(model=again), world.values(), atol=1e-9)


def test_a_question_of_nothing_has_no_parts(world):
    nothing = replace(world.question, weights=np.zeros_like(world.question.weights))
    assert not world.values(question=nothing).any()


def test_slopes_are_differences_of_predictions(world):
    if world.trait != "linear":
        pytest.skip("trees have no slopes")
    import torch

    case = world.case()
    subject, which = subject_of(case), torch.zeros(1, dtype=torch.int64)
    slopes = np.asarray(world.model.slopes(world.test, world.question.factors[None], a_context()))
    assert slopes.shape == (1, *world.test.inputs.shape[1:])
    first, random = torch.from_numpy(world.test.inputs[:1].copy()), np.random.default_rng(2)
    for _ in range(5):
        move = random.normal(size=world.test.inputs.shape[1:]).astype(np.float32)
        for name in world.test.schema.scalars:  # one number at every cell
            move[place_of(world.test, name)] = move[place_of(world.test, name), 0, 0]
        moved = subject.numbers(first + torch.from_numpy(move), which) - subject.numbers(first, which)
        np.testing.assert_allclose(float(moved), float((slopes[0] * move).sum()), rtol=1e-4, atol=1e-5)


def test_slopes_and_trees_are_there_where_the_traits_say_so():
    from pipeline.model import Model

    for kind in MODELS.names():
        model = MODELS.get(kind)
        assert (model.slopes is not Model.slopes) == ("linear" in model.traits)
        assert (model.tree_parts is not Model.tree_parts) == ("trees" in model.traits)
