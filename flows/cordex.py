"""From a run to the files of a CORDEX ML-Bench submission."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from flows.load import validate_tree
from flows.sources import Sources, open_sources
from pipeline.data import READERS
from pipeline.data.catalog import Entry, check_reader, make_entry
from pipeline.data.cordex_check import validate_submission
from pipeline.data.cordex_submission import (
    MEMBERS,
    UNITS,
    VARIABLES,
    Template,
    dates_of,
    submission_dataset,
    submission_path,
    times_of,
    write_submission,
)
from pipeline.data.files import locate
from pipeline.data.units import conversion
from pipeline.errors import ConfigError, DataError
from pipeline.prediction.members import evenly
from pipeline.prediction.serial import from_dataset, read
from pipeline.prediction.serial.stamps import back
from pipeline.prepare.dates import components
from pipeline.run_folder import RunFolder
from pipeline.seeding import derive_seed

FORMAT = "cordex_ml_bench"
FOLDER = "cordex-ml-bench"  # where the shipped catalog looks for the benchmark, in the mirror or the working folder
Content = Literal["auto", "mean", "members"]
_DAYS = 64  # read, drawn and written at a time: ten members of it take 84 MB a variable


@dataclass(frozen=True)
class Request:
    """What ``finescale cordex submit`` asks for.

    Parameters
    ----------
    model : str
        Name of a model, or of a model with its method, among the run's predictions.
    to : Path
        Folder that the submission is written into.
    name : str
        Name of the submission; its top folder.
    templates : Path, optional
        Folder of the official templates; without it the training target's own file stands for them.
    content : {"auto", "mean", "members"}
        One field a day, or ten members; ``auto``: members of whatever is a distribution.
    data : Path, optional
        Local mirror, where the files are no longer in that of the run.
    """

    model: str
    to: Path
    name: str
    templates: Path | None = None
    content: Content = "auto"
    data: Path | None = None


@dataclass(frozen=True)
class Written:
    """A file of a submission, how many negative amounts of rain were set to zero, and what is wrong with it."""

    path: Path
    negative: int
    differences: tuple[str, ...]


@dataclass(frozen=True)
class _Set:
    """A test set of the benchmark: its name in the run, and the file of its predictors."""

    split: str
    options: dict[str, Any]
    predictors: Path


def submit(run: RunFolder, request: Request) -> tuple[Written, ...]:
    """Write one file for every test set of the benchmark that the run predicted.

    Memory holds a few weeks of one test set at a time.

    Raises
    ------
    ConfigError
        If the run's target is none of the benchmark, or no test set is.
    DataError
        If the predictions are not there or do not fit the template, or a source file is nowhere.
    """
    experiment = validate_tree(run / "experiment.yaml")
    settings = run.read_json("work/settings.json")
    mirror, below = (Path(path) if path else None for path in (settings["data"], settings.get("catalog_below")))
    sources = open_sources(Path(settings["catalog"]), request.data or mirror, below)
    target = sources.catalog[experiment.data.target.dataset]
    if target.format != FORMAT:
        raise ConfigError(
            f"expected a run on CORDEX ML-Bench, got one whose target {target.name!r} is of format {target.format!r}."
        )
    sets = [
        found
        for name, test in experiment.data.tests.items()
        for source in test.predictors[:1]
        if (found := _set_of(name, sources.catalog[source.dataset], sources)) is not None
    ]
    if not sets:
        raise ConfigError(
            f"expected test sets of CORDEX ML-Bench in data.tests of {run.name}, got "
            f"{', '.join(experiment.data.tests) or 'none'}."
        )
    if request.templates is not None:
        template = Template.read(request.templates, target.options["domain"])
    else:
        template = Template.of_target(_file_of(target, sources), target.options["domain"])
    return tuple(_written(run, request, template, target, one, experiment.seed) for one in sets)


def trial(folder: Path, domain: str, days: int) -> list[str]:
    """Return the words of ``finescale run`` for a quick run on a made tree, whose days are fewer than the benchmark's.

    Examples
    --------
    >>> trial(Path("mirror/cordex-ml-bench"), "NZ", 400)[:5]
    ['cordex-nz', '--data', 'mirror', '--set', "'split.train=[1961-01-01, 1961-07-19]'"]
    """
    first = date(1961, 1, 1)
    # Half of the days to train on, a sixth to validate, a third to test; a leap day that the files lack moves nothing.
    edges = [first + timedelta(days=part) for part in (0, days // 2, days // 2 + days // 6, days)]
    spans = [f"[{begin}, {end - timedelta(days=1)}]" for begin, end in pairwise(edges)]
    changes = [
        f"split.{name}={span}" for name, span in zip(("train", "validation", "test.held_out"), spans, strict=True)
    ]
    changes += [
        f"models.{name}.epochs={epochs}" for name, epochs in (("deepesd", 40), ("doury_unet", 6), ("noise_unet", 4))
    ]
    mirror = ["--data", shlex.quote(str(folder.parent))]
    return [f"cordex-{domain.lower()}", *mirror, *(word for text in changes for word in ("--set", shlex.quote(text)))]


def checked(folder: Path, templates: Path, data: Path | None = None) -> dict[Path, tuple[str, ...]]:
    """Return what is wrong with every file of a submission in ``folder``, by file.

    Parameters
    ----------
    folder : Path
        A submission, ``{D}_Domain`` or anything below it.
    templates : Path
        Folder of the official templates.
    data : Path, optional
        The benchmark's folder; the days are compared with those of the test predictors in it.

    Raises
    ------
    ConfigError
        If there is no file of a submission.
    DataError
        If a file, its template or its test predictors cannot be read.
    """
    paths = sorted(Path(folder).resolve().rglob("Predictions_*.nc"))
    if not paths:
        raise ConfigError(f"expected files Predictions_pr_tasmax_GCM_PERIOD.nc below {folder}, found none.")
    found = {}
    for path in paths:
        quality, period, _, domain = (parent.name for parent in path.parents[:4])
        code = domain.removesuffix("_Domain")
        predictors = None if data is None else _predictors_of(path, code, period, quality, data)
        found[path] = validate_submission(path, Template.read(templates, code), predictors)
    return found


def _predictors_of(path: Path, domain: str, period: str, quality: str, data: Path) -> Path:
    """Return the test predictors that a file of a submission belongs to, by its place and name."""
    gcm = path.name.removeprefix("Predictions_pr_tasmax_").rsplit("_", 1)[0]
    options = {"domain": domain, "part": "test", "period": period, "quality": quality, "gcm": gcm}
    raw = {"format": FORMAT, "files": [{"path": str(data)}], "options": options, "licence": "unknown"}
    entry = make_entry(path.name, {**raw, "variables": {"u_850": {"units": "m s-1"}}}, str(path))
    check_reader(entry, str(path))
    return READERS.get(FORMAT)().within(entry, data)[0]


def _set_of(split: str, entry: Entry, sources: Sources) -> _Set | None:
    if entry.format != FORMAT or entry.options.get("part") != "test":
        return None
    return _Set(split, entry.options, _file_of(entry, sources))


def _file_of(entry: Entry, sources: Sources) -> Path:
    """Return the first of an entry's files without a look at its digest: the run has taken it."""
    reader = READERS.get(entry.format)()
    for spec in entry.files:
        located = locate(spec, sources.places)
        if located is not None:
            return reader.within(entry, located[1][0])[0]
    raise DataError(
        f"{entry.name}: expected the files that the run read, found them in none of "
        f"{', '.join(str(folder) for _, folder in sources.places.folders())}. Pass --data DIR."
    )


def _written(run: RunFolder, request: Request, template: Template, target: Entry, one: _Set, seed: int) -> Written:
    path = submission_path(
        request.to,
        request.name,
        domain=target.options["domain"],
        experiment=target.options["experiment"],
        period=one.options["period"],
        quality=one.options["quality"],
        predictors=one.predictors,
    )
    source = run / f"predictions/{request.model}.nc"
    if not source.is_file():
        known = ", ".join(sorted(file.stem for file in (run / "predictions").glob("*.nc"))) or "none"
        raise DataError(f"expected predictions of {request.model!r} in {run.name}, which has none. Known: {known}.")
    time = times_of(one.predictors)
    with read(source, one.split) as part:
        _check_dates(part, time, one)
        fields = {name: _field(part, name, one.split, request, seed) for name in VARIABLES}
        negative = int((fields["pr"] < 0).sum().compute())
        fields["pr"] = fields["pr"].clip(min=0.0)
        write_submission(path, submission_dataset(fields, time, template))
    return Written(path, negative, validate_submission(path, template, one.predictors))


def _check_dates(part: xr.Dataset, time: xr.Variable, one: _Set) -> None:
    """Refuse predictions that lack days of the test predictors."""
    calendars = json.loads(part["split"].attrs.get("calendars", "{}"))
    stamps = part["time"].to_numpy()
    stamps = back(stamps, calendars[one.split]) if one.split in calendars else stamps
    have, want = list(map(tuple, components(stamps)[:, :3].tolist())), dates_of(time)
    if have != want:
        lacking = sorted(set(want) - set(have))
        first = "-".join(f"{number:02d}" for number in lacking[0]) if lacking else "none"
        raise DataError(
            f"{one.split}: expected predictions for the {len(want)} days of {one.predictors.name}, got {len(have)}; "
            f"{len(lacking)} are missing, the first {first}. A submission needs every day: no lags, no months left out."
        )


def _field(part: xr.Dataset, name: str, split: str, request: Request, seed: int) -> xr.DataArray:
    """Return one variable of a test set in the submission's units, lazily, with or without members."""
    if name not in part:
        raise DataError(f"expected predictions of pr and tasmax, got {', '.join(map(str, part.data_vars))}.")
    family = part.attrs["family"]
    as_mean = request.content == "mean" or (request.content == "auto" and family == "point")
    if as_mean:
        field = part[name].chunk({"time": _DAYS})
    elif family == "point":
        raise ConfigError(f"{request.model}: expected a distribution to take members of, got single fields.")
    elif family != "members":
        field = _drawn(part, name, derive_seed(seed, f"submission:{request.model}:{split}"))
    elif (count := part.sizes["member"]) < MEMBERS:
        raise DataError(
            f"{request.model}: expected {MEMBERS} members or more, got {count}. Predict more, or submit their mean "
            "with --content mean."
        )
    else:
        chosen = evenly(count, MEMBERS)
        field = part[f"{name}_member"].isel(member=chosen).drop_vars("member").chunk({"time": _DAYS})
    converted: xr.DataArray = conversion(str(part[name].attrs["units"]), UNITS[name])(field)
    return converted


def _drawn(part: xr.Dataset, name: str, seed: int) -> xr.DataArray:
    """Return ten draws, lazily; both variables are drawn together, so that what joins them is kept."""
    import dask
    import dask.array

    like = part[name]
    blocks = [
        dask.array.from_delayed(
            dask.delayed(_draws)(part, name, start, stop, seed), (MEMBERS, stop - start, *like.shape[1:]), like.dtype
        )
        for start, stop in _spans(like.sizes["time"])
    ]
    coords = {axis: like[axis] for axis in ("lat", "lon")}
    return xr.DataArray(dask.array.concatenate(blocks, axis=1), coords, ("member", *like.dims))


def _draws(part: xr.Dataset, name: str, start: int, stop: int, seed: int) -> np.ndarray:
    forecast = from_dataset(part.isel(time=slice(start, stop)))[0]
    names = [str(key) for key, field in part.data_vars.items() if "parameters" in field.attrs]
    drawn: np.ndarray = forecast.prediction.sample(MEMBERS, seed=derive_seed(seed, "days", start))
    return drawn[:, :, names.index(name)]


def _spans(length: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, _DAYS):
        yield start, min(start + _DAYS, length)
