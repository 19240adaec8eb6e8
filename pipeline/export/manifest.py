"""What a bundle says of itself: its graphs, their inputs and outputs, and what a caller has to do before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import FormatError, RunFolderError
from pipeline.export.example import grid_words
from pipeline.export.graph import inputs_of, outputs_of
from pipeline.files import file_digest
from pipeline.grid import Grid
from pipeline.prediction import FAMILIES
from pipeline.prepare.recipe import Recipe

MANIFEST, EXAMPLE, GRAPHS = "manifest.json", "example.nc", "graphs"
FORMAT = 1
_MEANINGS = {
    "mean": "mean",
    "sd": "standard deviation; its square is a variance",
    "wet": "probability of more than nothing",
    "shape": "shape of the gamma distribution of amounts, where there is any",
    "scale": "scale of that gamma distribution",
    "probabilities": "probability of each class",
    "members": "members, all with the same weight",
    "quantiles": "quantiles, from the lowest level to the highest",
    "weight": "weight of each component; they add up to 1",
    "centre": "mean",
    "lowest": "what no value lies below",
    "highest": "what no value lies above",
    "expected_entropy": "mean of the members' entropies [nat]",
}


def graph_facts(recipe: Recipe, family: str, combined: str, members: int, formats: Sequence[str]) -> dict[str, Any]:
    """Return what the manifest says of graphs.

    Parameters
    ----------
    recipe : Recipe
        What was fitted to prepare the data.
    family, combined : str
        Families of what a graph answers and of what all of them say together.
    members : int
        How many graphs a format has.
    formats : sequence of str
        Names of :data:`pipeline.export.engines.ENGINES`.
    """
    schema, kind = recipe.schema, FAMILIES.get(family)
    several = members > 1

    def front(name: str) -> list[str]:
        return [kind.leading[name]] if name in kind.leading else []

    return {
        "formats": list(formats),
        "members": members,
        "inputs": [
            {
                "name": one.name, "dtype": "float32", "shape": ["batch", *one.shape], "what": one.words,
                "entries": list(one.entries), "units": list(one.units),
            }
            for one in inputs_of(recipe)
        ],
        "outputs": [
            {
                "name": outputs_of([name])[0], "parameter": name, "dtype": "float32",
                "dims": [*front(name), "batch", "target", *schema.target_grid.dims],
                "what": _MEANINGS.get(name, name.replace("_", " ")),
                "units": ["1" if name in kind.unitless else units for units in schema.target_units],
            }
            for name in kind.parameters
        ],
        "family": family,
        "targets": list(schema.targets),
        "classes": list(schema.classes),
        "combine": {
            "family": combined,
            "how": "each member is one graph; the predictive distribution is the mixture of all with equal weights, so "
            "its mean is the mean of their means, and its variance the mean of their variances plus the variance of "
            "their means" if several else "one graph is the whole answer",
        },
        "grids": {"inputs": grid_facts(schema.input_grid), "outputs": grid_facts(schema.target_grid)},
        "preprocessing": _steps(recipe),
    }  # fmt: skip


def grid_facts(grid: Grid) -> dict[str, Any]:
    """Return what the last two axes are; their latitudes and longitudes stand in the example file."""
    stations = {"stations": list(grid.stations)} if grid.stations else {}
    return {"dims": list(grid.dims), "shape": list(grid.shape), "is": grid_words(grid), **stations}


def _steps(recipe: Recipe) -> dict[str, Any]:
    """Return what stands between raw predictors and units: what the graph does, and what its caller has to."""
    encoder, host = recipe.encoder, recipe.backend.to_host

    def numbers(values: Any) -> Any:
        values = host(values)
        return (
            values.squeeze().tolist() if values.size <= 4 * len(values) else "one a cell, in the recipe and the graph"
        )

    caller = [
        f"regrid every predictor to the input grid ({encoder.method}) and convert it to its units",
        "give the lags " + ", ".join(map(str, encoder.lags)) + " in steps of "
        f"{recipe.schema.step_word} behind one another, all predictors of the first lag before those of the second",
    ]
    caller += {
        "leave_out": ["leave out samples with a missing value; of a table give NaN, and the answer there is NaN"],
        "mean": ["give NaN for a missing value: the graph puts the mean of the train split there"],
        "last": ["put the last value known before in place of a missing one; NaN where there is none"],
    }[encoder.missing]
    return {
        "caller": caller,
        "graph": {
            "transform": dict(zip(encoder.names, encoder.transforms, strict=True)),
            "anomaly": "none" if encoder.anomaly is None else "less the mean of the day of the year",
            "mean": numbers(encoder.scaler.mean),
            "deviation": numbers(encoder.scaler.deviation),
            "target_scale": numbers(recipe.transform.scale),
            "day_of_year": recipe.scalars.calendar,
        },
    }


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a folder but its manifest, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def check(folder: Path, manifest: dict[str, Any]) -> None:
    """Refuse a bundle that is not as it was made.

    Raises
    ------
    FormatError
        If another version of Finescale made it.
    RunFolderError
        If a file is missing, changed or too many.
    """
    if manifest.get("format") != FORMAT:
        raise FormatError(
            f"expected a bundle of format {FORMAT} in {folder}, got {manifest.get('format')!r}. Make it again with this"
            " version, or use the one that made it."
        )
    found, told = digests(folder), manifest["files"]
    wrong = sorted(name for name in {*found, *told} if found.get(name) != told.get(name))
    if wrong:
        raise RunFolderError(
            f"expected the bundle {folder} as it was made, got {', '.join(wrong[:3])} missing, changed or added. Copy "
            "it again."
        )
