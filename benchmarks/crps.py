"""Fair CRPS of an ensemble beside that of `scores` and a copy of the same bytes: `python -m benchmarks.crps`.

It makes an ensemble of fields, scores it in this process by both, and copies it. Times are seconds of this process's
processor, the mean and the least of rounds that take turns, so that other work on the machine hardly moves their
ratios; what makes many temporary arrays takes much longer in some rounds than in others, as the system hands it new
pages or old ones. Memory is the most that was allocated beside arguments and answer, as tracemalloc sees it. The last
line is the same as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr
from scores.probability import crps_for_ensemble

from pipeline.backend import block_bytes
from pipeline.prediction import Prediction
from pipeline.prediction.members import crps_ensemble


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Parameters
    ----------
    shape : tuple of int
        (member, time, lat, lon).
    seconds, least : dict of str to float
        Of the processor, by what was done: the mean over rounds, and the least.
    ratio, ratio_least : float
        How many times as long `scores` takes as the kernel, by the means and by the least.
    beside : float
        The most memory beside arguments and answer, in blocks of the kernel.
    difference : float
        The largest difference between the two answers.
    """

    shape: tuple[int, ...]
    seconds: dict[str, float]
    least: dict[str, float]
    ratio: float
    ratio_least: float
    beside: float
    difference: float


OURS, THEIRS, WHOLE, COPY = "crps_ensemble, fair", "scores, fair", "Prediction.crps, as scored", "copy of the members"


def measure(members: int, times: int, side: int, rounds: int) -> Figures:
    """Score made members drawn around a made truth, float32."""
    shape = (members, times, side, side)
    rng = np.random.default_rng(0)
    drawn, truth = rng.standard_normal(shape, np.float32), rng.standard_normal(shape[1:], np.float32)
    labelled = xr.DataArray(drawn, dims=("member", "time", "lat", "lon"))
    true = xr.DataArray(truth, dims=labelled.dims[1:])
    prediction = Prediction("members", {"members": drawn})
    work: dict[str, Callable[[], object]] = {
        OURS: lambda: crps_ensemble(drawn, truth, fair=True),
        WHOLE: lambda: prediction.crps(truth),
        COPY: lambda: np.array(drawn),
        THEIRS: lambda: crps_for_ensemble(labelled, true, "member", method="fair", preserve_dims="all"),
    }
    taken = [{name: _seconds(do) for name, do in work.items()} for _ in range(rounds)]
    seconds = {name: sum(each[name] for each in taken) / rounds for name in work}
    least = {name: min(each[name] for each in taken) for name in work}
    tracemalloc.start()
    own = crps_ensemble(drawn, truth, fair=True)
    beside = tracemalloc.get_traced_memory()[1] - own.nbytes
    tracemalloc.stop()
    theirs = crps_for_ensemble(labelled, true, "member", method="fair", preserve_dims="all").values
    return Figures(
        shape,
        seconds,
        least,
        ratio=seconds[THEIRS] / seconds[OURS],
        ratio_least=least[THEIRS] / least[OURS],
        beside=beside / block_bytes(drawn),
        difference=float(abs(own - theirs).max()),
    )


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": `", maxsplit=1)[0])
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--times", type=int, default=120)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    found = measure(asked.members, asked.times, asked.side, asked.rounds)
    print("| (member, time, lat, lon) = " + str(found.shape) + ", float32 | processor [s] | least [s] | copies |")
    print("|---|---|---|---|")
    for name, seconds in found.seconds.items():
        print(f"| {name} | {seconds:.3f} | {found.least[name]:.3f} | {found.least[name] / found.least[COPY]:.1f} |")
    print()
    print(f"scores takes {found.ratio:.1f} times as long, {found.ratio_least:.1f} times by the least of each")
    print(f"largest difference between the two answers: {found.difference:.1e}")
    print(f"most memory beside arguments and answer: {found.beside:.2f} blocks")
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
