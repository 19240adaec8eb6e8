"""Uncertainty methods: how several fits, or one, become a predictive distribution.

A method is one file in this package and one registration. It is fitted like a model, but gets the
base model through a :class:`MemberSource`, which fits (or finds fitted) one member at a time and
spreads members over workers. Most methods that make weights uncertain only say how one network is drawn,
see :mod:`pipeline.uncertainty._weights`. What a method answers may be calibrated:
:mod:`pipeline.uncertainty.calibration`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from pipeline.model import Context, Model
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.registry import Registry
from pipeline.samples import Samples
from pipeline.uncertainty.parts import WHOLE, Part


class MemberSource(Protocol):
    """Fitted members of one model of the experiment."""

    def __call__(self, count: int, part: Part = WHOLE) -> list[Model]:
        """Return members 0 to ``count - 1`` fitted on ``part``, less those that failed; each differs by its seed.

        Member 0 of all samples is the experiment's own model, so that an ensemble of five costs four fits.
        """


class UncertaintyMethod(ABC):
    """A method: fitted on members of a model, answers a prediction.

    Class attributes
    ----------------
    Config : type of ModelConfig
        Options with their defaults.
    needs : frozenset of str
        Traits that the model must have.
    refuses : frozenset of str
        Traits of models that it cannot serve.
    tasks : frozenset of str
        For which tasks of an experiment it is.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    needs: ClassVar[frozenset[str]] = frozenset()
    refuses: ClassVar[frozenset[str]] = frozenset()
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series", "segmentation"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    def wants(self) -> Mapping[Part, int]:
        """Return how many members of which parts :meth:`fit` will ask for, so that they can be fitted side by side."""
        return {WHOLE: 1}

    def why_not(self, model: ModelConfig) -> str | None:
        """Say why a model with these options cannot be served, and what to do; None where it can.

        Asked before any work, where the traits of the model's kind fit.
        """
        return None

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

__all__ = ["UNCERTAINTY", "WHOLE", "MemberSource", "Part", "UncertaintyMethod"]
