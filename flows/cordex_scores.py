"""The benchmark's own diagnostics of a run's predictions, where there is truth."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from flows.load import validate_tree
from pipeline.data.cordex_submission import VARIABLES
from pipeline.errors import ConfigError, DataError
from pipeline.metrics.cordex_indices import summary
from pipeline.prediction.serial import read
from pipeline.run_folder import RunFolder


def diagnosed(run: RunFolder, model: str, season: str | None = None) -> pd.DataFrame:
    """Return the benchmark's diagnostics of a model on every test set with truth, one table.

    Members are diagnosed one by one; of any other distribution it is the mean, which is smoother than a day.

    Raises
    ------
    ConfigError
        If the run predicts neither ``tasmax`` nor ``pr``.
    DataError
        If there are no predictions of the model, or no truth.
    """
    path = run / f"predictions/{model}.nc"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (run / "predictions").glob("*.nc"))) or "none"
        raise DataError(f"expected predictions of {model!r} in {run.name}, which has none. Known: {known}.")
    tables = []
    for split in validate_tree(run / "experiment.yaml").tests:
        with read(path, split) as part:
            names = [name for name in VARIABLES if name in part]
            if not names:
                raise ConfigError(f"expected predictions of tasmax or pr, got {', '.join(map(str, part.data_vars))}.")
            if not all(f"{name}_truth" in part for name in names):
                continue
            truth = xr.Dataset({name: part[f"{name}_truth"] for name in names}).load()
            if not all(bool(truth[name].notnull().any()) for name in names):
                continue
            ending = "_member" if part.attrs["family"] == "members" else ""
            prediction = xr.Dataset({name: part[f"{name}{ending}"] for name in names}).load()
        table = summary(truth, prediction, season)
        table.insert(0, "split", split)
        tables.append(table)
    if not tables:
        raise DataError(f"expected a test set with truth in {run.name}, got none: nothing to compare with.")
    return pd.concat(tables, ignore_index=True)
