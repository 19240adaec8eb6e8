"""Every call that the gpu side makes is one that RAPIDS has: names, and the arguments they are given.

The calls are read from the source, so that none can be forgotten. What RAPIDS writes in Cython has no signature to ask
for in some builds; the text that it ships is then read instead.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = {"cupy", "cupyx", "cudf", "cuml", "dask_cuda", "rmm"}
DOORS = sorted((ROOT / "pipeline/backend").rglob("*.py"))
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
SOURCES = [path for package in ("pipeline", "models") for path in sorted((ROOT / package).rglob("*.py"))]


@dataclass(frozen=True)
class Use:
    """A name of a library that is used, and how it is called, if it is."""

    where: str
    path: str
    call: tuple[int, tuple[str, ...]] | None = None

    def __str__(self) -> str:
        return f"{self.path} at {self.where}"


def dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return None


def arguments(call: ast.Call) -> tuple[int, tuple[str, ...]] | None:
    """Return how many are given by place and which by name; None where some are spread from a list."""
    if any(isinstance(each, ast.Starred) for each in call.args) or any(each.arg is None for each in call.keywords):
        return None
    return len(call.args), tuple(str(each.arg) for each in call.keywords)


def imports(scope: ast.AST) -> dict[str, str]:
    """Return the names that stand for something of RAPIDS by imports of a scope itself, not of functions within."""
    names, waiting = {}, list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                if root in LIBRARIES:
                    names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in LIBRARIES:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif not isinstance(node, SCOPES):
            waiting += ast.iter_child_nodes(node)
    return names


def uses(path: Path, given: dict[str, str] | None = None) -> Iterator[Use]:
    """Return every use of what is imported from RAPIDS, or of ``given`` names, each at its longest.

    That is ``cupy.cuda.set_allocator``, and not ``cupy.cuda``.
    """
    tree = ast.parse(path.read_text())
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    waiting = [(tree, given or imports(tree))]
    while waiting:
        parent, names = waiting.pop()
        for node in ast.iter_child_nodes(parent):
            own = {**names, **imports(node)} if isinstance(node, SCOPES) and given is None else names
            waiting.append((node, own))
            if id(node) in inner or not isinstance(node, ast.Name | ast.Attribute):
                continue
            words = (dotted(node) or "").split(".")
            for length in range(len(words), 0, -1):
                if (known := names.get(".".join(words[:length]))) is not None:
                    call = called.get(id(node))
                    full = ".".join([known, *words[length:]])
                    yield Use(f"{path.relative_to(ROOT)}:{node.lineno}", full, call and arguments(call))
                    break


def found(path: str) -> Any:
    """Return what a dotted path means, or fail with the part that is not there."""
    words = path.split(".")
    for length in range(len(words), 0, -1):
        try:
            thing = importlib.import_module(".".join(words[:length]))
        except ModuleNotFoundError:
            continue
        for word in words[length:]:
            assert hasattr(thing, word), f"{thing!r} has no {word!r}"
            thing = getattr(thing, word)
        return thing
    raise AssertionError(f"no module of {path}")


def signature(thing: Any) -> inspect.Signature | None:
    """Return how it is called, from itself or from the Cython text beside it; None for universal functions."""
    try:
        return inspect.signature(thing)
    except (TypeError, ValueError):
        pass
    name, module = getattr(thing, "__name__", ""), getattr(thing, "__module__", "") or ""
    if not (name and module.partition(".")[0] in LIBRARIES):
        return None
    file = Path(importlib.import_module(module).__file__ or "")
    source = file.with_name(file.name.partition(".")[0] + ".pyx")
    if not source.is_file():
        return None
    text = source.read_text()
    if isinstance(thing, type):
        text = text[re.search(rf"class {name}\b", text).start() :]  # type: ignore[union-attr]
        name = "__c?init__"
    header = re.search(rf"def {name}\((.*?)\)\s*(?:->.*?)?:\n", text, re.S)
    if header is None:
        return None
    plain = re.sub(r"\b(?:double|int|bool|float|size_t|object|str) (\w+)", r"\1", header.group(1))
    scope: dict[str, Any] = {}
    exec(f"def made({plain}): pass", {}, scope)
    own = inspect.signature(scope["made"])
    parameters = list(own.parameters.values())
    return own.replace(parameters=parameters[1:]) if parameters and parameters[0].name == "self" else own


def takes(thing: Any, call: tuple[int, tuple[str, ...]]) -> None:
    known = signature(thing)
    if known is not None:
        known.bind(*[None] * call[0], **dict.fromkeys(call[1]))


def prefixed(ends: tuple[str, ...], meaning: str) -> dict[str, str]:
    """Return the names by which our code knows a library: ``xp``, ``backend.xp``, ``self._backend.xp``, ..."""
    holders = ("", "backend.", "self.", "self.backend.", "self._backend.", "context.backend.", "side.")
    return {f"{holder}{end}": meaning for holder in holders for end in ends}


HERE = all(importlib.util.find_spec(name) is not None for name in ("cudf", "cuml"))  # else nothing is read
NAMESPACES = {**prefixed(("xdf",), "cudf"), **prefixed(("xp",), "array_api_compat.cupy")}
DIRECT = [use for path in DOORS for use in uses(path)] if HERE else []
BY_NAMESPACE = [use for path in SOURCES for use in uses(path, NAMESPACES)] if HERE else []
XDF = [use for use in BY_NAMESPACE if use.path.startswith("cudf.")]
XP = [use for use in BY_NAMESPACE if use.path.startswith("array_api_compat.cupy.")]


def test_the_reading_finds_what_is_there():
    assert {"cupy", "cudf", "cuml", "rmm"} <= {use.path.partition(".")[0] for use in DIRECT}
    assert {"cudf.read_csv", "cudf.read_parquet", "cudf.concat"} <= {use.path for use in XDF}
    assert len({use.path for use in XP}) > 60


def test_a_wrong_name_or_argument_would_be_found():
    with pytest.raises(AssertionError, match="has no 'read_cvs'"):
        found("cudf.read_cvs")
    with pytest.raises(TypeError, match="headers"):
        takes(found("cudf.read_csv"), (1, ("headers",)))
    with pytest.raises(TypeError, match="pool_size"):
        takes(found("rmm.mr.CudaAsyncMemoryResource"), (0, ("pool_size",)))


def test_what_has_no_signature_is_a_universal_function_or_named_here():
    without = {use.path for use in (*DIRECT, *XDF, *XP) if use.call and signature(found(use.path)) is None}
    known = {"cupy.cuda.set_allocator", "cupy.cuda.runtime.getDeviceCount", "array_api_compat.cupy.from_dlpack"}
    assert {path for path in without if type(found(path)).__name__ != "ufunc"} <= known


@pytest.mark.parametrize("use", [*DIRECT, *XDF], ids=str)
def test_what_is_called_is_there_and_takes_what_it_is_given(use):
    thing = found(use.path)
    if use.call is not None:
        takes(thing, use.call)


@pytest.mark.parametrize("name", sorted({use.path for use in XP}))
def test_every_verb_of_arrays_is_one_of_cupys(name):
    """Of the namespace that the gpu backend hands out, with the arguments that all of its callers give."""
    thing = found(name)
    wrong = []
    for use in XP:
        if use.path == name and use.call is not None:
            try:
                takes(thing, use.call)
            except TypeError as error:
                wrong.append(f"{use}: {error}")
    assert not wrong, "\n".join(wrong)
