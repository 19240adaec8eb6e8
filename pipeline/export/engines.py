"""Writing graphs as torch.export programs and ONNX models, and running them; loading one runs no code of its file."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.errors import DataError, MissingExtraError
from pipeline.registry import Registry

Run = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
OPSET = 20
_EXTRA = "pip install 'finescale[export]'"
_WORDS = frozenset(
    (
        *(
            "Symbol",
            "Integer",
            "Add",
            "Mul",
            "Pow",
            "Max",
            "Min",
            "Mod",
            "FloorDiv",
            "CeilDiv",
            "PythonMod",
            "CleanDiv",
        ),
        *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "True", "False", "oo", "int_oo"),
        *("positive", "nonnegative", "negative", "integer", "real", "finite"),
    )
)
_SIGNS = re.compile(r"[\w ,()'=+*/<>-]*")  # no dot and no bracket: nothing is looked up in anything
_PLAIN = re.compile(r"(weight|tensor)_\d+")
_PARTS = re.compile(
    r"[^/]+/(data/(weights/weight_\d+|constants/tensor_\d+|(weights|constants)/model_(weights|constants)_config\.json"
    r"|sample_inputs/model\.pt)|models/model\.json|archive_format|archive_version|byteorder|\.data/\w+)"
)
_SIZE = re.compile(r"[suz]\d+|\d+")


class Engine:
    """One format of graphs.

    Class attributes
    ----------------
    suffix : str
        Of its files.
    """

    suffix: str

    def require(self) -> None:
        """Refuse where a library is missing.

        Raises
        ------
        MissingExtraError
            If one is.
        """

    def save(
        self, module: nn.Module, example: Sequence[np.ndarray], names: tuple[list[str], list[str]], path: Path
    ) -> None:
        """Write a module; the first axis of all inputs and of its ``names`` of inputs and outputs is free."""
        raise NotImplementedError

    def load(self, path: Path) -> Run:
        """Return a function from inputs to outputs.

        Raises
        ------
        DataError
            If the file is none, or could run code.
        """
        raise NotImplementedError


ENGINES: Registry[type[Engine]] = Registry("export format", "pipeline.export")


@ENGINES.register("torch_export")
class TorchExport(Engine):
    """An ``ExportedProgram`` of torch, ``.pt2``."""

    suffix = ".pt2"

    def save(
        self, module: nn.Module, example: Sequence[np.ndarray], names: tuple[list[str], list[str]], path: Path
    ) -> None:
        """Write the program, without example inputs: torch would pickle them."""
        program: Any = exported(module, example)
        program._example_inputs = None
        with _quiet():
            torch.export.save(program, path)

    def load(self, path: Path) -> Run:
        """Return the program as a function."""
        refuse_code(path)
        module = torch.export.load(path).module()

        def run(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
            with torch.no_grad():
                return [part.numpy() for part in module(*(torch.from_numpy(part) for part in inputs))]

        return run


@ENGINES.register("onnx")
class Onnx(Engine):
    """An ONNX model, ``.onnx``, run by ONNX Runtime."""

    suffix = ".onnx"

    def require(self) -> None:
        """Refuse where ONNX or its runtime is missing."""
        try:
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(f"the format onnx needs {error.name}, which is not installed: {_EXTRA}") from error

    def save(
        self, module: nn.Module, example: Sequence[np.ndarray], names: tuple[list[str], list[str]], path: Path
    ) -> None:
        """Write the model, its weights inside."""
        self.require()
        with _quiet():
            torch.onnx.export(
                exported(module, example),
                (),
                str(path),
                dynamo=True,
                input_names=names[0],
                output_names=names[1],
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )

    def load(self, path: Path) -> Run:
        """Return a session of ONNX Runtime on the CPU as a function."""
        self.require()
        import onnxruntime

        try:
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:
            raise DataError(f"expected an ONNX model in {path}, got what ONNX Runtime cannot read: {error}") from error
        names = [one.name for one in session.get_inputs()]
        return lambda inputs: [np.asarray(part) for part in session.run(None, dict(zip(names, inputs, strict=True)))]


def exported(module: nn.Module, example: Sequence[np.ndarray]) -> torch.export.ExportedProgram:
    """Return a module as an exported program whose first axes are free."""
    batch = torch.export.Dim("batch", min=1)
    tensors = tuple(torch.from_numpy(np.ascontiguousarray(part)) for part in example)
    with torch.no_grad(), _quiet():
        free = tuple({0: batch} for _ in tensors)
        return torch.export.export(_Any(module).eval(), tensors, dynamic_shapes=(free,))


class _Any(nn.Module):
    """A module that takes as many inputs as it gets: torch's rules for shapes hang on how they are written down."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.inner = module

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Return what the module answers."""
        return self.inner(*inputs)


def refuse_code(path: Path) -> None:
    """Refuse a ``.pt2`` that torch could run code of: it unpickles what it does not know, and evaluates expressions.

    Raises
    ------
    DataError
        If it is no such archive, holds a pickle of more than tensors, or an expression of more than sizes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            told = {name: archive.read(name) for name in names if name.endswith((".json", ".pt"))}
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"expected an exported program in {path}, got a file that cannot be read: {error}") from error
    strange = [name for name in names if not _PARTS.fullmatch(name)]
    strange += [name for name, content in told.items() if name.endswith(".pt") and content]  # unpickled by torch
    if strange or len(set(names)) < len(names):
        raise DataError(
            f"expected a program of plain tensors in {path}, got {strange[:1] or names}, which could run code."
        )
    for name, content in told.items():
        if name.endswith(".json"):
            _refuse_expressions(json.loads(content), path)


def _refuse_expressions(tree: Any, path: Path) -> None:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "expr_str" and not _is_size(str(value)):
                raise DataError(f"expected sizes in {path}, got the expression {value!r}, which could run code.")
            if (key == "use_pickle" and value) or (key == "path_name" and not _PLAIN.fullmatch(str(value))):
                raise DataError(f"expected plain tensors in {path}, got {key} {value!r}, which could run code.")
            _refuse_expressions(value, path)
    elif isinstance(tree, list):
        for value in tree:
            _refuse_expressions(value, path)


def _is_size(expression: str) -> bool:
    """Whether an expression, which sympy evaluates, is made of sizes and arithmetic alone.

    Examples
    --------
    >>> _is_size("2*Symbol('s21', positive=True, integer=True)"), _is_size("__import__('os')"), _is_size("s0.x")
    (True, False, False)
    """
    words = re.findall(r"\w+", expression)
    return bool(_SIGNS.fullmatch(expression)) and all(word in _WORDS or _SIZE.fullmatch(word) for word in words)


def largest_gap(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], spread: np.ndarray) -> float:
    """Return the largest difference of two answers over the spread of the target; infinite where one has gaps alone.

    Parameters
    ----------
    found, expected : mapping of str to ndarray
        Parameters by name, each of shape (..., time, target, lat, lon).
    spread : ndarray
        Broadcasts to (target, lat, lon): what is small.

    Examples
    --------
    >>> one = {"mean": np.zeros((1, 1, 1, 2))}
    >>> largest_gap(one, {"mean": np.array([[[[0.0, 0.5]]]])}, np.array([[[2.0]]]))
    0.25
    """
    worst = 0.0
    for name, values in expected.items():
        other = found[name]
        if other.shape != values.shape or (np.isnan(other) != np.isnan(values)).any():
            return float("inf")
        with np.errstate(invalid="ignore"):
            away = np.where(other == values, 0.0, np.abs(other.astype(float) - values) / np.maximum(spread, 1e-30))
        worst = max(worst, float(np.nanmax(away, initial=0.0)))
    return worst


@contextmanager
def _quiet() -> Any:
    """Keep to itself what torch says of its own parts while it exports."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
