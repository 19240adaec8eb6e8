"""Which methods are tried, with which options, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.known.score import Against
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import bare
from pipeline.errors import FinescaleError
from pipeline.schema import validate

if TYPE_CHECKING:
    from torch import Tensor, nn

_ROWS = 256  # in one pass
_BARE = frozenset({"differentiable"})  # what a network without a model around it can


@dataclass(frozen=True)
class Variant:
    """A method with options.

    Parameters
    ----------
    method : str
        Name in ``ATTRIBUTIONS``.
    options : mapping
        Of its ``Config``.
    baseline : {"zero", "draws"}
        What departures are from: zero, which the truth is a departure from, or the mean over drawn inputs.
    against : tuple of str
        What it is held against; empty: the truth, or its magnitude for methods that tell strength only.
    turned : bool
        Whether attributions of a negative answer change their sign first.
    most : int or None
        Most samples, of methods that take long.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    baseline: Literal["zero", "draws"] = "zero"
    against: tuple[Against, ...] = ()
    turned: bool = False
    most: int | None = None

    @property
    def name(self) -> str:
        """As tables have it.

        Examples
        --------
        >>> Variant("lrp", {"rule": "z"}).name
        'lrp (rule: z)'
        """
        return f"{self.method} ({self.detail})" if self.detail else self.method

    @property
    def detail(self) -> str:
        """Options and baseline in words; empty: all by default."""
        words = [f"{key}: {value}" for key, value in self.options.items()]
        words += [f"from {self.baseline}"] if self.baseline != "zero" else []
        return ", ".join(words)


@dataclass(frozen=True, eq=False)
class Asked:
    """Samples that one network is asked to explain.

    Parameters
    ----------
    network : Module
        From (row, channel, lat, lon) to (row,).
    inputs : Tensor of float32, shape (sample, channel, lat, lon)
        What is explained.
    draws : Tensor of float32, shape (draw, channel, lat, lon)
        Other inputs, for baselines that are drawn.
    truth : ndarray of float64, shape (sample, cell)
        What each cell adds.
    """

    network: nn.Module
    inputs: Tensor
    draws: Tensor
    truth: np.ndarray

    def baseline(self, kind: str) -> Baseline:
        """Return the baseline of a variant."""
        import torch

        if kind == "draws":
            return Baseline("train_draws", f"{len(self.draws)} drawn inputs", self.draws[:, None])
        return Baseline("zero", "zero", torch.zeros_like(self.inputs[:1])[None])


@dataclass(frozen=True, eq=False)
class Answer:
    """What a variant says.

    Parameters
    ----------
    variant : Variant
        Who says it.
    kind : str
        Of the method: departure, sensitivity or strength.
    values : ndarray of float64, shape (sample, cell)
        Attributions, the sign turned where the variant asks for it.
    samples : ndarray of int64, shape (sample,)
        Which samples these are.
    seconds : float
        For all of them.
    gap : float
        The most that attributions of a sample miss its departure from the baseline by, in standard deviations of the
        departures; NaN for methods that do not promise to add up.
    """

    variant: Variant
    kind: str
    values: np.ndarray
    samples: np.ndarray
    seconds: float
    gap: float

    @property
    def against(self) -> tuple[Against, ...]:
        """What it is held against."""
        return self.variant.against or (("its magnitude",) if self.kind == "strength" else ("truth",))


@dataclass(frozen=True)
class Skipped:
    """A method that was not tried, and why."""

    method: str
    reason: str


def variants(table: Sequence[Variant], only: Sequence[str] = ()) -> Iterator[Variant | Skipped]:
    """Yield what is to be tried, with the options of the table where it has some, and what is not, and why.

    Parameters
    ----------
    table : sequence of Variant
        Options; a method may stand there several times. Those that the registry lacks are told as well.
    only : sequence of str
        Methods; empty: all of the registry.

    Raises
    ------
    UnknownNameError
        If there is no method of ``only``.

    Examples
    --------
    >>> found = {each.method: each for each in variants([Variant("occlusion", {"patch": 1})])}
    >>> found["occlusion"].name, found["permutation"].reason
    ('occlusion (patch: 1)', 'it tells of channels, not of cells')
    """
    for name in only or ATTRIBUTIONS:
        method = ATTRIBUTIONS.get(name)
        if not issubclass(method, MapMethod):
            yield Skipped(name, "it tells of channels, not of cells")
        elif lacking := sorted(method.needs - _BARE):
            yield Skipped(name, f"it needs a model that is {' and '.join(lacking)}, and this is a network")
        else:
            yield from [each for each in table if each.method == name] or [Variant(name)]
    if only:
        return
    missing = sorted({each.method for each in table} - set(ATTRIBUTIONS.names()))
    yield from (Skipped(name, "there is no such method") for name in missing)


def ask(variant: Variant, parts: Sequence[Asked], seed: int) -> Answer | Skipped:
    """Return what a variant says of all samples, or why it cannot.

    Parameters
    ----------
    variant : Variant
        Who is asked.
    parts : sequence of Asked
        Samples by network; numbered one part after the other. Where a variant takes fewer than there are, the first of
        each part in the share that the part has of all.
    seed : int
        For methods that draw.
    """
    import torch

    try:
        method: Any = ATTRIBUTIONS.get(variant.method)
        method = method(validate(method.Config, dict(variant.options), where=f"bench: {variant.method}"))
    except FinescaleError as error:
        return Skipped(variant.name, _first_line(error))
    whole = sum(len(part.inputs) for part in parts)
    share = min(1.0, (variant.most or whole) / whole)
    values, numbers, gaps, changes, first, seconds = [], [], [], [], 0, 0.0
    for part in parts:
        count = round(share * len(part.inputs))
        if count:
            inputs, which = part.inputs[:count], torch.arange(count, device=part.inputs.device)
            subject, baseline = bare(part.network, _ROWS, seed), part.baseline(variant.baseline)
            begun = time.perf_counter()
            try:
                found = method.attribute(subject, inputs, which, baseline).detach().double()
            except FinescaleError as error:
                return Skipped(variant.name, _first_line(error))
            cells = found.reshape(count, -1).cpu().numpy()
            seconds += time.perf_counter() - begun
            answers = subject.numbers(inputs, which)
            start = [subject.numbers(baseline.at(draw, which), which) for draw in range(baseline.count)]
            change = (answers - torch.stack(start).mean(0)).cpu().numpy()
            gaps.append(np.abs(cells.sum(axis=1) - change))
            changes.append(change)
            turn = np.where(answers.cpu().numpy() < 0, -1.0, 1.0) if variant.turned else np.ones(count)
            values.append(cells * turn[:, None])
            numbers.append(first + np.arange(count))
        first += len(part.inputs)
    deviation = float(np.concatenate(changes).std())
    gap = float(np.concatenate(gaps).max()) / deviation if method.complete and deviation > 0 else float("nan")
    return Answer(variant, str(method.kind), np.concatenate(values), np.concatenate(numbers), seconds, gap)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]
