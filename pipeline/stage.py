"""Stages: done once, recorded, found done by the next attempt.

A stage is done when ``stages/<name>.json`` is there, and it is written last. While a stage is at
work, ``stages/<name>.unfinished`` says so; after an error it holds the error.
"""

from __future__ import annotations

import logging
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.backend.memory import trim_host_memory
from pipeline.errors import FinescaleError, RunFolderError
from pipeline.files import file_digest, plain, remove
from pipeline.run_folder import RunFolder
from pipeline.run_log import in_stage

log = logging.getLogger(__name__)

_MIB = 2**20
_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class StageOutput:
    """What a stage's function returns.

    Parameters
    ----------
    paths : tuple of Path
        Files it wrote, and folders that count with all files in them; inside the run folder.
    summary : mapping
        Numbers and text for the report and for the stages behind. ``headline``: the run's result
        in a sentence.
    """

    paths: tuple[Path, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputFile:
    """A file that a stage wrote: path relative to the run folder, sha256 and size in bytes."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class StageRecord:
    """What ``stages/<name>.json`` holds.

    Parameters
    ----------
    stage : str
        Its name.
    digest : str
        Digest of all that went in: the same digest means the same work.
    started : str
        UTC, ISO 8601.
    seconds : float
        How long it took.
    peak_memory_mib : float
        Most memory at one time [MiB]: see :func:`peak_memory`.
    outputs : tuple of OutputFile
        What it wrote, sorted by path.
    summary : dict
        As its function gave it, plain.
    """

    stage: str
    digest: str
    started: str
    seconds: float
    peak_memory_mib: float
    outputs: tuple[OutputFile, ...]
    summary: dict[str, Any]

    @classmethod
    def read(cls, run: RunFolder, stage: str) -> StageRecord:
        """Return the record of a stage that is done.

        Raises
        ------
        RunFolderError
            If there is none, or it is damaged.
        """
        data = run.read_json(f"stages/{stage}.json")
        try:
            return cls(**{**data, "outputs": tuple(OutputFile(**output) for output in data["outputs"])})
        except (TypeError, KeyError) as error:
            raise RunFolderError(f"expected the record of a stage in {run / 'stages'}/{stage}.json: {error}") from error

    def damage(self, run: RunFolder) -> tuple[str, ...]:
        """Return the outputs that are missing or whose bytes are not those that were written."""
        return tuple(
            o.path for o in self.outputs if not (run / o.path).is_file() or file_digest(run / o.path) != o.sha256
        )


def run_stage(
    run: RunFolder, name: str, digest: str, function: Callable[[], StageOutput], *, owns: Iterable[str] = ()
) -> StageRecord:
    """Do a stage, unless it is done: same digest, and every output there with the same sha256.

    Before the work, half-written files and damaged outputs are removed. Whole outputs of an earlier
    attempt with the same digest stay, so that the function may go on where it was; with another
    digest they go, and so does all in ``owns``.

    Parameters
    ----------
    run : RunFolder
        Where to.
    name : str
        The stage's name.
    digest : str
        Digest of all that goes in, such as :func:`~pipeline.run_folder.json_digest` of the section
        of the experiment and of the records of the stages before.
    function : callable
        Does the work, writes with ``write_atomic`` and returns a :class:`StageOutput`.
    owns : iterable of str
        Files and folders, relative, that no other stage writes to.

    Raises
    ------
    FinescaleError
        If an output is not there or not inside the run folder. Errors of ``function`` pass through.
    """
    with in_stage(name):
        done = _done(run, name, digest)
        if done is not None:
            remove(run.unfinished_file(name))  # Killed between the record and this line.
            log.info("%s: already done", name)
            return done
        _clear(run, name, digest, tuple(owns))
        begun = datetime.now(UTC)
        note = {"stage": name, "digest": digest, "started": begun.isoformat(timespec="seconds")}
        unfinished = run.unfinished_file(name).relative_to(run.path)
        run.write_json(unfinished, note)
        log.info("%s: started", name)
        clock = time.perf_counter()
        try:
            with peak_memory() as memory:
                output = function()
            outputs, summary = _files(run, output.paths), plain(output.summary)
        except Exception as error:
            run.write_json(unfinished, {**note, "error": f"{type(error).__name__}: {error}"})
            log.exception("%s: failed", name)
            raise
        seconds = round(time.perf_counter() - clock, 3)
        record = StageRecord(name, digest, note["started"], seconds, memory.mib, outputs, summary)
        run.write_json(f"stages/{name}.json", asdict(record))
        remove(run / unfinished)
        log.info("%s: done in %.1f s, at most %.0f MiB", name, seconds, memory.mib)
        trim_host_memory()
        return record


@dataclass
class PeakMemory:
    """Most memory so far [MiB]."""

    mib: float = 0.0


@contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Yield a record of the most memory that this process and its children hold inside the block.

    Resident memory is read ten times a second, children's (workers') added; pages they share count
    once for each. A child counts from the second look at it on: between its fork and its exec it
    shows the pages of its parent, which would count twice. Of this process alone a shorter peak is
    caught too, if it is the highest since the process began, for the system keeps that one. Memory
    of a GPU is not counted.
    """
    import psutil

    process, peak, stop = psutil.Process(), PeakMemory(), threading.Event()
    known: set[psutil.Process] = set()

    def look() -> None:
        total, children = process.memory_info().rss, set(process.children(recursive=True))
        for child in children & known:
            try:
                total += child.memory_info().rss
            except psutil.Error:
                continue  # It ended between the two calls.
        known.clear()
        known.update(children)
        peak.mib = max(peak.mib, round(total / _MIB, 1))

    def watch() -> None:
        while not stop.wait(_SAMPLE_SECONDS):
            look()

    before = _high_water()
    look()
    watcher = threading.Thread(target=watch, name="peak-memory", daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        stop.set()
        watcher.join()
        look()
        if (after := _high_water()) > before:
            peak.mib = max(peak.mib, round(after / _MIB, 1))


def _high_water() -> int:
    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return value if sys.platform == "darwin" else value * 1024  # Bytes there, KiB on Linux.


def _done(run: RunFolder, name: str, digest: str) -> StageRecord | None:
    record = _read(run, name)
    if record is None:
        return None
    if record.digest != digest:
        log.info("%s: what goes in has changed, so it is done again", name)
        return None
    if damaged := record.damage(run):
        log.warning("%s: done again, for these outputs are missing or damaged: %s", name, ", ".join(damaged))
        return None
    return record


def _clear(run: RunFolder, name: str, digest: str, owns: tuple[str, ...]) -> None:
    for path in run.sweep():
        log.info("%s: removed the half-written %s", name, path)
    unfinished, written = run.unfinished_file(name), run / f"stages/{name}.json"
    record = _read(run, name)
    before = [found for found in (record.digest if record else None, _begun_with(run, name)) if found]
    same = bool(before) and all(found == digest for found in before)
    if record is not None:
        for path in record.damage(run) if same else (output.path for output in record.outputs):
            remove(run / path)
    if not same:
        for path in owns:
            remove(run / path)
    remove(unfinished)
    remove(written)


def _read(run: RunFolder, name: str) -> StageRecord | None:
    if not (run / f"stages/{name}.json").is_file():
        return None
    try:
        return StageRecord.read(run, name)
    except RunFolderError as error:
        log.warning("%s: its record is damaged, so it is done again: %s", name, error)
        return None


def _begun_with(run: RunFolder, name: str) -> str | None:
    try:
        return str(run.read_json(run.unfinished_file(name).relative_to(run.path))["digest"])
    except (RunFolderError, KeyError):
        return None  # Not begun, or nothing says with what.


def _files(run: RunFolder, paths: Iterable[Path]) -> tuple[OutputFile, ...]:
    root = run.path.resolve()
    found: set[Path] = set()
    for path in paths:
        whole = Path(path).resolve()
        if not whole.is_relative_to(root) or not whole.exists():
            raise FinescaleError(f"expected a stage's outputs to be files in {root}, got {str(path)!r}.")
        found |= {inner for inner in whole.rglob("*") if inner.is_file()} if whole.is_dir() else {whole}
    return tuple(
        OutputFile(path.relative_to(root).as_posix(), file_digest(path), path.stat().st_size) for path in sorted(found)
    )
