"""A method whose answers are calibrated on samples that it has not been fitted on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from pipeline.errors import CalibrationError
from pipeline.model import Context, Model
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.prediction.joined import joined
from pipeline.prepare.dates import iso
from pipeline.samples import Samples
from pipeline.uncertainty import MemberSource, UncertaintyMethod
from pipeline.uncertainty.calibration import Calibration, Evidence
from pipeline.uncertainty.parts import WHOLE, Part, join, lesson

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ground:
    """What a calibration is fitted on.

    Parameters
    ----------
    folds : int or None
        How often years of the train and validation splits are left out of fits in turn; None: the validation split,
        which the fits have used for choices alone.
    gap : str
        Least time between two splits.
    """

    folds: int | None = None
    gap: str = "0D"

    @property
    def parts(self) -> tuple[Part, ...]:
        """One part a fold; none of the validation split."""
        return tuple(Part(fold=number, folds=self.folds) for number in range(1, self.folds + 1)) if self.folds else ()


class Calibrated(UncertaintyMethod):
    """A method and the calibration of its answers.

    Parameters
    ----------
    method : UncertaintyMethod
        Not fitted.
    calibration : Calibration
        Not fitted.
    ground : Ground
        What it is fitted on. With folds the method is fitted once more for each, and never sees the years that it is
        asked about; the answers for all folds together are the evidence.
    """

    def __init__(self, method: UncertaintyMethod, calibration: Calibration, ground: Ground) -> None:
        super().__init__(method.config)
        self.method, self.calibration, self.ground = method, calibration, ground
        # Of this pair, not of the class.
        self.needs, self.refuses = method.needs, method.refuses  # type: ignore[misc]
        self._origin = ""

    def wants(self) -> dict[Part, int]:
        """Return the members of the method, and as many for every fold."""
        wanted = dict(self.method.wants())
        for fold in self.ground.parts:
            wanted |= {part.without(fold): count for part, count in self.method.wants().items()}
        return wanted

    def why_not(self, model: ModelConfig) -> str | None:
        """Say why the method cannot serve a model with these options."""
        return self.method.why_not(model)

    def fit(self, members: MemberSource, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit the method, then the calibration on what the method says of samples it has not seen."""
        self.method.fit(members, train, validation, context)
        return self.calibrate(members, train, validation, context)

    def calibrate(self, members: MemberSource, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit the calibration of a fitted method.

        Raises
        ------
        CalibrationError
            If there is too little evidence, or the distribution cannot be calibrated so.
        """
        if not self.ground.folds:
            said = self.method.predict(validation, context)
            evidence = Evidence(said, validation, f"the validation split, {_span(validation)}")
        else:
            evidence = self._left_out(members, train, validation, context)
        self._origin = evidence.origin
        self.calibration.fit(evidence, context)
        return self

    def _left_out(self, members: MemberSource, train: Samples, validation: Samples, context: Context) -> Evidence:
        """Return what fits without a fold say of that fold, for all folds in the order of time."""
        said, held = [], []
        for part in self.ground.parts:
            found = lesson(part, train, validation, seed=context.seed, gap=self.ground.gap)
            assert found.held_out is not None  # there is a fold
            within = context.within(part.name)
            method = type(self.method)(self.method.config)
            method.fit(partial(_of_fold, members, part), found.train, found.validation, within)
            said.append(method.predict(found.held_out, within))
            held.append(found.held_out)
        samples = held[0]
        for more in held[1:]:
            samples = join(samples, more)
        origin = (
            f"{self.ground.folds} folds of the train and validation splits, {_span(samples)}, each predicted by fits "
            "that had not seen it"
        )
        _check_alike(said)
        return Evidence(joined(said), samples, origin)

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the calibrated answer of the method."""
        return self.calibration.apply(self.method.predict(inputs, context), inputs, context)

    def save(self, folder: Path) -> None:
        """Write the method into ``method/``, the calibration beside it."""
        (folder / METHOD).mkdir()
        self.method.save(folder / METHOD)
        self.calibration.save(folder)

    def load(self, folder: Path, members: MemberSource, context: Context) -> Self:
        """Return both as they were saved."""
        self.method.load(folder / METHOD, members, context)
        self.calibration.load(folder, context.backend)
        return self

    def summary(self) -> dict[str, Any]:
        """Return what the method says of itself, and what was calibrated how and on what."""
        return {
            **self.method.summary(),
            "calibrated_on": self._origin,
            "calibration": self.calibration.summary(),
        }


METHOD = "method"


def _of_fold(members: MemberSource, fold: Part, count: int, part: Part = WHOLE) -> list[Model]:
    return members(count, part.without(fold))


def _check_alike(parts: Sequence[Prediction]) -> None:
    families = sorted({part.family for part in parts})
    counts = sorted({part.member_count for part in parts})
    if len(families) > 1 or len(counts) > 1:
        raise CalibrationError(
            f"expected the same kind of prediction of every fold, got the families {', '.join(families)} with "
            f"{', '.join(map(str, counts))} members: fits of some folds failed, the log says why."
        )


def _span(samples: Samples) -> str:
    if samples.time.dtype.kind in "iu":
        return f"{len(samples)} tiles"
    return f"{iso(samples.time[0])[:10]} to {iso(samples.time[-1])[:10]}"
