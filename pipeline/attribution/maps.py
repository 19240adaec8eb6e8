"""Methods that give every input cell of every explained day a number, and what is made of these numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pipeline.attribution import Attribution, AttributionMethod, Case, Finding
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.checks import Checked, run_checks
from pipeline.attribution.subject import Subject, subject_of

if TYPE_CHECKING:
    from torch import Tensor

_RESAMPLES = 2000


class MapMethod(AttributionMethod):
    """A method whose answer is a number for every input cell of every explained day; subclasses write ``attribute``.

    Class attributes
    ----------------
    kind : {"departure", "sensitivity", "strength"}
        What the numbers are. departure: parts of the explained number's departure from the baseline, in its units;
        sensitivity: its change for one more of the standardised input; strength: how much a place matters, without
        sign or exact units.
    complete : bool
        Whether the parts of a departure add up to it by construction.
    """

    kind: ClassVar[str] = "departure"
    complete: ClassVar[bool] = False

    @abstractmethod
    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the attributions of some explained days.

        Parameters
        ----------
        subject : Subject
            The explained number; what goes through it in one pass is up to ``subject.passes``.
        inputs : Tensor, shape (row, channel, lat, lon)
            Of the days.
        which : Tensor of int64, shape (row,)
            Their numbers among the explained days.
        baseline : Baseline
            Methods that are no departures do not look at it.

        Returns
        -------
        Tensor, shape (row, channel, lat, lon)
        """

    def detail(self, subject: Subject, baseline: Baseline) -> str:
        """Return a clause on how it was done, for the caption; empty: nothing to say."""
        return ""

    def rough(self) -> MapMethod:
        """Return the method as it may be asked of networks whose map is only compared by its pattern: cheaper."""
        return self

    def findings(self, case: Case, subject: Subject, values: Tensor, departure: np.ndarray) -> tuple[Finding, ...]:
        """Return what the method itself checks, beside the checks that all methods have."""
        return ()

    def explain(self, case: Case) -> Attribution:
        """Explain the question of ``case``, day by day, and check the answer.

        ``importance`` is the mean over days of the absolute attributions added up over cells;
        ``low, high`` are its bootstrap interval over days.
        """
        import torch

        subject = subject_of(case)
        inputs = tensor_of(case.samples, case)
        which = torch.arange(len(inputs), device=inputs.device)
        with case.context.progress(f"{self.title.lower()} of {case.context.name}") as bar:
            subject.passes.advance = bar.advance
            values = self.attribute(subject, inputs, which, case.baseline)
            departure = departures(subject, inputs, which, case.baseline).cpu().numpy()
        subject.passes.advance = lambda: None
        checked = Checked(self, subject, inputs, which, case.baseline, values, case.check_days)
        findings = (*self.findings(case, subject, values, departure), *run_checks(case.checks, checked, case.context))
        host = values.detach().float().cpu().numpy()
        daily = np.abs(host).sum(axis=(2, 3), dtype=np.float64)
        low, high = bootstrap_interval(daily, case.context.seed_for("explanation days"))
        return Attribution(
            method=self.name,
            values=host,
            importance=daily.mean(axis=0),
            low=low,
            high=high,
            measure=self._measure(case),
            findings=findings,
            note=self._note(case, subject),
            numbers=departure,
        )

    @property
    def name(self) -> str:
        """Its name in the registry."""
        from pipeline.attribution import ATTRIBUTIONS

        return next(name for name in ATTRIBUTIONS if ATTRIBUTIONS.get(name) is type(self))

    def _measure(self, case: Case) -> str:
        step, units = case.samples.schema.step_word, case.question.units
        of = {
            "departure": f"absolute attribution, summed over cells [{units}]",
            "sensitivity": f"absolute change for one standard deviation more, summed over cells [{units}]",
            "strength": f"strength, summed over cells [{units}]",
        }
        return f"mean over {step}s of the {of[self.kind]}"

    def _note(self, case: Case, subject: Subject) -> str:
        samples, step = case.samples, case.samples.schema.step_word
        start = f", from the baseline {case.baseline.words}" if self.has_baseline else ""
        how = self.detail(subject, case.baseline)
        return (
            f"{self.title} of the {case.question.label} on {len(samples)} {step}s of {samples.name}{start}"
            f"{f'; {how}' if how else ''}."
        )


def tensor_of(samples: Any, case: Case) -> Tensor:
    """Return the inputs of samples as a tensor of their own, which methods may not share with others."""
    backend = case.context.backend
    found: Tensor = backend.to_torch(backend.xp.asarray(samples.inputs, copy=True))
    return found


def departures(subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
    """Return the explained number less that at the baseline, the mean over its draws; float64, shape (row,)."""
    import torch

    start = [subject.numbers(baseline.at(draw, which), which) for draw in range(baseline.count)]
    return subject.numbers(inputs, which) - torch.stack(start).mean(0)


def bootstrap_interval(daily: np.ndarray, seed: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the 95 % percentile bootstrap interval of the mean over days; None for a single day.

    Parameters
    ----------
    daily : ndarray, shape (time, ...)
        One number a day, or several.

    Examples
    --------
    >>> low, high = bootstrap_interval(np.array([[1.0], [3.0]]), seed=0)
    >>> float(low[0]), float(high[0])
    (1.0, 3.0)
    """
    days = len(daily)
    if days < 2:
        return None, None
    counts = np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), size=_RESAMPLES)
    means = (counts @ daily.reshape(days, -1) / days).reshape(_RESAMPLES, *daily.shape[1:])
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    return low, high


def over_draws(
    subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline, single: Callable[..., Tensor]
) -> Tensor:
    """Return the mean over a baseline's draws of what ``single(subject, inputs, which, start)`` says of each."""
    total = None
    for draw in range(baseline.count):
        found = single(subject, inputs, which, baseline.at(draw, which))
        total = found if total is None else total + found
    assert total is not None
    return total / baseline.count
