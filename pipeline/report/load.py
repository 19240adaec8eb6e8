"""Reads a run folder into records; what is not there stays empty, and its part of the report is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
import yaml

from pipeline.cf import names_back
from pipeline.errors import RunFolderError
from pipeline.report.leads import at_lead, leads_in, middle
from pipeline.run_folder import STAGES

SCORES = ("model", "split", "variable", "group", "metric", "value", "units", "low", "high", "n")
COMPARISONS = (
    "model", "reference", "split", "variable", "group", "metric", "difference", "low", "high", "relative", "n",
)  # fmt: skip
TESTS = ("p_dm", "p_sign")  # of comparisons; runs of older versions have none
CHANGES = (
    "model", "variable", "index", "first", "second", "value", "low", "high", "truth", "error", "units",
    "years_first", "years_second",
)  # fmt: skip
_TEXT = {"model", "reference", "split", "variable", "group", "metric", "units", "index", "first", "second"}


@dataclass(frozen=True, eq=False)
class Member:
    """One fitted member of a model.

    Parameters
    ----------
    model, name : str
        Such as ``unet`` and ``member-00``.
    history : DataFrame or None
        One row an epoch: ``epoch, train_loss, validation_loss, lr, seconds``; deep models only.
    summary : mapping
        What was chosen or learned.
    """

    model: str
    name: str
    history: pd.DataFrame | None
    summary: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Stage:
    """Time and memory of one stage, and what it said about itself."""

    name: str
    seconds: float
    memory: float
    summary: Mapping[str, Any]
    outputs: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder, read.

    Parameters
    ----------
    path : Path
        The folder.
    text : str
        ``experiment.yaml`` as it stands.
    experiment, provenance, ingest : mapping
        Parsed ``experiment.yaml``, ``provenance.json`` and ``work/ingest/summary.json``.
    scores, comparisons, changes : DataFrame
        ``scores.csv``, ``comparisons.csv`` and ``changes.csv``; the latter two may be empty.
    stages : tuple of Stage
        In the order of the pipeline, those of another name last.
    members : tuple of Member
        Of all models, sorted by model and number.
    methods : mapping of str to mapping
        Summaries of uncertainty methods, by ``unet+deep_ensemble``.
    """

    path: Path
    text: str
    experiment: Mapping[str, Any]
    provenance: Mapping[str, Any]
    ingest: Mapping[str, Any]
    scores: pd.DataFrame
    comparisons: pd.DataFrame
    changes: pd.DataFrame
    stages: tuple[Stage, ...]
    members: tuple[Member, ...]
    methods: Mapping[str, Mapping[str, Any]]

    def diagnostics(self, model: str) -> xr.Dataset | None:
        """Return the maps and curves of ``model`` on the test set, in memory; None where there are none.

        Of several leads they are those of :attr:`shown_lead`; curves over all leads are as they are.
        """
        return self._shown(self._dataset("diagnostics", model, keep=True))

    def attributions(self, model: str) -> xr.Dataset | None:
        """Return the explanations of ``model``, in memory; None where there are none."""
        return self._dataset("attributions", model, keep=True)

    @cached_property
    def novelty(self) -> xr.Dataset | None:
        """How unusual the samples of every split are, in memory; None where the run says nothing of it."""
        return self._dataset("diagnostics", "novelty", keep=True)

    def predictions(self, model: str) -> xr.Dataset | None:
        """Return the predictions of ``model``, opened lazily: close it after use; None where there are none.

        Of several leads they are those of :attr:`shown_lead`, by the times that were forecast.
        """
        return self._shown(self.forecasts(model))

    def forecasts(self, model: str) -> xr.Dataset | None:
        """Return the predictions of ``model`` at all leads, by the times they were made; see :meth:`predictions`."""
        return self._dataset("predictions", model, keep=False)

    @property
    def is_series(self) -> bool:
        """Whether it is about series rather than fields."""
        return bool(self.experiment.get("task") == "series")

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of a segmentation, in the order of their numbers; empty for other tasks."""
        if self.experiment.get("task") != "segmentation":
            return ()
        said = self.stage("prepare").get("classes") or ()
        scored = (re.fullmatch(r"class=([^;]+)", group) for group in self.scores["group"].unique())
        return tuple(str(one["name"]) for one in said) or tuple(found[1] for found in scored if found)

    @cached_property
    def leads(self) -> tuple[int, ...]:
        """Leads that were scored apart, in steps; empty where there are not several."""
        return leads_in(self.scores["group"].unique())

    @property
    def shown_lead(self) -> int | None:
        """The lead that is shown where only one can be, the one in the middle; None where there are not several."""
        return middle(self.leads)

    def _shown(self, data: xr.Dataset | None) -> xr.Dataset | None:
        return None if data is None else at_lead(data, self.shown_lead)

    def change_maps(self, model: str, first: str, second: str) -> xr.Dataset | None:
        """Return the maps of a model's changes between two test sets, in memory; None where there are none."""
        for folder in sorted((self.path / "diagnostics").glob("changes*")):
            found = self._dataset(f"diagnostics/{folder.name}", model, keep=True)
            if found is not None and (found.attrs.get("first"), found.attrs.get("second")) == (first, second):
                return found
        return None

    @cached_property
    def explained(self) -> tuple[str, ...]:
        """Models with explanations, in the order of the scores."""
        have = {path.stem for path in (self.path / "attributions").glob("*.nc")}
        order = list(dict.fromkeys(self.scores["model"]))
        return tuple(sorted(have, key=lambda model: order.index(model) if model in order else len(order)))

    def stage(self, name: str) -> Mapping[str, Any]:
        """Return the summary of a stage; empty where it did not run."""
        return next((stage.summary for stage in self.stages if stage.name == name), {})

    def _dataset(self, folder: str, model: str, *, keep: bool) -> xr.Dataset | None:
        path = self.path / folder / f"{model}.nc"
        if not path.is_file():
            return None
        return in_rows(_timed(names_back(xr.load_dataset(path) if keep else xr.open_dataset(path, cache=False))))


def _timed(data: xr.Dataset) -> xr.Dataset:
    """Return tiles of images along ``time`` as all samples are, though they have none."""
    if "tile" not in data.dims:
        return data
    timed = data.rename(tile="time")
    timed.set_close(data.close)  # whoever closes it closes the file
    return timed


def in_rows(data: xr.Dataset) -> xr.Dataset:
    """Return a table of stations with the dims of arrays, (row, station), so that they are drawn as cells are."""
    if "station" not in data.dims:
        return data
    rows = {name: field.expand_dims("row", -2) for name, field in data.data_vars.items() if "station" in field.dims}
    table = data.assign({name: field.transpose(..., "row", "station") for name, field in rows.items()})
    table.set_close(data.close)  # whoever closes the table closes the file
    return table


def load_run(path: str | Path) -> Run:
    """Read the run folder at ``path``.

    Raises
    ------
    RunFolderError
        If there is no such folder, if ``experiment.yaml`` or ``scores.csv`` is not there, or if a
        file cannot be read as what its name says.
    """
    run = Path(path)
    if not run.is_dir():
        raise RunFolderError(f"expected a run folder, got {str(path)!r}, which is not there.")
    text = _text(run, "experiment.yaml")
    try:
        experiment = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RunFolderError(f"expected YAML in {run / 'experiment.yaml'}: {error}") from error
    if not isinstance(experiment, dict):
        raise RunFolderError(f"expected a mapping in {run / 'experiment.yaml'}, got {type(experiment).__name__}.")
    scores = _table(run, "scores.csv", SCORES)
    return Run(
        path=run,
        text=text,
        experiment=experiment,
        provenance=_json(run / "provenance.json"),
        ingest=_json(run / "work" / "ingest" / "summary.json"),
        scores=scores,
        comparisons=_table_or_empty(run, "comparisons.csv", COMPARISONS, TESTS),
        changes=_table_or_empty(run, "changes.csv", CHANGES),
        stages=_stages(run),
        members=_members(run),
        methods=_methods(run),
    )


def _text(run: Path, name: str) -> str:
    try:
        return (run / name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RunFolderError(
            f"expected {name} in the run folder {str(run)!r}, and it is not there. Finish the run first: "
            f"finescale run --resume {run.name}"
        ) from error


def _table_or_empty(run: Path, name: str, columns: tuple[str, ...], numbers: tuple[str, ...] = ()) -> pd.DataFrame:
    if not (run / name).is_file():
        return pd.DataFrame(columns=[*columns, *numbers])
    return _table(run, name, columns, numbers)


def _table(run: Path, name: str, columns: tuple[str, ...], numbers: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return a table; of ``numbers``, further columns, those that are not there are NaN."""
    _text(run, name)
    # A group or a model may be called "NA" or "nan": text columns are read as written.
    frame = pd.read_csv(
        run / name,
        dtype=dict.fromkeys(_TEXT & set(columns), "str"),
        keep_default_na=False,
        na_values={column: ["", "nan", "NaN"] for column in (*columns, *numbers) if column not in _TEXT},
    )
    missing = [column for column in columns if column not in frame]
    if missing:
        raise RunFolderError(
            f"expected the columns {', '.join(columns)} in {run / name}, got {', '.join(frame.columns)}; "
            f"missing: {', '.join(missing)}."
        )
    return frame.assign(**{column: float("nan") for column in numbers if column not in frame})


def _json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RunFolderError(f"expected JSON in {path}: {error}") from error
    if not isinstance(data, dict):
        raise RunFolderError(f"expected a JSON object in {path}, got {type(data).__name__}.")
    return data


def _stages(run: Path) -> tuple[Stage, ...]:
    stages = []
    for path in sorted((run / "stages").glob("*.json")):
        data = _json(path)
        stages.append(
            Stage(
                name=str(data.get("stage", path.stem)),
                seconds=_float(data.get("seconds")),
                memory=_float(data.get("peak_memory_mib")),
                summary=data.get("summary") or {},
                outputs=tuple(data.get("outputs") or ()),
            )
        )
    # Not by when they started: two stages may start in the same second.
    return tuple(sorted(stages, key=lambda stage: STAGES.index(stage.name) if stage.name in STAGES else len(STAGES)))


def _members(run: Path) -> tuple[Member, ...]:
    members = []
    for folder in sorted((run / "models").glob("*/member-*")):
        history = folder / "history.csv"
        members.append(
            Member(
                model=folder.parent.name,
                name=folder.name,
                history=pd.read_csv(history) if history.is_file() else None,
                summary=_json(folder / "summary.json"),
            )
        )
    return tuple(members)


def _methods(run: Path) -> dict[str, Mapping[str, Any]]:
    return {path.parent.name: _json(path) for path in sorted((run / "models").glob("*/summary.json"))}


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)
