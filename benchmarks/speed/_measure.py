"""Timing: all ways of a benchmark turn by turn in one process, and how ours grows."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.speed._case import Case, Scale, Took, Work
from pipeline.backend import Backend, get_backend

OURS, CPU = "ours", "ours on the CPU"
GROWTH = (0.25, 1.0, 4.0)  # of the size that is asked for: 1x, 4x, 16x
LEAST, MOST = 3, 9  # rounds


@dataclass(frozen=True)
class Row:
    """What a benchmark found.

    Parameters
    ----------
    name, words, unit : str
        Of the benchmark.
    count : float
        What a rate counts, in ``unit``.
    seconds : dict of str to list of float
        Of every round, by way: "ours", the peers', and the limit's under its own name.
    limit : str or None
        Name of the limit among them.
    why_no_limit : str
        Said where there is none.
    missing : list of str
        Peers that are not installed, in words.
    difference, tolerance : float or None
        How far ours is from the others, as a share of the largest value; None where nothing is compared.
    growth : dict of str to float
        Least seconds of ours by how many times the smallest data; empty where it does not grow.
    wanted : dict of str to float
        "peer" and "limit": the ratios that are meant to be reached.
    notes : dict of str to float
        What else is known, such as the seconds of stages.
    """

    name: str
    words: str
    unit: str
    count: float
    seconds: dict[str, list[float]]
    limit: str | None
    why_no_limit: str
    missing: list[str]
    difference: float | None
    tolerance: float
    growth: dict[str, float]
    wanted: dict[str, float] = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def peers(self) -> list[str]:
        """Names of the ways of others."""
        return [name for name in self.seconds if name not in (OURS, self.limit)]

    def ratio(self, way: str) -> float:
        """Return how many times as long ``way`` takes as ours: the median of the rounds' ratios."""
        return float(np.median(np.array(self.seconds[way]) / np.array(self.seconds[OURS])))

    @property
    def spread(self) -> float:
        """How far apart the middle half of our rounds lies, as a share of their median."""
        low, middle, high = np.quantile(self.seconds[OURS], (0.25, 0.5, 0.75))
        return float((high - low) / middle)

    @property
    def rate(self) -> float:
        """Units a second, from the median round."""
        return self.count / float(np.median(self.seconds[OURS]))

    @property
    def growing(self) -> float | None:
        """What sixteen times the data take, over sixteen times what they take once: 1 is in proportion."""
        if len(self.growth) < 2:
            return None
        (least, first), *_, (most, last) = ((float(times), found) for times, found in self.growth.items())
        return last / first / (most / least)

    def reached(self) -> dict[str, bool]:
        """Return whether what is wanted of each ratio was found."""
        found = {"peer": self.ratio(self.peers[0])} if self.peers else {}
        if self.limit is not None:
            found["limit"] = self.ratio(self.limit)
        return {what: bool(found[what] >= least) for what, least in self.wanted.items() if what in found}


def measure(
    name: str, make: Callable[[Scale], Case], scale: Scale, backend: Backend, budget: float, *, grow: bool = True
) -> Row:
    """Time one benchmark.

    On a GPU the other way is ours on the CPU of the same machine; libraries are peers on the host alone.

    Parameters
    ----------
    name : str
        Of the benchmark.
    make : callable
        What makes its case.
    scale : Scale
        How much data.
    backend : Backend
        Where ours runs.
    budget : float
        Seconds after which no further round begins, once there are three.
    grow : bool
        Whether to look at a quarter and at four times the data, too.
    """
    case = make(scale)
    works: dict[str, tuple[Work, float]] = {OURS: (case.ours(backend), 1.0)}
    compared, missing = [], []
    for peer in case.peers:
        if backend.name != "cpu" and not peer.everywhere:
            continue
        if peer.missing:
            missing.append(peer.missing)
            continue
        works[peer.name] = (peer.make(backend), peer.share)
        if peer.compared:
            compared.append(peer.name)
    if backend.name != "cpu":
        works[CPU] = (case.ours(get_backend("cpu")), 1.0)
        if case.comparable:
            compared.append(CPU)
    if case.limit is not None:
        works[case.limit.name] = (case.limit.make(backend), 1.0)
    answers = {way: _timed(work, backend)[1] for way, (work, _) in works.items()}  # warms up, too
    difference = case.agreement(backend) if case.agreement is not None else _difference(answers, compared, backend)
    del answers
    seconds = _rounds(works, backend, budget)
    limit, wanted = None if case.limit is None else case.limit.name, {}
    if backend.name == "cpu" and case.wanted.peer is not None:
        wanted["peer"] = case.wanted.peer
    share = case.wanted.cpu if backend.name == "cpu" else case.wanted.gpu
    if share is not None:
        wanted["limit"] = share
    row = Row(
        name,
        case.words,
        case.unit,
        case.count,
        seconds,
        limit,
        case.why_no_limit,
        missing,
        difference,
        case.tolerance,
        {},
        wanted,
        dict(case.notes),
    )
    grows = case.grows and grow
    del case, works
    if grows:
        row.growth.update(_growth(make, scale, backend, min(seconds[OURS])))
    return row


def _rounds(works: dict[str, tuple[Work, float]], backend: Backend, budget: float) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {way: [] for way in works}
    gc.collect()
    started = time.perf_counter()
    for number in range(MOST):
        if number >= LEAST and time.perf_counter() - started > budget:
            break
        for way, (work, share) in works.items():
            seconds[way].append(share * _timed(work, backend)[0])
    return seconds


def _growth(make: Callable[[Scale], Case], scale: Scale, backend: Backend, known: float) -> dict[str, float]:
    found = {}
    for times in GROWTH:
        if times == 1.0:
            found[f"{times / GROWTH[0]:g}"] = known
            continue
        work = make(Scale(scale.size, scale.times * times)).ours(backend)
        _timed(work, backend)
        found[f"{times / GROWTH[0]:g}"] = min(_timed(work, backend)[0] for _ in range(2))
        del work
    return found


def _timed(work: Work, backend: Backend) -> tuple[float, Any]:
    _wait(backend)
    start = time.perf_counter()
    answer = work()
    _wait(backend)
    taken = time.perf_counter() - start
    return (answer.seconds, answer.answer) if isinstance(answer, Took) else (taken, answer)


def _wait(backend: Backend) -> None:
    """Wait until the device has done all that it was given, in any stream."""
    if backend.name == "gpu":
        import torch

        torch.cuda.synchronize()


def _difference(answers: dict[str, Any], compared: list[str], backend: Backend) -> float | None:
    """Return the largest difference from any of the others, as a share of their largest value."""
    if not compared:
        return None
    own = _host(answers[OURS], backend)
    largest = 0.0
    for way in compared:
        other = _host(answers[way], get_backend("cpu") if way == CPU else backend)
        if own.shape != other.shape:
            raise ValueError(f"expected answers of one shape, got {own.shape} of ours and {other.shape} of {way}.")
        if not (np.isfinite(own).all() and np.isfinite(other).all()):
            raise ValueError(f"expected finite answers of ours and of {way}, got some that are not.")
        largest = max(largest, float(np.abs(own - other).max() / max(np.abs(other).max(), 1e-30)))
    return largest


def _host(answer: Any, backend: Backend) -> np.ndarray:
    if isinstance(answer, list):
        return np.concatenate([_host(part, backend) for part in answer], axis=0)
    return np.asarray(answer if isinstance(answer, np.ndarray) else backend.to_host(answer), np.float64)
