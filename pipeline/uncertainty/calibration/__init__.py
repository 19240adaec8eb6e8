"""Calibrations: what makes a distribution hold as often as it says, learned from samples that no fit has seen.

A calibration is one file in this package and one registration. It is fitted on an :class:`Evidence`, what was
predicted and what came true, and then turns any prediction of the same model into a better one::

    @CALIBRATIONS.register("variance_scaling")
    class VarianceScaling(Calibration):
        def why_not(self, prediction, schema): ...
        def learn(self, evidence, context): ...
        def apply(self, prediction, inputs, context): ...

Evidence comes from the validation split or, with ``folds``, from years that were left out of fits in turn.
All is worked out in the numbers of the samples, not in units. Wherever cells are taken together they count by
their area, as in the scores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from pipeline.backend import Backend
from pipeline.backend.special import to_host
from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.registry import Registry
from pipeline.samples import Samples, Schema

Array = Any


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a calibration learns from.

    Parameters
    ----------
    prediction : Prediction
        What was said of samples that the fit had not seen, shape (time, target, lat, lon).
    samples : Samples
        Those samples with their truth, ascending in time.
    origin : str
        Where they come from, in words for the report: ``validation, 1995-12-01 to 1997-02-28``.
    """

    prediction: Prediction
    samples: Samples
    origin: str


class Calibration(ABC):
    """A calibration: fitted on evidence, applied to predictions of the same model.

    Class attributes
    ----------------
    Config : type of ModelConfig
        Options with their defaults.
    of_classes : bool
        Whether it is for probabilities of classes; the others are for numbers.

    Attributes
    ----------
    arrays : dict of str to ndarray
        What was learned, on the host; kept with safetensors. ``evidence`` holds how many samples and values it
        was learned from.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    of_classes: ClassVar[bool] = False

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config: Any = config if config is not None else self.Config()
        self.arrays: dict[str, np.ndarray] = {}

    @abstractmethod
    def why_not(self, prediction: Prediction, schema: Schema) -> str | None:
        """Say why such a prediction cannot be calibrated so, and what to take instead; None where it can."""

    @abstractmethod
    def learn(self, evidence: Evidence, context: Context) -> dict[str, np.ndarray]:
        """Return what is learned from evidence that :meth:`why_not` has nothing against.

        Raises
        ------
        CalibrationError
            If there is too little evidence.
        """

    @abstractmethod
    def apply(self, prediction: Prediction, inputs: Samples, context: Context) -> Prediction:
        """Return the calibrated prediction of ``inputs``; only an adaptive calibration looks at their target."""

    def fit(self, evidence: Evidence, context: Context) -> Self:
        """Learn from evidence.

        Raises
        ------
        CalibrationError
            If the prediction cannot be calibrated so, or there is too little evidence.
        """
        samples = evidence.samples
        why = self.why_not(evidence.prediction, samples.schema)
        if why is not None:
            raise CalibrationError(why)
        known = 0 if samples.target is None else int(np.isfinite(to_host(samples.target)).sum())
        if not known:
            raise CalibrationError(
                f"expected truth to calibrate with, got none in {evidence.origin}. Take splits that have truth."
            )
        self.arrays = {"evidence": np.array([len(samples), known]), **self.learn(evidence, context)}
        return self

    def summary(self) -> dict[str, Any]:
        """Return what was learned, for the report: JSON numbers, strings and short lists."""
        samples, values = self.arrays["evidence"].tolist()
        return {"samples": samples, "values": values}

    def save(self, folder: Path) -> None:
        """Write what was learned into ``folder``."""
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(array) for name, array in self.arrays.items()}, folder / ARRAYS)

    def load(self, folder: Path, backend: Backend) -> Self:
        """Return the calibration as it was saved."""
        from safetensors.numpy import load_file

        self.arrays = load_file(folder / ARRAYS)
        return self


ARRAYS = "calibration.safetensors"
CALIBRATIONS: Registry[type[Calibration]] = Registry("calibration", "pipeline.uncertainty.calibration")

__all__ = ["CALIBRATIONS", "Calibration", "Evidence"]
