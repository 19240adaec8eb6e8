"""A model's own distribution, as it is: what a calibration alone is put on."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pipeline.errors import TrainingError
from pipeline.model import Context, Model
from pipeline.prediction import Prediction
from pipeline.samples import Samples
from pipeline.uncertainty import MemberSource, UncertaintyMethod


class Own(UncertaintyMethod):
    """What the model itself answers; ``method`` left out of an entry of ``uncertainty`` stands for it."""

    def fit(self, members: MemberSource, train: Samples, validation: Samples, context: Context) -> Self:
        """Take the model.

        Raises
        ------
        TrainingError
            If it could not be fitted.
        """
        self._model = the_model(members, context)
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the model's prediction."""
        return self._model.predict(inputs, context)

    def save(self, folder: Path) -> None:
        """Write nothing: the model is kept where it was fitted."""

    def load(self, folder: Path, members: MemberSource, context: Context) -> Self:
        """Take the model."""
        self._model = the_model(members, context)
        return self


def the_model(members: MemberSource, context: Context) -> Model:
    """Return the experiment's own model.

    Raises
    ------
    TrainingError
        If it could not be fitted.
    """
    found = members(1)
    if not found:
        raise TrainingError(f"expected the fitted model {context.name!r}, got none: it failed, the log says why.")
    return found[0]
