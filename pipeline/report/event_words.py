"""What makes an event of a segmentation whose classes are computed, and how often each class is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.report import class_words, numbers, tables
from pipeline.report.study import Study

_FACTOR = 1.5  # of the shares of a class in train and test: more is told
_NAMED = 3
Options = Mapping[str, Any]


def label_of(study: Study) -> Mapping[str, Any]:
    """Return the label that made the classes, with every option it was made with; empty where none did."""
    return study.run.stage("prepare").get("label") or (
        ((study.run.experiment.get("prepare") or {}).get("target") or {}).get("label") or {}
    )


def source(study: Study) -> str:
    """Return the name of the variable that events are computed from."""
    target = (study.run.experiment.get("data") or {}).get("target") or {}
    return numbers.listing(map(str, target.get("variables") or [target.get("name") or target.get("dataset")]))


def definition(study: Study) -> str:
    """Say what an event is, with every number of its definition; empty where classes come as they are."""
    label = label_of(study)
    if not label:
        return ""
    kind, options = str(label.get("kind")), label.get("options")
    names = numbers.listing((numbers.label(name) for name in study.classes[1:]), "or")
    words = _KINDS[kind](_with_threshold(label, options)) if options and kind in _KINDS else ""
    if not words:  # of another kind, or what was written in the experiment alone, without defaults
        written = {key: value for key, value in label.items() if key != "kind"} if options is None else options
        given = _any(written) or "with the options' defaults"
        return f"The class {names} is computed from {source(study)} by the definition {numbers.label(kind)}: {given}."
    return f"The class {names} is where {source(study)} {words}."


def shift(study: Study) -> str:
    """Say of which classes the shares differ by more than half between train and test; empty for none."""
    train = {str(one["name"]): float(one["share"]) for one in study.run.stage("prepare").get("classes") or ()}
    found = []
    for name, test in class_words.rare(study, study.variable):
        own = train.get(name, 0.0)
        if own > 0 and test > 0 and max(own / test, test / own) > _FACTOR:
            found.append((max(own / test, test / own), name, own, test))
    if not found:
        return ""
    found.sort(reverse=True)
    told = [
        f"{numbers.label(name)} covers {numbers.percent(own)} of the train split and {numbers.percent(test)} of the "
        f"test set"
        for _, name, own, test in found[:_NAMED]
    ]
    more = f", and {numbers.plural(len(found) - _NAMED, 'other class', 'other classes')} differ too" * (
        len(found) > _NAMED
    )
    return (
        f"Train and test differ in how common classes are: {'; '.join(told)}{more}. Models were fitted to "
        "the first; their probabilities and scores are judged by the second."
    )


def _with_threshold(label: Mapping[str, Any], options: Options) -> Options:
    """Return the options with the threshold that was taken where they name none, as that of a deep low."""
    if "threshold" in label and options.get("above") is None and options.get("below") is None:
        return {**options, "below": label["threshold"], "units": label.get("units")}
    return options


def _percentile(options: Options) -> str:
    side = "below" if options.get("side") == "below" else "above"
    pooled = f"pooled over {numbers.plural(int(options['window']), 'day')}" if "window" in options else ""
    smooth = int(options.get("smooth") or 1)
    smoothed = f", smoothed by a running mean over {numbers.plural(smooth, 'day')}" if smooth > 1 else ""
    return (
        f"lies {side} the {_ordinal(float(options['percentile']))} percentile of its day of the year in the train "
        f"split ({pooled}{smoothed}){_length(options)}"
    )


def _heatwave(options: Options) -> str:
    graded = "; the class is by multiples of the distance between percentile and mean" * bool(options.get("categories"))
    return _percentile({**options, "side": "above"}) + graded


def _number(options: Options) -> str:
    above = options.get("above")
    bound, side = (above, "above") if above is not None else (options.get("below"), "below")
    anomaly = options.get("of") == "anomaly"
    of = f", as an anomaly from the mean of its day of the year (over {options.get('window')} days)" if anomaly else ""
    if bound is None:
        return ""
    shown = numbers.with_units(tables.plain(float(bound)), str(options.get("units") or ""))
    return f"lies {side} {shown}{of}{_length(options)}"


def _blocking(options: Options) -> str:
    return (
        f"{_number(options)}, in areas that overlap by {numbers.percent(float(options['overlap']))} from step to step "
        f"and last {tables.plain(options['persistence'])} days or longer"
    )


def _length(options: Options) -> str:
    if "min_days" not in options:
        return ""
    gap, least = int(options.get("max_gap") or 0), int(options["min_days"])
    joined = f", events {numbers.plural(gap, 'day')} or less apart taken as one" if gap else ""
    return f", {numbers.plural(least, 'day')} or longer{joined}"


def _any(options: Options) -> str:
    return ", ".join(f"{numbers.label(str(key))} {tables.plain(value)}" for key, value in options.items())


def _ordinal(number: float) -> str:
    whole = int(number)
    ends = {1: "st", 2: "nd", 3: "rd"}
    end = "th" if number != whole or whole % 100 in (11, 12, 13) else ends.get(whole % 10, "th")
    return f"{number:g}{end}"


_KINDS: dict[str, Callable[[Options], str]] = {
    "percentile_extreme": _percentile,
    "marine_heatwave": _heatwave,
    "deep_low": _number,
    "threshold": _number,
    "blocking": _blocking,
}
