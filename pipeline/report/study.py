"""What the report is about: which model stands for the answer, against which baseline, on which days.

Both are chosen on the validation split, so that the test set answers a question it did not ask.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import RunFolderError
from pipeline.metrics.classes import HEADLINE
from pipeline.report import palette
from pipeline.report.load import Run
from pipeline.report.metric_words import metric_words
from pipeline.report.sampling import Sampling
from pipeline.units import Quantity, headline_metric, quantity

METRIC = "rmse"
"""What models are chosen and compared by; precipitation by the CRPS, see :func:`headline_metric`."""
VALIDATION = "validation"
FEW = 30
_TRIVIAL = frozenset({"climatology", "persistence", "interpolation"})


@dataclass(frozen=True, eq=False)
class Study:
    """A run and what was chosen in it.

    Parameters
    ----------
    run : Run
        The run folder, read.
    variables : tuple of str
        Targets; the first is the one the verdict is about.
    units, field_units : mapping of str to str
        Of each target: of its errors, and of the values themselves, which differ for degrees
        Celsius (an error is in K).
    quantities : mapping of str to str
        What each target is, told from its units and standard name: see :func:`pipeline.units.quantity`.
    split : str
        The test set the verdict is about: the first that has scores.
    splits : tuple of str
        All test sets with scores.
    models : tuple of str
        All models, in the order of the scores.
    baselines : frozenset of str
        Those that the others are measured against.
    headline : str
        The model that stands for the answer.
    reference : str or None
        The best baseline; None where there is no other model to compare with. Where all models are
        baselines it is the headline itself, and the others are compared with it.
    metrics : mapping of str to str
        By which score models of each target are chosen and compared.
    chosen_on : str
        Split that both were chosen on.
    classes : tuple of str
        Names of the classes of a segmentation, the first the background; empty for other tasks.
    colours : mapping of str to str
        Colour of each model in the light theme.
    cues : mapping of str to int
        How many models before it have its colour, by which hatch, marker and dash are chosen.
    sampling : Sampling or None
        Of the test set; None where there are no predictions.
    """

    run: Run
    variables: tuple[str, ...]
    units: Mapping[str, str]
    field_units: Mapping[str, str]
    quantities: Mapping[str, Quantity]
    split: str
    splits: tuple[str, ...]
    models: tuple[str, ...]
    baselines: frozenset[str]
    headline: str
    reference: str | None
    metrics: Mapping[str, str]
    chosen_on: str
    classes: tuple[str, ...]
    colours: Mapping[str, str]
    cues: Mapping[str, int]
    sampling: Sampling | None

    @property
    def variable(self) -> str:
        """The target the verdict is about."""
        return self.variables[0]

    @property
    def metric(self) -> str:
        """By which score the verdict is given."""
        return self.metrics[self.variable]

    def word(self, variable: str | None = None) -> str:
        """Return what the score of a target is called: ``RMSE``, ``CRPS`` or, of classes, ``mean IoU``."""
        metric = self.metrics[variable or self.variable]
        return f"mean {metric_words(metric).label}" if self.classes else metric.upper()

    def better(self, variable: str | None = None) -> str:
        """Return which way the score of a target is better: ``lower`` or ``higher``."""
        return metric_words(self.metrics.get(variable or self.variable, METRIC)).better

    @property
    def step(self) -> str:
        """What one sample is: ``day``, ``year``, ``sample`` where it is not known."""
        return self.sampling.step if self.sampling else "sample"

    @property
    def rival(self) -> str | None:
        """The baseline that the headline model is compared with; None where it is that baseline itself."""
        return None if self.reference == self.headline else self.reference

    def diagnostics_of(self, name: str) -> str:
        """Return where the run folder keeps a map of the headline model."""
        return f"diagnostics/{self.headline}.nc, {name}"

    def predictions_of(self, name: str) -> str:
        """Return where the run folder keeps what the headline model predicts."""
        return f"predictions/{self.headline}.nc, {name}"

    @property
    def unit(self) -> str:
        """Units of its errors."""
        return self.units[self.variable]

    @property
    def on_earth(self) -> bool:
        """Whether the data are of a real place: not all of them were made."""
        sources = self.run.provenance.get("data") or ()
        return not sources or any(source.get("how") != "synthetic" for source in sources)

    def scores(
        self,
        metric: str | None = None,
        *,
        variable: str | None = None,
        group: str | None = "all",
        split: str | None = None,
    ) -> pd.DataFrame:
        """Return rows of ``scores.csv`` of a target (the first) and a test set (the verdict's)."""
        table = self.run.scores
        rows = (table["split"] == (split or self.split)) & (table["variable"] == (variable or self.variable))
        if metric is not None:
            rows &= table["metric"] == metric
        if group is not None:
            rows &= table["group"] == group
        return table[rows]

    def score(self, model: str, metric: str, **where: Any) -> pd.Series | None:
        """Return one row of ``scores.csv``; None where there is none or its value is missing."""
        rows = self.scores(metric, **where)
        rows = rows[(rows["model"] == model) & rows["value"].notna()]
        return rows.iloc[0] if len(rows) else None

    def comparisons(self, *, variable: str | None = None, reference: str | None = None) -> pd.DataFrame:
        """Return rows of ``comparisons.csv`` against ``reference`` (the best baseline) on the verdict's test set."""
        table = self.run.comparisons
        return table[
            (table["split"] == self.split)
            & (table["variable"] == (variable or self.variable))
            & (table["metric"] == self.metrics[variable or self.variable])
            & (table["group"] == "all")
            & (table["reference"] == (reference or self.reference or ""))
            & table["difference"].notna()
        ]

    @property
    def effective(self) -> float | None:
        """Number of independent samples in the test set, where the score stage counted them."""
        by_split = self.run.stage("score").get("n_effective") or self.run.provenance.get("n_effective") or {}
        value = (by_split.get(self.split) or {}).get(self.variable)
        return None if value is None else float(value)


def study(run: Run) -> Study:
    """Return the study of ``run``.

    Raises
    ------
    RunFolderError
        If neither a test set nor validation has an RMSE of any model; of a segmentation a mean IoU.
    """
    classes = run.classes
    first = HEADLINE if classes else METRIC
    overall = run.scores[(run.scores["metric"] == first) & (run.scores["group"] == "all") & run.scores["value"].notna()]
    tests = [name for name in dict.fromkeys(overall["split"]) if name != VALIDATION]
    named = list((run.experiment.get("split") or {}).get("test") or ())
    tests.sort(key=lambda name: named.index(name) if name in named else len(named))
    if not tests and VALIDATION in set(overall["split"]):
        tests = [VALIDATION]  # no test set has truth: they are predicted, and what is known is told of validation
    if not tests:
        raise RunFolderError(
            f"expected scores.csv in {run.path} to hold the {first} of a test set (group 'all'), got the splits "
            f"{', '.join(sorted(set(run.scores['split']))) or 'none'}."
        )
    test = overall[overall["split"] == tests[0]]
    variables = tuple(dict.fromkeys(test["variable"]))
    models = tuple(dict.fromkeys(test["model"]))
    baselines = _baselines(run, models)
    units = {variable: _units(test, variable) for variable in variables}
    names = _standard_names(run)
    metrics = dict.fromkeys(variables, first)
    if not classes:
        for variable in variables:
            there = _scored(run, tests[0], variable)
            metrics[variable] = headline_metric(units[variable], there, names.get(variable, ""))
    own = run.scores[(run.scores["metric"] == metrics[variables[0]]) & (run.scores["group"] == "all")]
    chosen_on, ranking = _ranking(own[own["value"].notna()], tests[0], variables[0], models)
    compared = run.comparisons.loc[run.comparisons["variable"] == variables[0], "reference"]
    headline, reference = _choose(ranking, baselines, set(compared))
    return Study(
        run=run,
        variables=variables,
        units=units,
        field_units=_field_units(run, headline, units),
        quantities={variable: quantity(units[variable], names.get(variable, "")) for variable in variables},
        split=tests[0],
        splits=tuple(tests),
        models=models,
        baselines=baselines,
        headline=headline,
        reference=reference,
        metrics=metrics,
        chosen_on=chosen_on,
        classes=classes,
        colours=palette.model_colours(models, baselines),
        cues=palette.model_cues(models, baselines),
        sampling=_sampling(run, headline, tests[0]),
    )


def _scored(run: Run, split: str, variable: str) -> frozenset[str]:
    """Return the scores that every model has on validation, if there is one, and on a test set."""
    rows = run.scores[
        (run.scores["variable"] == variable) & (run.scores["group"] == "all") & run.scores["value"].notna()
    ]
    rows = rows[rows["split"].isin([split, VALIDATION])]
    counts = rows.groupby("metric")["model"].agg(len)
    return frozenset(counts[counts == counts.max()].index)


def _baselines(run: Run, models: tuple[str, ...]) -> frozenset[str]:
    """Say which models are baselines: the run says so, else what was compared against and the trivial kinds."""
    said = run.provenance.get("baselines")
    if said is None:
        entries = run.experiment.get("models") or {}
        said = {name for name, entry in entries.items() if entry.get("kind") in _TRIVIAL}
        said |= set(run.comparisons["reference"])
    return frozenset(said) & frozenset(models)


def _ranking(overall: pd.DataFrame, test: str, variable: str, models: tuple[str, ...]) -> tuple[str, list[str]]:
    rows = overall[overall["variable"] == variable]
    validation = rows[(rows["split"] == VALIDATION) & rows["model"].isin(models)]
    chosen_on = VALIDATION if len(validation) else test
    rows = validation if len(validation) else rows[rows["split"] == test]
    return chosen_on, list(best_first(rows)["model"])


def best_first(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of ``scores.csv`` of one score, the best value first; those as good stay in their order."""
    lower = not len(rows) or metric_words(str(rows["metric"].iloc[0])).better != "higher"
    return rows.sort_values("value", kind="stable", ascending=lower)


def _choose(ranking: list[str], baselines: Collection[str], compared: Collection[str]) -> tuple[str, str | None]:
    """Return headline and reference; among baselines, those that the run compared with come first."""
    candidates = [model for model in ranking if model not in baselines]
    if not candidates:
        return ranking[0], ranking[0] if len(ranking) > 1 else None
    references = sorted((model for model in ranking if model in baselines), key=lambda model: model not in compared)
    return candidates[0], references[0] if references else None


def _units(rows: pd.DataFrame, variable: str) -> str:
    return str(rows.loc[rows["variable"] == variable, "units"].iloc[0])


def _standard_names(run: Run) -> dict[str, str]:
    """Return the CF name of every target that has one."""
    return {str(one["name"]): str(one.get("standard_name") or "") for one in run.stage("prepare").get("targets") or ()}


def _field_units(run: Run, model: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return the units that the predictions say, else those of the errors."""
    data = run.predictions(model)
    if data is None:
        return dict(known)
    with data:
        return {
            name: str(data[name].attrs.get("units", unit)) if name in data else unit for name, unit in known.items()
        }


def _sampling(run: Run, model: str, split: str) -> Sampling | None:
    # Of several leads, when the forecasts were made.
    data = run.forecasts(model) if run.leads else run.predictions(model)
    if data is None:
        return None
    with data:
        chosen = np.flatnonzero(data["split"].values.astype(str) == split)
        time = data["time"].values[chosen]
        images = len(set(data["image"].values[chosen].astype(str))) if "image" in data else 0
    if time.dtype.kind in "iu":  # numbers of tiles
        span = (run.stage("prepare").get("splits") or {}).get(split, {}).get("span") or ()
        return Sampling.of_tiles(len(time), span, images) if len(time) else None
    return Sampling.of(np.sort(time)) if len(time) else None
