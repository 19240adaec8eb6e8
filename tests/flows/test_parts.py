"""Scores of groups of models, put together as if they had been one."""

from types import SimpleNamespace

import numpy as np

from flows.stages._novelty import Seen
from flows.stages._parts import Asked, Part, _together
from pipeline.metrics.evaluate import Evaluation
from pipeline.metrics.tables import Comparison, Score

MODELS = ("a", "b", "c")
SPACE = SimpleNamespace(prepared=SimpleNamespace(schema=SimpleNamespace(leads=(3, 1))))


def score(model, group):
    return Score(model, "test", "tas", group, "rmse", 1.0, "K", 0.0, 2.0, 9)


def difference(model, variable, group="all"):
    return Comparison(model, "a", "test", variable, group, "crps", 0.1, 0.0, 0.2, 0.1, 9)


def part(models, more):
    """What a worker finds of some models and of those that they are compared with."""
    found = (*models, *more)
    groups = ("all", "lead=3", "lead=3;season=DJF", "lead=1")
    return Part(
        Evaluation(
            tuple(score(model, group) for group in groups for model in found),
            tuple(difference(model, "tas", group) for group in groups for model in found if model != "a"),
            {},
            (),
        ),
        tuple(difference(model, variable) for variable in ("pr", "psl") for model in found if model != "a"),
        Seen({model: {"tas": model} for model in found}, {model: {"tas": {"test": np.zeros(1)}} for model in found}),
    )


def test_parts_come_together_in_the_order_of_one():
    asked = Asked("test", MODELS, "a", {"pr": "a", "psl": "a"}, "test")
    groups = [Asked("test", ("a", "c"), "a", {}, "test"), Asked("test", ("b",), "a", {}, "test")]
    found = _together(SPACE, asked, groups, [part(("a", "c"), ()), part(("b",), ("a",))])
    whole = part(MODELS, ())
    by_lead = sorted(
        whole.evaluation.scores, key=lambda row: ("all", "lead=3", "lead=3;season=DJF", "lead=1").index(row.group)
    )
    assert [(row.group.partition(";")[0], row.model) for row in found.evaluation.scores] == sorted(
        ((row.group.partition(";")[0], row.model) for row in by_lead),
        key=lambda pair: ("all", "lead=3", "lead=1").index(pair[0]) * 9 + MODELS.index(pair[1]),
    )
    assert len(found.evaluation.scores) == len(whole.evaluation.scores)
    assert found.comparisons == whole.comparisons
    assert list(found.seen.relations) == list(found.seen.disagreement) == list(MODELS)


def test_a_group_reads_what_it_is_compared_with_once():
    asked = Asked("test", ("unet", "ridge"), "ridge", {"pr": "analogs"}, "test")
    assert asked.needed == ("unet", "ridge", "analogs")
    assert Asked("validation", ("unet",), None, {}, None).needed == ("unet",)
