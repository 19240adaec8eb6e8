"""What the loader costs beside a step, measured in one run on this machine."""

import pytest

from benchmarks.loader import measure
from pipeline.backend import get_backend


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["deepesd", "unet"])
def test_the_loader_costs_little_beside_a_step(kind):
    # Of CPU seconds, which another process on the machine does not lengthen as it does those of the clock. The bound is
    # loose: the benchmark prints the figure.
    limits = {"resident": 1.3, "streamed": 2.0}
    for found in measure(kind, "quickstart", get_backend("cpu"), steps=10, rounds=8):
        assert found.cpu < limits[found.way], found
