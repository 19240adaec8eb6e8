"""What methods that look into a model need of the question."""

from __future__ import annotations

import numpy as np

from pipeline.attribution import Case
from pipeline.attribution.question import Question
from pipeline.attribution.subject import Subject
from pipeline.errors import ConfigError, TraitError


def asked_case(subject: Subject, method: str) -> Case:
    """Return the case of a subject.

    Raises
    ------
    TraitError
        If there is none: a bare network, which such methods cannot look into.
    """
    if subject.case is None:
        raise TraitError(f"explain: {method}: expected a fitted model, got a bare network. Take a method of gradients.")
    return subject.case


def refuse_quantity(method: str, got: str, wanted: str) -> None:
    """Refuse another quantity than the one that a method explains.

    Raises
    ------
    ConfigError
        If ``got`` is not ``wanted``.
    """
    if got != wanted:
        raise ConfigError(
            f"explain: {method}: expected of: {wanted}, the only number whose parts it knows in such a model, got "
            f"{got}. Take of: {wanted}, or a method that asks any model, such as occlusion."
        )


def day_weights(question: Question, days: np.ndarray) -> np.ndarray:
    """Return the weights of explained days in the space of the samples, shape (1 or day, answer, lat, lon)."""
    factors = question.factors
    return factors[days] if factors.ndim == 4 else factors[None]
