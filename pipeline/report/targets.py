"""With several targets: every further one in a sentence of its own, by its own score."""

from __future__ import annotations

from pipeline.report.differences import difference
from pipeline.report.numbers import decimals_for, interval, label, number, percent, with_units
from pipeline.report.sentences import score_in_words
from pipeline.report.study import Study, best_first


def further(study: Study) -> tuple[str, ...]:
    """Return a sentence for every target but the first: its best model against its best baseline."""
    return tuple(_sentence(study, variable) for variable in study.variables[1:])


def of(study: Study, variable: str) -> str:
    """Return ``" for pr"`` where there are several targets, else nothing.

    It goes behind what is said of a model, so that nobody takes it for all targets.
    """
    return f" for {variable}" if len(study.variables) > 1 else ""


def reference(study: Study, variable: str) -> str | None:
    """Return the best baseline of a target, by its own score; that of the verdict for the first."""
    if variable == study.variable:
        return study.reference
    return next((model for model in _ranked(study, variable) if model in study.baselines), study.reference)


def _ranked(study: Study, variable: str) -> list[str]:
    """Return the models by the score of a target where models were chosen, the best first."""
    rows = study.scores(study.metrics[variable], variable=variable, split=study.chosen_on).dropna(subset=["value"])
    return [model for model in best_first(rows)["model"] if model in study.models]


def _sentence(study: Study, variable: str) -> str:
    """Say how the best model does against the best baseline, both chosen as those of the verdict are."""
    ranked = _ranked(study, variable)
    models = [model for model in ranked if model not in study.baselines]
    baselines = [model for model in ranked if model in study.baselines]
    if not models or not baselines:
        best, kind = (models[0], "model") if models else (baselines[0], "baseline")
        alone = "; there is no baseline to compare it with" if models else ""
        return f"For {variable}, the best {kind}, {label(best)}, has {score_in_words(study, best, variable)}{alone}."
    return _against(study, variable, models[0], baselines[0])


def _against(study: Study, variable: str, model: str, baseline: str) -> str:
    gap, word, unit = difference(study, model, baseline, variable), study.word(variable), study.units[variable]
    who, whom = f"For {variable}, the best model, {label(model)},", f"the best baseline, {label(baseline)}"
    if gap is None or not gap.known:
        return (
            f"{who} has {score_in_words(study, model, variable)}, and {whom}, "
            f"{score_in_words(study, baseline, variable)}; no interval of the difference is known."
        )
    decimals = decimals_for([gap.low, gap.high])
    if gap.low <= 0 <= gap.high:
        amount = with_units(number(gap.value, decimals, sign=True), unit)
        bounds = interval(gap.low, gap.high, decimals)
        return f"{who} cannot be told from {whom}: its {word} differs by {amount} (95\u00a0% interval {bounds})."
    low, high = sorted((abs(gap.low), abs(gap.high)))
    amount = with_units(number(abs(gap.value), decimals), unit)
    verb, than = ("beats", "") if gap.ahead else ("is worse", "than ")
    share = f", {percent(abs(gap.relative))}" if gap.relative == gap.relative else ""
    return f"{who} {verb} {than}{whom}, by {amount} {word} (95\u00a0% interval {interval(low, high, decimals)}){share}."
