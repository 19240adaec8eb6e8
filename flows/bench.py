"""Benchmarks by name, and the files they leave."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flows import speed
from flows.sources import Sources, open_sources
from pipeline.attribution.known import figures, run, shapes
from pipeline.attribution.known.correlation import Correlation, made_correlation, measured_correlation
from pipeline.attribution.known.result import Result
from pipeline.attribution.known.run import Finished
from pipeline.attribution.known.settings import STEP, Settings
from pipeline.backend import Backend, get_backend
from pipeline.data.files import locate, resolve
from pipeline.errors import DataError, UnknownNameError
from pipeline.files import write_atomic
from pipeline.progress import Progress, terminal
from pipeline.registry import suggest
from pipeline.report.figures import Picture

DATASET = "sst-anomaly-covariance"


@dataclass(frozen=True)
class Request:
    """What ``finescale bench NAME`` is asked for: settings, a backend's name, the mirror and the folder of results."""

    name: str
    settings: Settings
    backend: str = "auto"
    data: Path | None = None
    out: Path = Path("bench")


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: what it is in words, and what runs it."""

    words: str
    run: Callable[[Request, Backend, Progress], tuple[Finished, Picture]]


@dataclass(frozen=True)
class Written:
    """What a benchmark found, and the files that hold it."""

    result: Result
    files: tuple[Path, ...]


def listed() -> str:
    """Return all benchmarks, a line each: those against a known truth, then those of speed."""
    words = {name: each.words for name, each in BENCHMARKS.items()} | speed.words()
    longest = max(map(len, words))
    return "\n".join(f"{name:<{longest}}  {said}" for name, said in words.items())


def start(request: Request, progress: Progress = terminal) -> Written:
    """Run a benchmark and write table, JSON and figures into ``out/NAME-SIZE``.

    Raises
    ------
    UnknownNameError
        If there is no such benchmark.
    BackendUnavailableError
        If ``gpu`` is asked for and cannot be had.
    """
    if request.name not in BENCHMARKS:
        names = [*BENCHMARKS, *speed.words()]
        raise UnknownNameError(
            f"unknown benchmark {request.name!r}.{suggest(request.name, names)} Known: {', '.join(names)}."
        )
    finished, maps = BENCHMARKS[request.name].run(request, get_backend(request.backend), progress)
    folder = request.out / f"{request.name}-{request.settings.size}"
    files = [_text(folder / "table.md", finished.result.markdown())]
    files.append(_text(folder / "result.json", json.dumps(finished.result.json(), indent=1, allow_nan=False) + "\n"))
    for name, picture in (("histograms", figures.histograms(finished.result.rows)), ("maps", maps)):
        for end, image in (("", picture.light), ("-dark", picture.dark)):
            path = folder / f"{name}{end}{picture.suffix}"
            with write_atomic(path) as temporary:
                temporary.write_bytes(image)
            files.append(path)
    return Written(finished.result, tuple(files))


def correlation_of(sources: Sources, seed: int, progress: Progress) -> Correlation:
    """Return the measured correlation where its file is on this machine, else a made one; its words say which.

    Nothing is downloaded: ``finescale data fetch sst-anomaly-covariance`` does that.

    Raises
    ------
    DataError
        If the file is there and is not what the catalog says.
    """
    entry = sources.catalog[DATASET]
    if locate(entry.files[0], sources.places) is None:
        return made_correlation(seed)
    path = resolve(entry, sources.places, progress)[0].path
    with np.load(path, allow_pickle=False) as arrays:
        if lacking := sorted({"covariance", "mask"} - set(arrays.files)):
            raise DataError(f"{path}: expected the arrays covariance and mask, got no {lacking[0]}.")
        return measured_correlation(arrays["covariance"], arrays["mask"], f"measured ({DATASET})")


def _of_cells(request: Request, backend: Backend, progress: Progress) -> tuple[Finished, Picture]:
    correlation = correlation_of(open_sources(mirror=request.data), request.settings.seed, progress)
    finished = run.of_cells(correlation, request.settings, backend, progress)
    mask = (correlation.every(STEP) if request.settings.size == "small" else correlation).mask
    drawn = figures.panels(finished, mask.shape, mask)
    return finished, figures.maps(drawn, correlation.grid, earth=not correlation.made)


def _of_images(request: Request, backend: Backend, progress: Progress) -> tuple[Finished, Picture]:
    finished = run.of_images(request.settings, backend, progress)
    return finished, figures.maps(figures.panels(finished, (shapes.SIDE, shapes.SIDE)))


def _text(path: Path, text: str) -> Path:
    with write_atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


BENCHMARKS: Mapping[str, Benchmark] = {
    "attribution": Benchmark(
        "attribution methods on maps of a made world in which each cell adds a known part to the answer", _of_cells
    ),
    "attribution-shapes": Benchmark(
        "attribution methods on images of square and circular frames, whose class is known pixel by pixel", _of_images
    ),
}
