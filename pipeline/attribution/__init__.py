"""Explanations: what drives the predictions, with the check that tells whether to believe it.

A method is one file in this package and one registration of a class with ``Config``, ``needs`` and
``explain``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pipeline.model import Context, Model
from pipeline.model_config import ModelConfig
from pipeline.registry import Registry
from pipeline.samples import Samples


@dataclass(frozen=True, eq=False)
class Attribution:
    """What one method says of one model; host arrays.

    Parameters
    ----------
    method : str
        Name in ``ATTRIBUTIONS``.
    maps : ndarray or None, shape (channel, lat, lon)
        Signed mean attribution of each input cell over the explained days [units of the target].
    importance : ndarray, shape (channel,)
        How much each channel matters; what it measures says ``measure``.
    low, high : ndarray or None, shape (channel,)
        95 % interval of ``importance`` over days or repeats.
    measure : str
        In words with units, such as ``"increase of the RMSE when permuted [degC]"``.
    checks : mapping of str to float
        Numbers that tell whether to believe it, such as ``completeness_gap``.
    trusted : bool
        Whether the checks passed; a method without a check says so in ``note``.
    note : str
        Baseline, target and number of days, in one sentence for the caption.
    """

    method: str
    maps: np.ndarray | None
    importance: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    measure: str
    checks: Mapping[str, float]
    trusted: bool
    note: str


@dataclass(frozen=True, eq=False)
class Question:
    """What is explained: the area-weighted mean of one target over some cells.

    Parameters
    ----------
    weights : ndarray, shape (target, lat, lon)
        Zero outside the region and the mask, sum 1: the explained number is sum(weights * mean).
    scale : ndarray, shape (target, lat, lon)
        Turns a difference in the space of the samples into one in units.
    units : str
        Units of the explained number.
    label : str
        What it is, in words: ``"mean tas over 330 cells"``.
    """

    weights: np.ndarray
    scale: np.ndarray
    units: str
    label: str


class AttributionMethod(ABC):
    """A method of explanation.

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

    @abstractmethod
    def explain(self, model: Model, samples: Samples, question: Question, context: Context) -> Attribution:
        """Explain ``question`` for ``model`` on ``samples`` (with target, where the split has truth)."""


ATTRIBUTIONS: Registry[type[AttributionMethod]] = Registry("attribution method", "pipeline.attribution")
