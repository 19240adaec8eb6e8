"""What both sides of the backend provide, by the same names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.backend.estimators import Estimator, build_estimator

if TYPE_CHECKING:
    from pipeline.backend.trees import TreeExplainer

Array = Any


@dataclass(frozen=True, eq=False)
class Backend:
    """One place to ask for arrays, frames, estimators, the torch device and a cluster.

    Parameters
    ----------
    name : {"cpu", "gpu"}
        Which side this is. A Backend pickles to its name, so that it travels to workers.
    xp : module
        Array API namespace: NumPy or CuPy through ``array_api_compat``.
    xdf : module
        Frame library: pandas or cuDF. What both have is in :mod:`pipeline.backend.tables`; beside it readers call
        ``read_csv, read_parquet, concat``.
    torch_device : str
        ``"cpu"`` or ``"cuda"``.
    cluster_class : str
        Import path of the local cluster.
    device_names : tuple of str
        Names of the GPUs, as the driver gives them; none on ``cpu``.
    """

    name: Literal["cpu", "gpu"]
    xp: ModuleType
    xdf: ModuleType
    torch_device: str
    cluster_class: str
    _to_host: Callable[[Any], np.ndarray] = field(repr=False)
    device_names: tuple[str, ...] = ()

    def asarray(self, data: Any, dtype: Any = None) -> Array:
        """Return ``data`` as an array on the device; floats stay as they are unless ``dtype`` says else."""
        return self.xp.asarray(data, dtype=dtype)

    def to_host(self, array: Array) -> np.ndarray:
        """Return a NumPy array with the same values; a copy from the device where there is one."""
        return self._to_host(array)

    def to_torch(self, array: Array) -> Any:
        """Return a tensor on the torch device that shares the array's memory (DLPack).

        A view that is read-only or runs backwards, such as a flipped latitude, is copied first: a
        tensor would write through the first, and torch ends the process on the second.
        """
        import torch

        flags = getattr(array, "flags", None)
        read_only = not getattr(flags, "writeable", True)
        backwards = any(stride < 0 for stride in getattr(array, "strides", ()))
        if read_only or backwards:
            array = self.xp.asarray(array, copy=True, order="C")
        return torch.utils.dlpack.from_dlpack(array)

    def from_torch(self, tensor: Any) -> Array:
        """Return an array of this backend that shares the tensor's memory (DLPack)."""
        return self.xp.from_dlpack(tensor.detach())

    def to_host_frame(self, frame: Any) -> Any:
        """Return a pandas frame with the same values."""
        return frame.to_pandas() if hasattr(frame, "to_pandas") else frame

    def estimator(self, name: str, **params: Any) -> Estimator:
        """Return the estimator with scikit-learn's ``name`` and parameters; see ``estimators.py``."""
        return build_estimator(self, name, params)

    def tree_explainer(self, forest: Estimator) -> TreeExplainer:
        """Return what finds the SHAP values of a fitted forest; see ``trees.py``."""
        from pipeline.backend.trees import TreeExplainer

        return TreeExplainer(self, forest)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        from pipeline.backend import get_backend

        return get_backend, (self.name,)
