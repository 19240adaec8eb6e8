"""The cpu side: NumPy, pandas, scikit-learn and processes of this machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.backend.base import Backend


def build() -> Backend:
    """Return the cpu backend; pandas and array_api_compat are imported here, torch is not."""
    import array_api_compat.numpy as xp
    import pandas

    return Backend(
        name="cpu",
        xp=xp,
        xdf=pandas,
        torch_device="cpu",
        cluster_class="distributed.LocalCluster",
        _to_host=_to_host,
    )


def _to_host(array: Any) -> np.ndarray:
    return np.asarray(array)
