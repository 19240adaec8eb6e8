"""A bundle with graphs that need no Finescale: written, checked against the model, read again."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pipeline import __version__
from pipeline.cf import CONVENTIONS, conforming
from pipeline.errors import ConfigError, DataError, PredictError, RunFolderError, TraitError
from pipeline.export.engines import ENGINES, largest_gap
from pipeline.export.example import example_inputs, example_samples, reference
from pipeline.export.graph import Physical, arguments, inputs_of, outputs_of
from pipeline.export.manifest import EXAMPLE, FORMAT, GRAPHS, MANIFEST, check, digests, graph_facts
from pipeline.files import write_atomic
from pipeline.model import Model
from pipeline.prediction import FAMILIES, Prediction
from pipeline.prepare.recipe import Recipe
from pipeline.samples import Samples

if TYPE_CHECKING:
    from flows.apply.bundle import Bundle
    from pipeline.export.reading import Given

NATIVE = "native"
TOLERANCE = 1e-5
"""Most that a graph may differ from the model, over the spread of the target."""
_EXAMPLE, _CHECKED = 2, 3  # samples of the example, and of the check: another number, so that the first axis is free


def formats() -> tuple[str, ...]:
    """Return what a bundle can be made of."""
    return (NATIVE, *ENGINES.names())


def write_graphs(bundle: Bundle, folder: Path, asked: Sequence[str]) -> dict[str, Any]:
    """Write one graph a member and format into ``folder``; return what the manifest says of them.

    Raises
    ------
    TraitError
        If the model is no network, or its method more than an ensemble of networks.
    PredictError
        If a graph does not answer what the model answers.
    """
    recipe, members = bundle.recipe, _members(bundle)
    inputs, example, other = inputs_of(recipe), example_inputs(recipe, _EXAMPLE), example_inputs(recipe, _CHECKED, 1)
    engines = {name: ENGINES.get(name)() for name in asked}
    for engine in engines.values():
        engine.require()
    (folder / GRAPHS).mkdir()
    context = bundle.space.context(bundle.base)
    answers, family = [], ""
    for number, model in enumerate(members):
        graph = Physical(recipe, copy.deepcopy(model.answering(example_samples(recipe, 1)))).cpu().eval()
        family = graph.family
        names = FAMILIES.get(family).parameters

        def said(samples: Samples, model: Model = model) -> Prediction:
            return model.predict(samples, context)

        answers.append(reference(recipe, example, said))
        expected = reference(recipe, other, said)
        for name, engine in engines.items():
            path = folder / _graph(number, engine.suffix)
            engine.save(graph, arguments(inputs, example), ([one.name for one in inputs], outputs_of(names)), path)
            found = engine.load(path)(arguments(inputs, other))
            gap = largest_gap(dict(zip(names, found, strict=True)), expected.parameters, _spread(recipe))
            if not gap <= TOLERANCE:
                raise PredictError(
                    f"bundle: expected the {name} graph of {bundle.name!r} to answer what the model does, "
                    f"got a difference of {gap:.1e} of the target's spread, above {TOLERANCE:g}. Nothing was written; "
                    "take --format native."
                )
    whole = answers[0] if len(answers) == 1 else mixed(answers)
    from flows.header import of_command

    attrs = of_command(bundle.name, bundle.origin, bundle.space.run.read_json("work/settings.json"), "bundle")
    _write_example(folder / EXAMPLE, recipe, example, answers, whole, attrs)
    return graph_facts(recipe, family, whole.family, len(members), asked)


def write_manifest(bundle: Bundle, folder: Path, asked: Sequence[str], graphs: dict[str, Any] | None) -> None:
    """Write what the bundle is, with the digest of every file that is there."""
    from flows.header import terms

    run = bundle.space.run
    settings = run.read_json("work/settings.json")
    provenance = run.read_json("provenance.json") if (run / "provenance.json").is_file() else {}
    planned = bundle.space.plan.models[bundle.base]
    said = {
        "format": FORMAT,
        "finescale": __version__,
        "run": bundle.origin,
        "model": bundle.name,
        "kind": planned.type.__name__,
        "task": bundle.space.plan.experiment.task,
        "formats": list(asked),
        "data": terms(settings),
        "provenance": {key: provenance.get(key) for key in ("source", "started", "seeds") if key in provenance},
        "graphs": graphs,
        "files": digests(folder),
    }
    (folder / MANIFEST).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def mixed(answers: Sequence[Prediction]) -> Prediction:
    """Return the equal mixture of what members answer."""
    family = FAMILIES.get(answers[0].family)()
    return Prediction(family.mixture, family.mix([answer.parameters for answer in answers]))


@dataclass(frozen=True, eq=False)
class Graphs:
    """The graphs of a bundle, loaded with one engine."""

    recipe: Recipe
    family: str
    runs: tuple[Callable[[Sequence[np.ndarray]], list[np.ndarray]], ...]

    @classmethod
    def load(cls, folder: Path, recipe: Recipe, engine: str) -> Graphs:
        """Return the graphs in ``folder``.

        Raises
        ------
        ConfigError
            If it has none for that engine.
        """
        facts = (read_manifest(folder) or {}).get("graphs")
        if facts is None or engine not in facts["formats"]:
            there = ", ".join((read_manifest(folder) or {"formats": [NATIVE]})["formats"])
            raise ConfigError(
                f"--engine {engine}: expected a bundle with such graphs, got {folder} with {there}. Make one with: "
                f"finescale bundle RUN --model NAME --to DIR --format {engine}"
            )
        made = ENGINES.get(engine)()
        made.require()
        runs = tuple(made.load(folder / _graph(number, made.suffix)) for number in range(facts["members"]))
        return cls(recipe, str(facts["family"]), runs)

    def __call__(self, given: Given) -> Prediction:
        """Return what the graphs say together, in units, on the device of the recipe's backend."""
        inputs, names = arguments(inputs_of(self.recipe), given.inputs), FAMILIES.get(self.family).parameters
        put = self.recipe.backend.asarray
        answers = [
            Prediction(self.family, {name: put(part) for name, part in zip(names, run(inputs), strict=True)})
            for run in self.runs
        ]
        return answers[0] if len(answers) == 1 else mixed(answers)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a bundle; None of a run, or of a bundle of before there were any."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunFolderError(f"expected JSON in {path}, got something else: {error}") from error
    check(folder, found)
    return found


def zip_folder(folder: Path, to: Path) -> Path:
    """Write a folder as one file, not compressed: weights hardly are."""
    with write_atomic(to) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return to


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield a folder with what a zipped bundle holds; it is gone afterwards.

    Raises
    ------
    DataError
        If the file is no archive, or has a path that leads out of it.
    """
    folder = Path(tempfile.mkdtemp(prefix="finescale-bundle-"))
    try:
        try:
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    parts = PurePosixPath(name)
                    if parts.is_absolute() or ".." in parts.parts or "\\" in name:
                        raise DataError(
                            f"expected a zipped bundle in {path}, got the path {name!r}, which leads out of it."
                        )
                archive.extractall(folder)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"expected a zipped bundle in {path}, got a file that cannot be read: {error}") from error
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _graph(number: int, suffix: str) -> str:
    return f"{GRAPHS}/member-{number:02d}{suffix}"


def _members(bundle: Bundle) -> list[Model]:
    """Return the networks whose answers make that of the bundle.

    Raises
    ------
    TraitError
        If there are none, or they make it another way.
    """
    space = bundle.space
    if "trainable" not in bundle.traits:
        raise TraitError(
            f"bundle: expected a network for --format {' or '.join(ENGINES.names())}, got {bundle.name!r}, which is "
            "none. Take --format native."
        )
    if bundle.name in space.plan.models:
        return [space.model(bundle.name)]
    made = space.method(bundle.name)
    found: list[Model] = list(getattr(made, "_members", []))
    if type(made).__name__ != "DeepEnsemble" or not found:
        raise TraitError(
            f"bundle: expected a network or a deep ensemble for --format {' or '.join(ENGINES.names())}, got "
            f"{bundle.name!r}, whose answer is more than that of its networks. Take "
            "--format native."
        )
    return found


def _spread(recipe: Recipe) -> np.ndarray:
    """Return the scale of every target, (target, 1 or lat, 1 or lon); of classes 1."""
    scale = np.asarray(recipe.backend.to_host(recipe.transform.scale))
    return np.concatenate([scale] * len(recipe.schema.leads))


def _write_example(
    path: Path,
    recipe: Recipe,
    example: dict[str, np.ndarray],
    answers: Sequence[Prediction],
    whole: Prediction,
    attrs: dict[str, str],
) -> None:
    """Write inputs, what every graph answers and what they say together; with the places of both grids."""
    schema = recipe.schema
    sides = {"input": schema.input_grid, "target": schema.target_grid}
    parts: dict[str, Any] = {}
    for one in inputs_of(recipe):
        dims = ("batch", one.name, *(f"input_{dim}" for dim in schema.input_grid.dims[: len(one.shape) - 1]))
        parts[one.name] = (dims, example[one.name], {"long_name": one.words} | _one_unit(one.units))
        names = np.asarray(one.entries, dtype=object)
        parts[f"{one.name}_name"] = (dims[1:2], names, {"long_name": f"names along {one.name}"})
    end = ("batch", "target", *(f"target_{dim}" for dim in schema.target_grid.dims))
    for number, answer in enumerate([*answers, whole]):
        prefix = f"member{number:02d}" if number < len(answers) else "together"
        leading = FAMILIES.get(answer.family).leading
        for name, values in answer.parameters.items():
            dims = (f"{prefix}_{leading[name]}", *end) if name in leading else end
            units = ("1",) if name in FAMILIES.get(answer.family)().unitless else schema.target_units
            said = {"long_name": f"{name} that is expected of {prefix}"} | _one_unit(units)
            parts[f"{prefix}_{name}"] = (dims, np.asarray(values), said)
    for side, grid in sides.items():
        for name, values in grid.coords().items():
            if name in ("lat", "lon", "station"):
                dims = tuple(f"{side}_{dim}" for dim in values.dims)
                said = {key: str(value) for key, value in values.attrs.items() if key != "axis"}
                parts[f"{side}_{name}_of" if name == "station" else f"{side}_{name}"] = (dims, values.values, said)
    data = xr.Dataset(parts, attrs={"Conventions": CONVENTIONS, "title": "Example of a bundle's graphs", **attrs})
    conforming(data).to_netcdf(path, engine="netcdf4")


def _one_unit(units: Sequence[str]) -> dict[str, str]:
    """Return the attribute of values that are all in the same units; of others the manifest says which are which."""
    return {"units": units[0]} if len(set(units)) == 1 else {}
