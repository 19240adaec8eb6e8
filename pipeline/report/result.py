"""What a run came to, small enough for a list of runs, the last lines of a command, or a page of another tool."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.report import cautions, class_words, error_bars, numbers, sentences, verdict_picture
from pipeline.report.answers import answer
from pipeline.report.figures import Picture
from pipeline.report.load import load_run
from pipeline.report.metric_words import metric_words
from pipeline.report.sections import verdict
from pipeline.report.study import Study, best_first, study

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
    def of(cls, found: Study) -> Result:
        """Return the result of a run that was studied."""
        table = best_first(found.scores(found.metric).dropna(subset=["value"])).drop_duplicates("model")
        said = answer(found)
        return cls(
            question=sentences.question(found),
            verdict=said.text,
            trust=class_words.trust(found) if found.classes else error_bars.trust(found, brief=True),
            tone=said.tone,
            score=found.word(),
            units=numbers.units(found.unit),
            better=metric_words(found.metric).better,
            variable=found.variable,
            split=found.split,
            model=found.headline,
            baseline=found.rival or "",
            models=tuple(
                ModelScore(
                    str(row.model), float(row.value), _known(row.low), _known(row.high), int(row.n),
                    row.model in found.baselines,
                )
                for row in table.itertuples()
            ),
            warnings=cautions.warnings(found)[:MOST_WARNINGS],
        )  # fmt: skip

    @classmethod
    def of_run(cls, run: Path) -> Result:
        """Return the result of the run folder ``run``, whose scores are written.

        Raises
        ------
        RunFolderError
            If the folder is no run, or has no scores.
        """
        return cls.of(study(load_run(run)))

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

    def of_model(self, model: str) -> ModelScore | None:
        """Return a model's score; None where there is none."""
        return next((one for one in self.models if one.model == model), None)

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


def thumbnail(found: Study) -> Picture:
    """Return the picture that tells most beside the verdict, small, on white; without one, the bars."""
    picture = verdict_picture.telling(found, THUMBNAIL) or verdict.skill_bars(found)
    return replace(picture, light=_on_white(picture))


def _on_white(picture: Picture) -> bytes:
    """Return the light version with a ground of its own, for pages whose colours are not ours."""
    if picture.mime == "image/svg+xml":
        text = picture.light.decode()
        end = text.index(">", text.index("<svg")) + 1
        return f'{text[:end]}<rect width="100%" height="100%" fill="#ffffff"/>{text[end:]}'.encode()
    from PIL import Image

    image = Image.open(io.BytesIO(picture.light)).convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    written = io.BytesIO()
    ground.convert("RGB").save(written, "WEBP", quality=85)
    return written.getvalue()


def _known(value: float) -> float | None:
    return float(value) if value == value else None
