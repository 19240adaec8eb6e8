"""Every network leaves Finescale as a graph that answers what it answers, in every format, on any number of samples."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from models import MODELS
from pipeline.backend import get_backend
from pipeline.errors import TraitError
from pipeline.export.engines import ENGINES, exported, largest_gap
from pipeline.export.graph import outputs_of
from pipeline.model import Context
from pipeline.prediction import FAMILIES

DRAWS = frozenset({"noise_unet"})  # draws random numbers, which no graph draws alike
GRIDDED = frozenset({"cnn_lstm"})  # want predictors on a grid for a series
QUICK = {"epochs": 1, "batch_size": 16, "width": 4, "depth": 1}
PAIRS = [
    (name, task)
    for task in ("downscaling", "series", "segmentation")
    for name in MODELS.names()
    if task in MODELS.get(name).tasks and "trainable" in MODELS.get(name).traits
]


def fitted(name, task, make_samples, make_series, make_classes):
    make = {
        "downscaling": partial(make_samples, further=True),
        "series": partial(make_series, gridded=name in GRIDDED),
        "segmentation": make_classes,
    }[task]
    kind, context = MODELS.get(name), Context(get_backend("cpu"), seed=5, name=name)
    config = kind.Config.model_validate({k: v for k, v in QUICK.items() if k in kind.Config.model_fields})
    model = kind(config).fit(make(24, seed=0), make(12, seed=1, name="validation"), context)
    return model, make(7, seed=2, name="test"), context


@pytest.mark.parametrize(("name", "task"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_its_graphs_answer_what_it_answers(name, task, make_samples, make_series, make_classes, tmp_path):
    model, samples, context = fitted(name, task, make_samples, make_series, make_classes)
    if name in DRAWS:
        with pytest.raises(TraitError, match=r"draws its members from random numbers of its own.*--format native"):
            model.answering(samples)
        return
    module = model.answering(samples)
    expected = model.predict(samples, context)
    names = list(FAMILIES.get(module.family).parameters)
    assert module.family == expected.family
    inputs = np.asarray(samples.inputs)
    for format_ in ENGINES.names():
        engine = ENGINES.get(format_)()
        path = tmp_path / f"graph{engine.suffix}"
        engine.save(module, [inputs[:2]], (["samples"], outputs_of(names)), path)
        run = engine.load(path)
        for count in (7, 1):
            found = dict(zip(names, run([inputs[:count]]), strict=True))
            wanted = model.predict(samples.take(slice(0, count)), context).parameters
            assert largest_gap(found, wanted, np.ones(1)) < 1e-5, (format_, count)


def test_a_graph_of_something_else_would_be_found_out():
    one = {"mean": np.zeros((2, 1, 3, 3), np.float32)}
    assert largest_gap({"mean": one["mean"] + 1e-3}, one, np.ones(1)) > 1e-4
    gap = one["mean"].copy()
    gap[0, 0, 0, 0] = np.nan
    assert largest_gap({"mean": gap}, one, np.ones(1)) == float("inf")


def test_the_first_axis_of_a_program_is_free():
    program = exported(torch.nn.Linear(3, 2), [np.zeros((4, 3), np.float32)])
    assert program.module()(torch.zeros(9, 3)).shape == (9, 2)
