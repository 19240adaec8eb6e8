"""Uncertainty methods: how several fits, or one, become a predictive distribution.

A method is one file in this package and one registration. It is fitted like a model, but gets the
base model through a :class:`MemberSource`, which fits (or finds fitted) one member at a time and
spreads members over workers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from pipeline.model import Context, Model
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.registry import Registry
from pipeline.samples import Samples


class MemberSource(Protocol):
    """Fitted members of one model of the experiment."""

    def __call__(self, count: int) -> list[Model]:
        """Return members 0 to ``count - 1``, less those that failed; each differs by its seed.

        Member 0 is the experiment's own model, so that an ensemble of five costs four fits.
        """


class UncertaintyMethod(ABC):
    """A method: fitted on members of a model, answers a prediction.

    Class attributes
    ----------------
    Config : type of ModelConfig
        Options with their defaults.
    needs : frozenset of str
        Traits that the model must have.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    def member_count(self) -> int:
        """Return how many members :meth:`fit` will ask for, so that they can be fitted side by side."""
        return 1

    @abstractmethod
    def fit(self, members: MemberSource, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit; ``validation`` is for calibration and choices only."""

    @abstractmethod
    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the prediction for every sample, in the space of the samples."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was fitted beside the members into ``folder``; members are kept by the source."""

    @abstractmethod
    def load(self, folder: Path, members: MemberSource, context: Context) -> Self:
        """Return the method as :meth:`save` left it, with its members from ``members``."""

    def summary(self) -> dict[str, Any]:
        """Return what was chosen or learned, for the report."""
        return {}


UNCERTAINTY: Registry[type[UncertaintyMethod]] = Registry("uncertainty method", "pipeline.uncertainty")
