"""Verdict: the first screen."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report import (
    answers,
    cautions,
    class_words,
    error_bars,
    event_words,
    numbers,
    sentences,
    targets,
    verdict_picture,
)
from pipeline.report.figures import Picture, bars, trust
from pipeline.report.sections import Figure, class_trust, curves
from pipeline.report.study import VALIDATION, Study, best_first

_HIGH = 292


@dataclass(frozen=True)
class Verdict:
    """What the first screen says and shows."""

    question: str
    answer: answers.Answer
    further: tuple[str, ...]
    trust: str
    chosen: str
    warnings: tuple[str, ...]
    pictures: tuple[Picture, ...]
    model: str
    """Whose pictures stand beside the bars; empty where there are none."""

    @property
    def figure(self) -> Figure:
        """Its pictures as a figure, for the numbers behind them."""
        return Figure("verdict", self.pictures, "")


def build(study: Study) -> Verdict:
    """Return the verdict."""
    diagnostics, whose = study.run.diagnostics(study.headline), targets.of(study, study.variable)
    pictures = [skill_bars(study)]
    beside = verdict_picture.telling(study, _HIGH)
    pictures += [beside] if beside is not None else []
    if study.classes:
        pictures += class_trust.verdict_pictures(study, _HIGH)
    elif diagnostics is not None:
        curve = curves.calibration(diagnostics, study.variable, study.headline, study.colours[study.headline])
        if curve is not None:
            pictures.append(
                trust.calibration_curve([curve], curves.finding(curve), f"Do the error bars{whose} hold?", height=_HIGH)
            )
    return Verdict(
        question=sentences.question(study),
        answer=answers.answer(study),
        further=(*([event] if (event := event_words.definition(study)) else []), *targets.further(study)),
        trust=class_words.trust(study) if study.classes else error_bars.trust(study, brief=True),
        # Where there is no validation, a warning says so.
        chosen=sentences.chosen(study) if study.reference and study.chosen_on == VALIDATION else "",
        warnings=cautions.warnings(study),
        pictures=tuple(pictures),
        model=numbers.label(study.headline) if len(pictures) > 1 else "",
    )


def skill_bars(study: Study) -> Picture:
    """Return the main score of all models as bars, the best baseline marked."""
    table = best_first(study.scores(study.metric).dropna(subset=["value"])).drop_duplicates("model")
    rows = [
        bars.Row(
            r.model,
            r.value,
            r.low,
            r.high,
            study.colours[r.model],
            "best baseline" if r.model == study.reference else "",
            cue=study.cues[r.model],
        )
        for r in table.itertuples()
    ]
    kept = bars.shortened(rows, tuple(model for model in (study.headline, study.reference) if model), 8)
    best, hidden = rows[0], len(rows) - len(kept)
    value = numbers.with_units(numbers.number(best.value), study.unit)
    most = "lowest" if study.better() == "lower" else "highest"
    finding = f"{numbers.label(best.name)} has the {most} {study.word()}, {value}"
    against = (
        f"; the best baseline, {numbers.label(study.reference)}, is marked by the dashed line"
        if study.reference
        else ""
    )
    what = f"{study.word()}{f' of {study.variable}' if len(study.variables) > 1 else ''}"
    what += ", all leads" if study.run.leads else ""
    title = what if not hidden else f"{what}, {len(kept)} of {len(rows)} models"
    return bars.skill_bars(
        kept,
        sentences.score_axis(study.metric, study.unit),
        f"{finding}{against}.",
        title,
        width=344,
        height=_HIGH,
        column=study.better() == "higher",
    )
