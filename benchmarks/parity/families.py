"""Families of distributions, and the special functions that they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.parity.record import SUMS, Record
from pipeline.backend import Backend, special
from pipeline.prediction import FAMILIES, Prediction

Array = Any

SHAPE = (20, 1, 3, 4)
SIZES = {"member": 5, "class": 4, "quantile": 9, "component": 3}
RANGES = {"sd": (0.5, 2.0), "wet": (0.2, 0.9), "shape": (0.5, 2.0), "scale": (0.5, 2.0), "expected_entropy": (0.0, 0.1)}
FUNCTIONS = {
    "erf": ("x",), "ndtr": ("x",), "ndtri": ("p",), "gammaln": ("a",), "gammainc": ("a", "b"),
    "gammaincinv": ("a", "p"), "betainc": ("a", "b", "p"),
}  # fmt: skip
OF_NUMBERS = {
    "mean": lambda p, y: p.mean(), "variance": lambda p, y: p.variance(), "quantile": lambda p, y: p.quantile(0.3),
    "cdf": lambda p, y: p.cdf(y), "crps": lambda p, y: p.crps(y), "nll": lambda p, y: p.nll(y),
    "exceedance": lambda p, y: p.exceedance(y), "tail_crps": lambda p, y: p.tail_crps(y, 1.5),
}  # fmt: skip
OF_CLASSES = {name: OF_NUMBERS[name] for name in ("mean", "nll")}


def parameters(family: str) -> dict[str, np.ndarray]:
    """Return plausible parameters by their names, and a truth."""
    rng, formulas, made = np.random.default_rng(3), FAMILIES.get(family), {}
    for name in formulas.parameters:
        dim = formulas.leading.get(name)
        full = SHAPE if dim is None else (SIZES[dim], *SHAPE)
        if dim == "class" or name == "weight":
            made[name] = np.moveaxis(rng.dirichlet(np.ones(SIZES[dim]), SHAPE), -1, 0)
            continue
        draw = rng.uniform(*RANGES[name], full) if name in RANGES else rng.normal(2.0, 1.5, full)
        made[name] = np.sort(draw, axis=0) if dim == "quantile" else draw
    if "lowest" in made:
        made["lowest"] = made["quantiles"][0] - np.abs(made["lowest"])
        made["highest"] = made["quantiles"][-1] + np.abs(made["highest"])
    if "centre" in made:  # members have the mean of the whole
        middle = Prediction(family, made).mean() - 0.3 * made["centre"].mean(axis=0)
        made["centre"] = middle + 0.3 * made["centre"]
    truth = rng.normal(2.0, 2.0, SHAPE)
    return {**made, "truth": np.clip(truth.round(), 0, 3) if of_classes(family) else truth}


def of_classes(family: str) -> bool:
    return "class" in FAMILIES.get(family).leading.values()


def answered(family: str, backend: Backend, given: Mapping[str, Array]) -> dict[str, Array]:
    """Return all that a family answers."""
    prediction = Prediction(family, {name: values for name, values in given.items() if name != "truth"})
    asked = OF_CLASSES if of_classes(family) else OF_NUMBERS
    answers = {name: ask(prediction, given["truth"]) for name, ask in asked.items()}
    return {name: answer for name, answer in answers.items() if answer is not None}


def arguments() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    size = 500
    return {
        "x": rng.normal(0.0, 2.0, size), "p": rng.uniform(0.01, 0.99, size),
        "a": rng.uniform(0.3, 8.0, size), "b": rng.uniform(0.3, 8.0, size),
    }  # fmt: skip


def called(name: str, backend: Backend, given: Mapping[str, Array]) -> dict[str, Array]:
    return {"value": getattr(special, name)(*(given[each] for each in FUNCTIONS[name]))}


RECORDS = (
    *(Record("family", name, partial(parameters, name), partial(answered, name), SUMS) for name in FAMILIES.names()),
    *(Record("function", name, arguments, partial(called, name), SUMS) for name in FUNCTIONS),
)
