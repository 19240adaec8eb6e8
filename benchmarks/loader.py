"""What the loader costs: the real loop against the same steps on one constant batch, `python -m benchmarks.loader`.

An epoch over made samples, resident and streamed from files, and as many steps on one batch that lies on the device
take turns in one process. What counts is the ratio of the least seconds of either: 1.05 means that shuffling, reading,
laying out and copying cost a twentieth of the step.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks._training import BATCH, Seconds, begun, least, made, parser_of, place
from pipeline.backend import Backend, get_backend


@dataclass(frozen=True)
class Found:
    """Seconds of all steps, in the real loop and on one constant batch."""

    model: str
    way: str
    steps: int
    loop: Seconds
    constant: Seconds

    @property
    def clock(self) -> float:
        """What the real loop takes of the constant one by the clock."""
        return self.loop.clock / self.constant.clock

    @property
    def cpu(self) -> float:
        """What it takes of the CPU, all threads together: nothing is hidden there behind another thread."""
        return self.loop.cpu / self.constant.cpu


def measure(kind: str, size: str, backend: Backend, *, steps: int, rounds: int) -> list[Found]:
    """Time both loops, resident and streamed."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for way, where in (("resident", None), ("streamed", Path(folder))):
            run, tensors = begun(kind, size, made(size, steps * BATCH, backend, where), backend)
            assert tensors.streamed == (way == "streamed")
            batch = tensors.take(torch.arange(BATCH, device="cpu" if tensors.streamed else tensors.device))

            def constant(run=run, batch=batch) -> None:
                total = torch.zeros((), dtype=torch.float64, device=batch.device)
                for _ in range(steps):
                    total = total + run.learn(batch)[0]
                float(total)

            loops = [lambda run=run, tensors=tensors: run.epoch(tensors, 1), constant]
            least(loops, 1, backend.torch_device)  # warms up
            loop, same = least(loops, rounds, backend.torch_device)
            found.append(Found(kind, way, steps, loop, same))
    return found


def main() -> None:
    """Measure and print."""
    asked = parser_of(__doc__, steps=40, said=f"of {BATCH} samples, in an epoch").parse_args()
    backend = get_backend(asked.backend)
    print(f"size {asked.size} on {place(backend)}; ratio: the real loop over one constant batch")
    print("| network | samples | step [ms] | ratio by the clock | ratio of CPU seconds |\n|---|---|---|---|---|")
    for kind in asked.models:
        for found in measure(kind, asked.size, backend, steps=asked.steps, rounds=asked.rounds):
            step = 1000 * found.constant.clock / asked.steps
            print(f"| {kind} | {found.way} | {step:.2f} | {found.clock:.3f} | {found.cpu:.3f} |", flush=True)


if __name__ == "__main__":
    main()
