"""What differs between runs: keys of their experiments, the code, libraries and machine, the data and the truth."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
import yaml

from pipeline.report import numbers
from pipeline.report.load import Run

NOT_THERE = "(not there)"
_BLOCK = 256  # times of the truth in memory at once
_UNTOLD = {"name", "question"}  # what a run is called decides nothing
_CODE = ("Finescale", "commit", "Python")

Pair = tuple[str, tuple[str, ...]]


def experiments(runs: Sequence[Run]) -> list[Pair]:
    """Return by dotted key what differs in the resolved experiments, as ``--set`` would name it."""
    return differing([run.experiment for run in runs])


def differing(trees: Sequence[Any], path: str = "") -> list[Pair]:
    """Return the leaves, by dotted key, at which ``trees`` are not all the same.

    What some trees lack as a whole is one entry, told without the keys that say nothing.

    Examples
    --------
    >>> differing([{"a": {"b": 1}, "c": [1, 2]}, {"a": {"b": 2}, "c": [1, 2]}])
    [('a.b', ('1', '2'))]
    >>> differing([{"models": {}}, {"models": {"unet": {"kind": "unet", "name": None}}}])
    [('models.unet', ('(not there)', '{kind: unet}'))]
    """
    trees = [_number(tree) for tree in trees]
    if all(tree == trees[0] for tree in trees[1:]) or path in _UNTOLD:
        return []
    if all(isinstance(tree, Mapping) for tree in trees):
        keys = dict.fromkeys(str(key) for tree in trees for key in tree)
        return [
            found
            for key in keys
            for found in differing([tree.get(key, _LACKS) for tree in trees], f"{path}.{key}" if path else key)
        ]
    if all(isinstance(tree, list) for tree in trees) and any(isinstance(x, Mapping) for tree in trees for x in tree):
        longest = max(len(tree) for tree in trees)
        return [
            found
            for number in range(longest)
            for found in differing(
                [tree[number] if number < len(tree) else _LACKS for tree in trees], f"{path}.{number}"
            )
        ]
    return [(path, tuple(_told(tree) for tree in trees))]


_LACKS = object()


def _number(value: Any) -> Any:
    """Return what YAML 1.1 reads as text and means as a number, as 5e-3, as that number."""
    if isinstance(value, str) and value[:1] in "-+.0123456789":
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _told(value: Any) -> str:
    if value is _LACKS:
        return NOT_THERE
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        value = int(value)
    text = yaml.safe_dump(_said(value), default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.strip().removesuffix("...").strip()


def _said(value: Any) -> Any:
    """Return a value without keys that hold nothing."""
    if isinstance(value, Mapping):
        return {key: _said(inner) for key, inner in value.items() if inner not in (None, [], {})}
    if isinstance(value, list):
        return [_said(inner) for inner in value]
    return value


def surroundings(runs: Sequence[Run]) -> list[Pair]:
    """Return what differs beside the experiment: code, commit, libraries, backend, machine, data."""
    told = [_around(run) for run in runs]
    keys = dict.fromkeys(key for one in told for key in one)
    rows = [(key, tuple(one.get(key, NOT_THERE) for one in told)) for key in keys]
    return [row for row in rows if len(set(row[1])) > 1]


def _around(run: Run) -> dict[str, str]:
    said = run.provenance
    source, device, cluster = (said.get(key) or {} for key in ("source", "device", "cluster"))
    commit = str(source.get("commit") or "unknown")[:12]
    found = {
        "Finescale": str(said.get("finescale", "unknown")),
        "commit": f"{commit}, with changes since" if source.get("dirty") else commit,
        "Python": str(said.get("python", "unknown")),
        "backend": str(device.get("backend", "unknown")),
        "GPUs": ", ".join(device.get("gpus") or ()) or "none",
        "processor": str(device.get("cpu", "unknown")),
        "workers": str(cluster.get("workers", "none")),
        "threads a worker": str(cluster.get("threads_a_worker", "none")),
        "plug-ins": ", ".join(said.get("plugins") or ()) or "none",
        "fallbacks": "; ".join(map(str, said.get("fallbacks") or ())) or "none",
        "failed members": str(len(said.get("failed_members") or ())),
    }
    found |= {f"library {name}": str(version) for name, version in (said.get("libraries") or {}).items()}
    return found | _data(run)


def _data(run: Run) -> dict[str, str]:
    """Return a short digest of every file that was read; of made data, of what they were made by."""
    found = {}
    for source in run.provenance.get("data") or ():
        dataset, path = str(source.get("dataset")), str(source.get("path") or "")
        if source.get("sha256"):
            found[f"data {dataset}/{path}"] = f"sha256 {source['sha256'][:12]}"
    settings = run.path / "work" / "settings.json"
    if settings.is_file():
        entries = json.loads(settings.read_text(encoding="utf-8")).get("entries") or {}
        for name, entry in entries.items():
            options = {key: value for key, value in (entry.get("options") or {}).items() if value is not None}
            if options:
                found[f"data {name}, options"] = _told(options)
    return found


def cautions(runs: Sequence[Run], letters: Sequence[str], around: Sequence[Pair]) -> tuple[str, ...]:
    """Return why the scores should not be held against each other as they are; each run is held to the first."""
    found: list[str] = []
    for run, letter in zip(runs[1:], letters[1:], strict=True):
        found += [f"{text}." for text in _truths(runs[0], run, letters[0], letter)]
    keys = [key for key, _ in around]
    data = [key.removeprefix("data ") for key in keys if key.startswith("data ")]
    if data:
        found.append(f"The data differ: {numbers.listing(data)}. Scores differ for that reason too.")
    code = [
        key.removeprefix("library ")
        for key, values in around
        if (key in _CODE or key.startswith("library ")) and NOT_THERE not in values  # else new to one, and used by none
    ]
    if code:
        found.append(
            f"The code differs: {numbers.listing(code)}. Part of a difference in scores may come from there: make the "
            "older run again before you rely on a small one."
        )
    if "backend" in keys:
        found.append(
            "One run was computed on a CPU and one on a GPU: classical models agree within 1e-4, deep ones within the "
            "spread over seeds."
        )
    return tuple(dict.fromkeys(found))


def _truths(one: Run, other: Run, a: str, b: str) -> list[str]:
    """Return in which test sets the truth of two runs is not the same, and in what."""
    found = []
    mine, theirs = _tests(one), _tests(other)
    for split in dict.fromkeys([*mine, *theirs]):
        if split not in theirs or split not in mine:
            has, lacks = (a, b) if split in mine else (b, a)
            found.append(f"The test set {split} is in {has} alone; {lacks} has no scores on it")
            continue
        for variable in dict.fromkeys([*mine[split], *theirs[split]]):
            if variable not in mine[split] or variable not in theirs[split]:
                has = a if variable in mine[split] else b
                found.append(f"The target {variable} of the test set {split} is in {has} alone")
                continue
            reason = _unlike(one, other, split, variable)
            if reason:
                found.append(
                    f"The truth of {variable} on {split} is not the same in {a} and {b}: {reason}. Their scores are "
                    "of different questions, and neither difference nor mark says which model is better"
                )
    return found


def _tests(run: Run) -> dict[str, list[str]]:
    rows = run.scores[(run.scores["split"] != "validation") & run.scores["value"].notna()]
    return {str(split): list(dict.fromkeys(part["variable"])) for split, part in rows.groupby("split", sort=False)}


def _unlike(one: Run, other: Run, split: str, variable: str) -> str:
    """Return in what two truths differ; empty where they do not, or where it cannot be told."""
    opened = [_open(run, variable) for run in (one, other)]
    try:
        first, second = (None if data is None else _of_split(data, split, variable) for data in opened)
        if first is None or second is None:
            return _counts(one, other, split, variable)
        if first.sizes[first.dims[0]] != second.sizes[second.dims[0]] or not _same_steps(first, second):
            return f"{_span(first)} and {_span(second)}"
        if first.shape != second.shape:
            return f"fields of {_cells(first)} and of {_cells(second)} cells"
        if first.attrs.get("units") != second.attrs.get("units"):
            return f"units {first.attrs.get('units')!r} and {second.attrs.get('units')!r}"
        return "" if _same_values(first, second) else "other values on the same dates"
    finally:
        for data in opened:
            if data is not None:
                data.close()


def _open(run: Run, variable: str) -> xr.Dataset | None:
    for path in sorted((run.path / "predictions").glob("*.nc")):
        data = xr.open_dataset(path, cache=False)
        if f"{variable}_truth" in data and "split" in data:
            return data
        data.close()
    return None


def _of_split(data: xr.Dataset, split: str, variable: str) -> xr.DataArray:
    field = data[f"{variable}_truth"]
    dim = data["split"].dims[0]
    return field.isel({dim: np.flatnonzero(data["split"].values.astype(str) == split)}).transpose(dim, ...)


def _same_steps(first: xr.DataArray, second: xr.DataArray) -> bool:
    dim = first.dims[0]
    return dim == second.dims[0] and bool(np.array_equal(first[dim].values, second[dim].values))


def _span(field: xr.DataArray) -> str:
    steps = field[field.dims[0]].values
    if not len(steps):
        return "no dates"
    return f"{str(steps[0])[:10]} to {str(steps[-1])[:10]} ({len(steps)} steps)"


def _cells(field: xr.DataArray) -> str:
    return " x ".join(str(size) for size in field.shape[1:]) or "1"


def _same_values(first: xr.DataArray, second: xr.DataArray) -> bool:
    for start in range(0, len(first), _BLOCK):
        one, other = (np.asarray(field[start : start + _BLOCK].values, np.float64) for field in (first, second))
        if not np.array_equal(one, other, equal_nan=True):
            return False
    return True


def _counts(one: Run, other: Run, split: str, variable: str) -> str:
    """Return the numbers of samples, where they differ: all that is known where no predictions are kept."""
    found = []
    for run in (one, other):
        rows = run.scores
        rows = rows[(rows["split"] == split) & (rows["variable"] == variable) & (rows["group"] == "all")]
        found.append(float(rows["n"].max()))
    if found[0] == found[1] or any(math.isnan(count) for count in found):
        return ""
    return f"{found[0]:g} and {found[1]:g} samples"
