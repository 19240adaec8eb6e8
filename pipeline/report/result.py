"""What a run came to, small enough for a list of runs, the last lines of a command, or a page of another tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.report import cautions, class_words, error_bars, numbers, sentences, verdict_picture
from pipeline.report.answers import answer
from pipeline.report.figures import Picture
from pipeline.report.metric_words import metric_words
from pipeline.report.study import Study, best_first

MOST_WARNINGS = 20
THUMBNAIL = 220  # pixels of its height; beside it stands a table


@dataclass(frozen=True)
class ModelScore:
    """A model's main score on the test set that the verdict is about, with its 95 % interval where one is known."""

    model: str
    value: float
    low: float | None
    high: float | None
    n: int
    baseline: bool


@dataclass(frozen=True)
class Result:
    """The verdict of a run and the main score of all its models, the best first.

    Parameters
    ----------
    question, verdict, trust : str
        What was asked, the answer in one sentence, and whether the error bars can be trusted.
    tone : {"win", "tie", "lose", "alone"}
        Which way it went.
    score, units, better : str
        What the models are compared by: its name, its units, and which way it is better.
    variable, split : str
        Of which target, and on which test set.
    model, baseline : str
        The model that stands for the answer, and the baseline it is compared with; empty where there is none.
    models : tuple of ModelScore
        All of them.
    warnings : tuple of str
        What to know before relying on it.
    """

    question: str
    verdict: str
    trust: str
    tone: str
    score: str
    units: str
    better: str
    variable: str
    split: str
    model: str
    baseline: str
    models: tuple[ModelScore, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, study: Study) -> Result:
        """Return the result of a study."""
        table = best_first(study.scores(study.metric).dropna(subset=["value"])).drop_duplicates("model")
        found = answer(study)
        return cls(
            question=sentences.question(study),
            verdict=found.text,
            trust=class_words.trust(study) if study.classes else error_bars.trust(study, brief=True),
            tone=found.tone,
            score=study.word(),
            units=numbers.units(study.unit),
            better=metric_words(study.metric).better,
            variable=study.variable,
            split=study.split,
            model=study.headline,
            baseline=study.rival or "",
            models=tuple(
                ModelScore(
                    str(row.model), float(row.value), _known(row.low), _known(row.high), int(row.n),
                    row.model in study.baselines,
                )
                for row in table.itertuples()
            ),
            warnings=cautions.warnings(study)[:MOST_WARNINGS],
        )  # fmt: skip

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Result:
        """Return what :meth:`plain` gave.

        Raises
        ------
        TypeError, KeyError
            If another version wrote it.
        """
        models = tuple(ModelScore(**one) for one in plain["models"])
        return cls(**{**plain, "models": models, "warnings": tuple(plain["warnings"])})

    @property
    def plain(self) -> dict[str, Any]:
        """The result as JSON takes it."""
        return asdict(self)

    def table(self) -> tuple[tuple[str, ...], Sequence[tuple[str, str, str, str]]]:
        """Return the head and the rows of a table in text: model, score, 95 % interval, what it is to the verdict."""
        unit = f" [{self.units}]" if self.units else ""
        places = numbers.decimals_for([one.value for one in self.models])
        rows = []
        for one in self.models:
            interval = numbers.MISSING
            if one.low is not None and one.high is not None:
                interval = numbers.interval(one.low, one.high, places)
            role = "best baseline" if one.model == self.baseline else "baseline" if one.baseline else ""
            rows.append((one.model, numbers.number(one.value, places), interval, role))
        return ("model", f"{self.score}{unit}", "95\u00a0% interval", ""), rows


def thumbnail(study: Study) -> Picture | None:
    """Return the picture that tells most beside the verdict, small; None where there is nothing to show."""
    return verdict_picture.telling(study, THUMBNAIL)


def _known(value: float) -> float | None:
    return float(value) if value == value else None
