"""``finescale runs delete``: which runs go, and how they go without taking anything else along."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flows import run_table
from pipeline.errors import ConfigError, RunFolderError
from pipeline.files import TEMPORARY, remove
from pipeline.run_folder import LOCK, RunFolder, RunRecord, list_runs, record_of

# Everything that the stages and the commands write at the top of a run folder.
WRITTEN = frozenset(
    {
        LOCK, "experiment.yaml", "provenance.json", "stages", "log.jsonl", "report.html", "report.md", "scores.csv",
        "comparisons.csv", "changes.csv", "predictions", "attributions", "diagnostics", "figures", "models", "work",
    }
)  # fmt: skip
_DELETED = f"{TEMPORARY}deleted-"
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CENTURY = timedelta(days=36525)


@dataclass(frozen=True)
class Selection:
    """Which runs of a folder are meant, where none is named."""

    failed: bool = False
    unfinished: bool = False
    older_than: timedelta | None = None

    @property
    def asked(self) -> bool:
        """Whether anything is selected by."""
        return self.failed or self.unfinished or self.older_than is not None

    def fits(self, record: RunRecord, now: datetime) -> bool:
        """Return whether ``record`` is meant: of one of the states, if any is named, and old enough."""
        states = [name for name, wanted in (("failed", self.failed), ("unfinished", self.unfinished)) if wanted]
        if states and record.state not in states:
            return False
        if self.older_than is None:
            return True
        return record.started is not None and now - record.started >= self.older_than


def span(text: str) -> timedelta:
    """Return a length of time such as ``30d``.

    Raises
    ------
    ConfigError
        If it is none.

    Examples
    --------
    >>> span("30d"), span("12h")
    (datetime.timedelta(days=30), datetime.timedelta(seconds=43200))
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip().lower())
    if found is None:
        raise ConfigError(
            f"--older-than: expected a number and a unit, m (minutes), h, d or w, such as 30d, got {text!r}."
        )
    unit = timedelta(**{_UNITS[found[2]]: 1})
    if float(found[1]) > _CENTURY / unit:
        raise ConfigError(f"--older-than: expected a hundred years at most, got {text!r}.")
    return float(found[1]) * unit


def chosen(
    out: Path, names: Sequence[str], selection: Selection, now: datetime | None = None
) -> tuple[list[RunRecord], list[RunRecord]]:
    """Return the runs that go, and those that a selection fits and somebody works on, which stay.

    Raises
    ------
    ConfigError
        If neither runs are named nor anything is selected by, or both.
    RunFolderError
        If a named run is not there, somebody works on it, or a folder holds what no run writes.
    """
    if bool(names) == selection.asked:
        raise ConfigError(
            "runs delete: expected either RUN names, or a selection by --failed, --unfinished or --older-than 30d, got "
            f"{'both' if names else 'neither'}."
        )
    if names:
        found = {run.path.resolve(): run for run in (RunFolder.find(out, name) for name in names)}
        records = [record_of(run) for run in found.values()]
        busy = [record for record in records if record.run.at_work()]
        for record in busy:
            with record.run.lock():  # says who works on it
                pass
    else:
        now = now or datetime.now(UTC)
        fitting = [record for record in list_runs(out) if selection.fits(record, now)]
        busy = [record for record in fitting if record.run.at_work()]
        records = [record for record in fitting if record not in busy]
    for record in records:
        require_run(record.run)
    return records, busy


def require_run(run: RunFolder) -> None:
    """Refuse to delete a folder that is not a run's alone.

    Raises
    ------
    RunFolderError
        If it is a link, the working folder or one above it, or holds anything that no run writes.
    """
    path = run.path
    if path.is_symlink():
        raise RunFolderError(f"expected a run folder to delete, got {str(path)!r}, which is a link. Delete the link.")
    if Path.cwd().is_relative_to(path.resolve()):
        raise RunFolderError(
            f"expected a run folder to delete, got {str(path)!r}, which holds the working folder. Go elsewhere first."
        )
    if not (path / "stages").is_dir():
        raise RunFolderError(f"expected a run folder to delete, got {str(path)!r}, which has no folder 'stages'.")
    foreign = sorted(_foreign(path, WRITTEN))
    if foreign:
        raise RunFolderError(
            f"expected a run folder to delete, got {str(path)!r}, which holds what no run writes: "
            f"{', '.join(foreign[:8])}. Move that elsewhere first."
        )


def _foreign(path: Path, written: Collection[str]) -> list[str]:
    names = [inner.name for inner in path.iterdir()]
    return [name for name in names if name not in written and not name.startswith(TEMPORARY)]


def lines(records: Sequence[RunRecord], busy: Sequence[RunRecord]) -> list[str]:
    """Return one line a run that goes, and one for each that stays since somebody works on it."""
    told = run_table.lines(records, results=False) if records else []
    return [*told, *(f"{record.name}: somebody works on it, it stays" for record in busy)]


def delete(record: RunRecord) -> int:
    """Delete a run and return the bytes that were freed.

    It is renamed first, under its own lock: a half-deleted folder is never taken for a run.

    Raises
    ------
    RunFolderError
        If somebody works on it by now.
    """
    require_run(record.run)
    with record.run.lock():
        aside = record.run.path.resolve()
        hidden = aside.with_name(f"{_DELETED}{aside.name}")
        aside.rename(hidden)
        remove(hidden)
    return record.size


def sweep(out: Path) -> None:
    """Delete what an interrupted deletion left behind in ``out``."""
    for path in out.glob(f"{_DELETED}*"):
        if not RunFolder(path).at_work():
            remove(path)
