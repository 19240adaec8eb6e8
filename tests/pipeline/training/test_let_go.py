"""What a training worked on is let go of as it ends, not when Python comes to look for cycles."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, for the first optimizer of a process imports what others no longer do.
SCRIPT = """
import gc
import weakref

from models import MODELS
from pipeline.backend import get_backend
from pipeline.model import Context
from tests.conftest import _samples


def fitted():
    train, validation = _samples(60), _samples(20, seed=1, name="validation")
    kind = MODELS.get("deepesd")
    model = kind(kind.Config(epochs=1)).fit(train, validation, Context(get_backend("cpu"), name="deepesd"))
    return [weakref.ref(train), weakref.ref(model), weakref.ref(model._network)]


gc.disable()
assert [it() is None for it in fitted()] == [True, True, True], "the first of a process"
assert [it() is None for it in fitted()] == [True, True, True], "another"
"""


def test_samples_network_and_run_are_gone_without_a_look_for_cycles(pytestconfig):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
