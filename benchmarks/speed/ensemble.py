"""Members of an ensemble trained as one beside one after another; `benchmarks.stacked` has more networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks import stacked
from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Limit, Peer, Scale, Work
from pipeline.backend import Backend
from pipeline.model import Context

KIND, MEMBERS = "mlp", 8


@SPEED.register("ensemble")
def ensemble(scale: Scale) -> Case:
    """Train eight small networks for an epoch."""
    from models import MODELS

    samples = scale.grown(32, 512, 4096)
    members = scale.fixed(2, MEMBERS, MEMBERS)
    kind = MODELS.get(KIND)
    options = stacked.CASES[KIND] | {"epochs": 1, "schedule": "constant"}

    def ready(backend: Backend) -> tuple[Any, Any, list[Any]]:
        parts = (stacked.windows(count, seed, backend) for count, seed in ((samples, 0), (max(1, samples // 8), 1)))
        train, check = parts
        return train, check, [replace(Context(backend, seed=1, name=KIND), member=each) for each in range(members)]

    def models(count: int) -> list[Any]:
        return [kind(kind.Config.model_validate(options)) for _ in range(count)]

    def ours(backend: Backend) -> Work:
        train, check, contexts = ready(backend)

        def work() -> Any:
            made = models(members)
            if (said := kind.fit_together(made, train, check, contexts)) != [None] * members:
                raise RuntimeError(f"expected members that can be trained as one, got {said}.")
            return made[0].predict(check, contexts[0]).mean()

        return work

    def apart(count: int) -> Any:
        def make(backend: Backend) -> Work:
            train, check, contexts = ready(backend)

            def work() -> Any:
                made = models(count)
                for model, context in zip(made, contexts, strict=False):
                    model.fit(train, check, context)
                return made[0].predict(check, contexts[0]).mean()

            return work

        return make

    return Case(
        f"{members} {KIND.upper()}s, an epoch of {samples} samples at ten stations",
        float(members * samples),
        "samples",
        ours,
        Limit("one member alone", apart(1)),
        (Peer("one after another", apart(members), everywhere=True),),
        tolerance=1e-2,
    )
