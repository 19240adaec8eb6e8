"""What methods have in common that fit the same kind of model anew, on another loss."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

from pipeline.model import Context, Model, read_config, write_config
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.samples import Samples
from pipeline.training.losses import LossSpec
from pipeline.uncertainty import MemberSource, UncertaintyMethod
from pipeline.uncertainty._own import the_model

MODEL = "model"


class Refit(UncertaintyMethod):
    """A method that is the same model with another head: fitted once more, with all of its options but the loss."""

    needs: ClassVar[frozenset[str]] = frozenset({"trainable"})
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._model: Model

    @property
    @abstractmethod
    def loss(self) -> LossSpec:
        """What it is fitted on."""

    def why_not(self, model: ModelConfig) -> str | None:
        """Say that a model has no such loss, or has it already."""
        if "loss" not in type(model).model_fields:
            return "expected a model whose loss can be chosen, got one without the option loss. Take deep_ensemble."
        try:
            type(model).model_validate({**model.model_dump(exclude_unset=True), "loss": self.loss})
        except ValueError as error:
            return f"its options do not go with loss: {self.loss!r} ({_first_line(error)}). Take deep_ensemble."
        return None

    def fit(self, members: MemberSource, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit the model on the other loss; it costs a training."""
        unfitted = the_model(members, context).trainable(context).with_loss(self.loss)
        self._model = unfitted.fit(train, validation, context)
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return what the model says."""
        return self._model.predict(inputs, context)

    def save(self, folder: Path) -> None:
        """Write options, and the model into ``model/``."""
        write_config(self.config, folder)
        (folder / MODEL).mkdir()
        self._model.save(folder / MODEL)

    def load(self, folder: Path, members: MemberSource, context: Context) -> Self:
        """Return the method as it was saved."""
        self.config = read_config(type(self.config), folder)
        self._model = type(the_model(members, context)).load(folder / MODEL, context)
        return self

    def summary(self) -> dict[str, Any]:
        """Return what the model says of its training."""
        return self._model.summary()


def _first_line(error: ValueError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-2] if len(lines) > 2 else lines[0]
