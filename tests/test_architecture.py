"""The shape that the design fixes: one arrow, one device door, small rooms."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "models", "flows")
# Who may import whom; each may import itself.
ARROW = {"pipeline": set(), "models": {"pipeline"}, "flows": {"pipeline", "models"}}
RAPIDS = {"cupy", "cupyx", "cudf", "cuml", "dask_cuda", "dask_cudf", "rmm", "pylibraft"}
LONGEST = 350
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
OUTSIDE = [path for path in SOURCES if ROOT / "pipeline" / "backend" not in path.parents]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def roots_imported(tree: ast.AST) -> set[str]:
    """Return the first part of every module that is imported, anywhere in the file."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.partition(".")[0])
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("import_module")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(str(node.args[0].value).partition(".")[0])
    return found


def asks_for_a_device(tree: ast.AST) -> list[str]:
    """Return what moves itself to a GPU or asks whether there is one."""
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"cuda", "is_available", "device_count"}
    ]


def modules() -> list[str]:
    found = []
    for package in PACKAGES:
        path = [str(ROOT / package)]
        found += [package, *(module.name for module in pkgutil.walk_packages(path, prefix=f"{package}."))]
    return found


def test_the_checks_see_what_they_look_for():
    bad = "import cupy.linalg\nfrom cuml import PCA\nx.cuda()\ntorch.cuda.is_available()\nlib.import_module('rmm.mr')"
    tree = ast.parse(bad)
    assert roots_imported(tree) == {"cupy", "cuml", "rmm"}
    assert len(asks_for_a_device(tree)) == 2


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_the_arrow_points_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    others = roots_imported(ast.parse(path.read_text())) & set(PACKAGES)
    assert others - {package} <= ARROW[package]


@pytest.mark.parametrize("path", OUTSIDE, ids=name)
def test_only_the_backend_knows_of_gpus(path):
    tree = ast.parse(path.read_text())
    assert not roots_imported(tree) & RAPIDS
    assert asks_for_a_device(tree) == []


@pytest.mark.parametrize("path", [path for path in OUTSIDE if "pipeline" in path.parts], ids=name)
def test_the_pipeline_knows_no_prefect(path):
    assert "prefect" not in roots_imported(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=name)
def test_rooms_are_small(path):
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("module", modules())
def test_every_module_imports_where_there_is_no_rapids(module, monkeypatch):
    for library in RAPIDS:
        monkeypatch.setitem(sys.modules, library, None)  # an import of it fails
    assert importlib.import_module(module).__doc__


def test_knowing_all_plugins_costs_no_library_that_few_of_them_call():
    """Every command that plans, and every worker, would wait for it."""
    few = {"captum", "distributed", "matplotlib", "prefect", "scipy", "shap", "sklearn", "statsmodels"}
    code = (
        "import sys\n"
        "from flows.load import load_experiment\n"
        "from flows.plan import make_plan\n"
        "make_plan(load_experiment('tiny').experiment, where='tiny.yaml')\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert few.isdisjoint(done.stdout.split())


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a process a module
def test_every_module_imports_first():
    """Each module is the first that a fresh process imports: no import order holds them together."""
    code = (
        "import importlib, os, sys\n"
        "for module in sys.argv[1:]:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        try:\n"
        "            importlib.import_module(module)\n"
        "        except BaseException as error:\n"
        "            print(module, repr(error), flush=True)\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
    )
    # Once, in the parent of all, so that a child is no more than our own files.
    heavy = "import pandas, xarray, torch, scipy.stats, sklearn, matplotlib.pyplot, rich.progress, typer, prefect\n"
    done = subprocess.run(
        [sys.executable, "-c", heavy + code, *modules()], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == ""
