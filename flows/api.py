"""Finescale from Python: experiments run, runs read, trained models applied; in scripts and in notebooks."""

from __future__ import annotations

import html
import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from flows.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from pipeline.experiment import Experiment

SHOWN = ("rmse", "mae", "bias", "crps", "coverage_90", "iou_mean", "f1_mean", "nse", "kge")
_TEXT = ("model", "reference", "split", "variable", "group", "metric", "units")


def run_experiment(
    experiment: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | Iterable[str] = (),
    *,
    data: str | Path | None = None,
    catalog: str | Path | None = None,
    out: str | Path = "runs",
    backend: str | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Run:
    """Run an experiment in this process, from its files to its report.

    Parameters
    ----------
    experiment : str, Path or mapping
        The name of a shipped experiment, a YAML file, or what such a file holds.
    overrides : mapping or iterable of str
        Changed values: ``{"models.unet.lr": 1e-4}``, or ``["models.unet.lr=1e-4"]`` as on the command line.
    data, catalog : str or Path, optional
        A local mirror of the data; a catalog file.
    out : str or Path
        Folder that holds the runs.
    backend : str, optional
        ``auto``, ``cpu`` or ``gpu``, in place of the experiment's own.
    workers : int, optional
        Processes on a CPU, GPUs on a GPU.
    progress : bool
        Whether stages and members are shown on a terminal as they go; anywhere else nothing is.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    pipeline.errors.FinescaleError
        As the command line says it: a UserError if the experiment, the catalog or the data are at fault.

    Examples
    --------
    >>> from flows import run_experiment
    >>> run_experiment("tinny")
    Traceback (most recent call last):
    pipeline.errors.ConfigError: unknown experiment 'tinny'. Did you mean 'tiny'? Known: ...
    """
    from flows.engine import Request, create_or_find, direct, execute
    from flows.live import watched

    words = _overrides(overrides)
    words += [
        f"compute.{key}={value}" for key, value in (("backend", backend), ("workers", workers)) if value is not None
    ]
    with ExitStack() as closing:
        source = str(experiment)
        if isinstance(experiment, Mapping):
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
            source = str(_written(experiment, folder))
        request = Request(
            experiment=source, overrides=tuple(words), data=_path(data), catalog=_path(catalog), out=Path(out),
            use_server=False,
        )  # fmt: skip
        run = create_or_find(request)
        if isinstance(experiment, Mapping):  # the file is gone when this is over
            settings = run.read_json("work/settings.json")
            run.write_json(
                "work/settings.json", {**settings, "command": ["run_experiment", str(experiment.get("name"))]}
            )
        with watched(run.path) if progress else nullcontext():
            execute(run, direct)
    return Run(run.path)


def load_run(path_or_name: str | Path, out: str | Path = "runs") -> Run:
    """Return a run that is there.

    Parameters
    ----------
    path_or_name : str or Path
        Its folder, its name in ``out``, or the start of one.
    out : str or Path
        Folder that holds the runs.

    Raises
    ------
    pipeline.errors.RunFolderError
        If there is none, or more than one.

    Examples
    --------
    >>> from flows import load_run
    >>> load_run("tiny-2026", out="/nowhere")
    Traceback (most recent call last):
    pipeline.errors.RunFolderError: expected a run's path, name or the start of one, got 'tiny-2026', ...
    """
    from pipeline.run_folder import RunFolder

    return Run(RunFolder.find(Path(out), str(path_or_name)).path)


def load_bundle(path: str | Path, engine: str | None = None) -> Predictor:
    """Return the model of a bundle, a folder or a ``.zip``, for prediction.

    Parameters
    ----------
    path : str or Path
        What ``finescale bundle`` or :meth:`Predictor.export` made.
    engine : str, optional
        ``native``, ``torch_export`` or ``onnx``; by default the model itself where it is there.

    Raises
    ------
    pipeline.errors.UserError
        If it is none, or not as it was made.
    """
    made = Predictor(Path(path), None, engine)
    made.require()
    return made


@dataclass(frozen=True, eq=False)
class Run:
    r"""A run folder, read.

    Parameters
    ----------
    path : Path
        The folder.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "scores.csv").write_text("model,split,group,value\nridge,test,all,1.5\n")
    >>> Run(folder).scores.loc[0, "value"]
    np.float64(1.5)
    """

    path: Path

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment as it was resolved: a frozen tree."""
        from flows.load import validate_tree

        return validate_tree(self.path / "experiment.yaml")

    @cached_property
    def scores(self) -> pd.DataFrame:
        """``scores.csv``: a row a model, split, variable, group and metric; see docs/outputs.md."""
        return _table(self._file("scores.csv", "score"))

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """``comparisons.csv``: models against the baselines, on the same days."""
        return _table(self._file("comparisons.csv", "score"))

    @property
    def models(self) -> tuple[str, ...]:
        """Models and methods with predictions, in the order of the scores."""
        return tuple(dict.fromkeys(self.scores["model"]))

    def predictions(self, model: str) -> xr.Dataset:
        """Return the predictions of a model on the test sets, read when they are asked for; close it after use."""
        return self._dataset("predictions", model, "predict")

    def attributions(self, model: str) -> xr.Dataset:
        """Return the explanations of a model, read when they are asked for; close it after use."""
        return self._dataset("attributions", model, "explain")

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self._file("report.html", "report")

    @cached_property
    def verdict(self) -> str:
        """The answer to the experiment's question, in one sentence."""
        from pipeline.report.result import Result

        return Result.of_run(self.path).verdict

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Sentences that the report's first screen has: what went wrong, and what left the GPU."""
        said = json.loads(self._file("provenance.json", "report").read_text(encoding="utf-8"))
        return (*map(str, said.get("fallbacks", ())), *map(str, said.get("warnings", ())))

    def model(self, name: str | None = None) -> Predictor:
        """Return a fitted model or method for further prediction; by default the best on the validation split."""
        made = Predictor(self.path, name, None)
        made.require()
        return made

    def _file(self, name: str, stage: str) -> Path:
        from pipeline.errors import RunFolderError

        path = self.path / name
        if not path.is_file():
            raise RunFolderError(
                f"expected {name} in {self.path}, which has none: the stage {stage} is not done. Finish the run with: "
                f"finescale run --resume {self.path}"
            )
        return path

    def _dataset(self, folder: str, model: str, stage: str) -> xr.Dataset:
        import xarray as xr

        from pipeline.cf import names_back
        from pipeline.errors import ConfigError
        from pipeline.registry import suggest

        path = self.path / folder / f"{model}.nc"
        if not path.is_file():
            there = sorted(one.stem for one in (self.path / folder).glob("*.nc"))
            self._file(f"stages/{stage}.json", stage)
            raise ConfigError(
                f"no {folder} of {model!r} in {self.path}.{suggest(model, there)} Known: {', '.join(there) or 'none'}."
            )
        return names_back(xr.open_dataset(path, engine="netcdf4"))

    def _repr_html_(self) -> str:
        """Return verdict, scores on the test sets and a link, for notebooks."""
        said = html.escape
        parts = [f"<p><b>{said(self.name)}</b></p>"]
        if not (self.path / "scores.csv").is_file():
            return "".join([*parts, "<p>not finished</p>"])
        table = self.scores
        chosen = table[(table["group"] == "all") & (table["split"] != "validation") & table["metric"].isin(SHOWN)]
        wide = chosen.pivot_table(index=["split", "variable", "model"], columns="metric", values="value", sort=False)
        parts.append(f"<p>{said(self.verdict)}</p>")
        parts.append(str(wide.to_html(float_format=lambda value: f"{value:.4g}", escape=True, na_rep="", border=0)))
        if (self.path / "report.html").is_file():
            parts.append(f'<p><a href="{said((self.path / "report.html").resolve().as_uri())}">report</a></p>')
        return "".join(parts)


def _overrides(given: Mapping[str, Any] | Iterable[str]) -> list[str]:
    """Return changed values as the command line takes them; JSON is YAML."""
    if isinstance(given, Mapping):
        return [f"{key}={json.dumps(value, default=str)}" for key, value in given.items()]
    return [given] if isinstance(given, str) else list(given)


def _written(experiment: Mapping[str, Any], folder: Path) -> Path:
    """Write an experiment to a file; its plugins stand where they stood."""
    tree = json.loads(json.dumps(experiment, default=str))
    if isinstance(tree.get("plugins"), list):
        tree["plugins"] = [str(Path(str(file)).resolve()) for file in tree["plugins"]]
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _table(path: Path) -> pd.DataFrame:
    """Return a table whose names are text, units of ``1`` too."""
    import pandas as pd

    table = pd.read_csv(path, dtype=dict.fromkeys(_TEXT, str), keep_default_na=False, na_values={"": []})
    for name in table.columns.difference(_TEXT):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table
