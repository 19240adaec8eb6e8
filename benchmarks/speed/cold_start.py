"""How long a user waits for a process that has done nothing yet."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Limit, Scale, Work
from benchmarks.speed._processes import python
from pipeline.backend import Backend

FIRST = """
import numpy as np
from benchmarks.speed._samples import samples_of
from models import MODELS
from pipeline.backend import get_backend
from pipeline.model import Context
backend = get_backend({name!r})
rng = np.random.default_rng(0)
made = [samples_of(rng.normal(size=(40, 2, 4, 4)).astype("f4"), rng.normal(size=(40, 1, 8, 8)).astype("f4"), backend)
        for _ in range(2)]
context = Context(backend, seed=0, name="unet")
kind = MODELS.get("unet")
model = kind(kind.Config.model_validate(dict(width=4, depth=1, epochs=1))).fit(*made, context)
print(float(backend.to_host(model.predict(made[1], context).mean()).mean()))
"""


@SPEED.register("cold-start-help")
def help_(scale: Scale) -> Case:
    """Ask for help."""
    return _case("`finescale --help`", lambda name: ("-m", "flows.cli", "--help"), "python -c pass", ("-c", "pass"))


@SPEED.register("cold-start-import")
def import_(scale: Scale) -> Case:
    """Import what every command needs."""
    return _case(
        "import of `pipeline.backend` and its arrays",
        lambda name: ("-c", f"from pipeline.backend import get_backend; get_backend({name!r})"),
        "import numpy, pandas",
        ("-c", "import numpy, pandas"),
    )


@SPEED.register("cold-start-prediction")
def prediction(scale: Scale) -> Case:
    """Fit a small network for an epoch, and predict with it."""
    return _case(
        "a process to its first prediction by a small UNet, fitted for an epoch",
        lambda name: ("-c", FIRST.format(name=name)),
        "import torch, xarray, pandas",
        ("-c", "import torch, xarray, pandas"),
    )


def _case(words: str, command: Callable[[str], tuple[str, ...]], limit: str, least: tuple[str, ...]) -> Case:
    def ours(backend: Backend) -> Work:
        return lambda: python(*command(backend.name))

    return Case(words, 1.0, "starts", ours, Limit(limit, lambda backend: lambda: python(*least)), grows=False,
                agreement=None, comparable=False)  # fmt: skip
