"""What a split at random days pretends, `python -m benchmarks.random_days`: the table of docs/why_splits_by_time.md.

Predictors and target are series with a memory of some days that have nothing to do with each other: nobody can
predict one from the others. A forest that is tested on days drawn at random seems to, for it has seen the days before
and after.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

YEARS, PREDICTORS, TREES = 10, 20, 100


@dataclass(frozen=True)
class Row:
    """Share of the variance of the test days that each model seems to explain, by days at random and by time."""

    memory: float
    random_forest: float
    by_time_forest: float
    random_ridge: float
    by_time_ridge: float


def series(days: int, count: int, memory: float, rng: np.random.Generator) -> np.ndarray:
    """Return ``count`` series of unit variance whose correlation falls to 1/e within ``memory`` days."""
    keep = np.exp(-1.0 / memory) if memory else 0.0
    noise = rng.normal(size=(days, count)) * np.sqrt(1 - keep**2)
    values = np.empty((days, count))
    values[0] = rng.normal(size=count)
    for day in range(1, days):
        values[day] = keep * values[day - 1] + noise[day]
    return values


def row(memory: float, seed: int = 0) -> Row:
    """Return what both splits say of predictors that know nothing."""
    rng = np.random.default_rng(seed)
    days = 365 * YEARS
    inputs, target = series(days, PREDICTORS, memory, rng), series(days, 1, memory, rng)[:, 0]
    apart = {"random": rng.permutation(days), "by_time": np.arange(days)}
    found = {}
    for name, order in apart.items():
        train, test = order[: int(0.8 * days)], order[int(0.8 * days) :]
        for kind, model in (("forest", RandomForestRegressor(TREES, random_state=0)), ("ridge", Ridge())):
            answer = model.fit(inputs[train], target[train]).predict(inputs[test])
            error, spread = ((answer - target[test]) ** 2).mean(), target[test].var()
            found[f"{name}_{kind}"] = float(1 - error / spread)
    return Row(memory, **found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=float, nargs="*", default=[0.0, 5.0, 20.0, 60.0])
    print("| memory | forest, days at random | forest, by time | ridge, days at random | ridge, by time |")
    print("|---|---|---|---|---|")
    for memory in parser.parse_args().memory:
        one = row(memory)
        values = (one.random_forest, one.by_time_forest, one.random_ridge, one.by_time_ridge)
        print(f"| {memory:g} days | " + " | ".join(f"{value:.2f}" for value in values) + " |")


if __name__ == "__main__":
    main()
