"""Both backends answer alike: every record on the CPU, and on a GPU against the CPU."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.parity import RECORDS
from benchmarks.parity.record import difference
from pipeline.backend import get_backend, special, tables, why_no_gpu
from pipeline.backend.estimators import ESTIMATORS
from pipeline.metrics import METRICS
from pipeline.metrics.indices import INDICES
from pipeline.prediction import FAMILIES
from pipeline.prepare.labels import LABELS
from pipeline.training.losses import LOSSES

ROOT = Path(__file__).resolve().parents[2]
BETWEEN = 0.02  # float32 against float64 on one side: data of 7 digits, and steps that jump at a threshold
# Of pipeline.prepare, what has no record of its own, and why.
WITHOUT = {
    "beside": "places a constant", "rows": "of every step", "split_missing": "of Climatology",
    "flat": "a reshape", "ever": "of InputTransform", "anywhere": "of InputTransform", "only": "of InputTransform",
    "seasonal_quantiles": "of EmpiricalClimatology", "members_at": "of EmpiricalClimatology",
    "drawn_at": "of EmpiricalClimatology", "require_numbers": "a check", "class_shares": "of ClassFrequencies",
    "write_state": "writes a file", "known": "of every fit",
    "deal_with": "of InputTransform", "forward": "powers", "backward": "powers", "TrainSplit": "of every fit",
    "Prepared": "a file", "Recipe": "a file", "fit_mask": "on the host", "Blocking": "a label", "MarineHeatwave": "a label", "PercentileExtreme": "a label",
}  # fmt: skip


def names(kind: str) -> set[str]:
    return {record.name for record in RECORDS if record.kind == kind}


def steps_of_prepare() -> set[str]:
    """Return the public functions and classes of pipeline.prepare that take arrays."""
    found = set()
    for path in sorted((ROOT / "pipeline/prepare").rglob("[!_]*.py")):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            inside = (
                [node]
                if isinstance(node, ast.FunctionDef)
                else [n for n in node.body if isinstance(n, ast.FunctionDef)]
            )
            if any("Array" in ast.unparse(each.annotation) for f in inside for each in f.args.args if each.annotation):
                found.add(node.name)
    return found


def test_no_record_stands_twice():
    assert max(Counter(record.label for record in RECORDS).values()) == 1


@pytest.mark.parametrize(
    ("kind", "registered"),
    [
        ("metric", METRICS.names()),
        ("estimator", ESTIMATORS),
        ("family", FAMILIES.names()),
        ("label", LABELS.names()),
        ("loss", LOSSES.names()),
        ("index", INDICES),
        ("function", [name for name, value in vars(special).items() if getattr(value, "__module__", "") == special.__name__
                      and not name.startswith("_") and name != "to_host"]),
        ("table", [name for name, value in vars(tables).items() if getattr(value, "__module__", "") == tables.__name__
                   and not name.startswith("_")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_every_registered_name_has_a_record(kind, registered):
    assert set(registered) <= names(kind)


def test_every_step_of_prepare_has_a_record_or_a_reason():
    steps = steps_of_prepare()
    assert {"Standardiser", "Climatology", "Regridder"} <= steps
    covered = {name.split()[0] for name in names("prepare")}
    assert steps - covered - set(WITHOUT) == set()
    assert set(WITHOUT) <= steps


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.label)
def test_it_is_computed_on_the_cpu(record, strict_backend):
    """Where it is made of arrays alone, against the array standard's own stand-in; and float32 is float64 but for digits."""
    cpu = get_backend("cpu")
    exact = record.answers(cpu, "float64")
    assert any(np.isfinite(values).any() for values in exact.values())
    if record.strict:
        assert difference(exact, record.answers(strict_backend, "float64")) <= record.tolerance["float64"]
    if record.kind not in ("label", "metric"):  # which count days above thresholds
        assert difference(exact, record.answers(cpu, "float32")) <= max(BETWEEN, record.tolerance["float32"])


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.label)
def test_cpu_and_gpu_agree(record, dtype, record_property):
    if (reason := why_no_gpu()) is not None:
        pytest.skip(f"no gpu backend: {reason}")
    away = difference(*(record.answers(get_backend(name), dtype) for name in ("cpu", "gpu")))
    limit = record.tolerance[dtype]
    record_property(f"parity {record.label} {dtype}", away / limit if limit else float(away > 0))
    assert away <= limit, f"largest difference {away:.3g} of the answer's size, {limit:g} allowed"


def test_a_difference_is_a_share_of_the_size_and_gaps_count():
    one = {"a": np.array([1.0, -4.0, np.nan])}
    assert difference(one, {"a": np.array([1.0, -3.0, np.nan])}) == pytest.approx(0.25)
    assert difference(one, {"a": np.array([1.0, -4.0, 0.0])}) == np.inf
    assert difference(one, {"a": np.array([1.0, -4.0])}) == np.inf
    assert difference(one, {"b": one["a"]}) == np.inf
    assert difference({"a": np.array([np.inf])}, {"a": np.array([-np.inf])}) == np.inf
    assert difference({"a": np.array([True, False])}, {"a": np.array([True, False])}) == 0.0
