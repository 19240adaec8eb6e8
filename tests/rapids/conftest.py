"""RAPIDS as it is installed, which needs no GPU to be looked at."""

from __future__ import annotations

import importlib
import importlib.util
import os

import pytest

LIBRARIES = ("cupy", "rmm", "cudf", "cuml", "dask_cuda")


@pytest.fixture(scope="session", autouse=True)
def rapids() -> None:
    """RAPIDS, or a skip; where it was asked for (`make test-rapids-contract`, a GPU), a failure."""
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if not missing:
        for name in LIBRARIES:
            importlib.import_module(name)
        return
    said = f"RAPIDS is not installed ({', '.join(missing)} lacking); make test-rapids-contract installs it"
    if os.environ.get("FINESCALE_RAPIDS"):
        pytest.fail(said)
    pytest.skip(said)
