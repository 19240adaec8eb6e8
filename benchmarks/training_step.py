"""What makes a training step faster: each option against the step without it, `python -m benchmarks.training_step`.

Both take turns in one process, on one constant batch; what counts is the ratio of their least seconds, above 1 where
the option is faster. What an option cannot do on a device is told in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks._training import BATCH, begun, least, made, parser_of, place
from pipeline.backend import Backend, get_backend
from pipeline.training import optimizers
from pipeline.training.speed import tf32

OPTIONS: dict[str, dict[str, Any]] = {
    "precision: bfloat16": {"precision": "bfloat16"},
    "channels_last: true": {"channels_last": True},
    "compile: true": {"compile": True},
    "cuda_graphs: true": {"cuda_graphs": True},
    "tf32: true": {"tf32": True},
    "accumulate: 4": {"accumulate": 4},
    "an optimizer that is not fused": {"optimizer": "adamw_apart"},
}


def measure(kind: str, size: str, backend: Backend, name: str, *, steps: int, rounds: int) -> str:
    """Return the ratio of a step without the option to one with it, or why there is none."""
    options = dict(OPTIONS[name])
    if options.get("tf32") and backend.torch_device == "cpu":
        return "none: of GPUs alone"
    samples = made(size, BATCH, backend)
    apart = options.pop("optimizer", None) is not None
    plain, tensors = begun(kind, size, samples, backend)
    kept = optimizers.OPTIMIZERS["adamw"]
    try:
        if apart:
            optimizers.OPTIMIZERS["adamw"] = lambda groups, config: torch.optim.AdamW(groups, lr=config.lr)
        other, _ = begun(kind, size, samples, backend, **options)
    finally:
        optimizers.OPTIMIZERS["adamw"] = kept
    batch = tensors.take(slice(0, BATCH))

    def work(run: Any) -> Callable[[], None]:
        def steps_of() -> None:
            with tf32(bool(options.get("tf32")) and run is other):
                for _ in range(steps):
                    run.learn(batch)

        return steps_of

    works = [work(plain), work(other)]
    least(works, 2, backend.torch_device)  # warms up, compiles
    if other.notes:
        return f"none: {other.notes[0].partition(': ')[2]}"
    without, with_it = least(works, rounds, backend.torch_device)
    return f"{without.clock / with_it.clock:.2f}"


def main() -> None:
    """Measure and print."""
    asked = parser_of(__doc__, steps=5, said="in a round").parse_args()
    backend = get_backend(asked.backend)
    print(f"size {asked.size} on {place(backend)}; ratio: seconds without the option over seconds with it")
    print("| option | " + " | ".join(asked.models) + " |\n|---|" + "---|" * len(asked.models))
    for name in OPTIONS:
        told = [
            measure(kind, asked.size, backend, name, steps=asked.steps, rounds=asked.rounds) for kind in asked.models
        ]
        print(f"| {name} | " + " | ".join(told) + " |", flush=True)


if __name__ == "__main__":
    main()
