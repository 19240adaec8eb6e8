"""Where the files of an entry are: absolute, in a mirror, in the cache, beside the catalog, or to be fetched."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline.data import READERS
from pipeline.data.archives import extract, extracted
from pipeline.data.catalog import Catalog, Entry, FileSpec
from pipeline.data.fetch import download
from pipeline.data.records import Found
from pipeline.errors import ChecksumError, DataError
from pipeline.files import cache_folder, file_digest
from pipeline.progress import Progress, silent

Place = Literal["absolute", "mirror", "cache", "catalog", "download"]


@dataclass(frozen=True)
class Places:
    """Folders in which files are looked for, in this order.

    Parameters
    ----------
    mirror : Path or None
        A copy of the files by their catalog paths: ``--data``.
    cache : Path
        Where downloads go.
    base : Path
        The catalog's folder.
    """

    mirror: Path | None
    cache: Path
    base: Path

    @classmethod
    def of(cls, catalog: Catalog, data: Path | None = None) -> Places:
        """Return the places for ``catalog``: ``data`` or ``FINESCALE_DATA``, and ``FINESCALE_CACHE``."""
        named = data if data is not None else os.environ.get("FINESCALE_DATA")
        return cls(Path(named) if named else None, cache_folder(), catalog.path.resolve().parent)

    def folders(self, base: Path | None = None) -> tuple[tuple[Place, Path], ...]:
        """Return the folders by the name of the place, in the order of the search; ``base`` replaces the catalog's."""
        mirror: tuple[tuple[Place, Path], ...] = () if self.mirror is None else (("mirror", self.mirror),)
        return (*mirror, ("cache", self.cache), ("catalog", base or self.base))


def locate(spec: FileSpec, places: Places) -> tuple[Place, tuple[Path, ...]] | None:
    """Return where ``spec``'s files are on this machine, None if they are not; reads no file."""
    if Path(spec.path).is_absolute():
        hits = _matches(Path(spec.path).anchor, spec)
        return ("absolute", hits) if hits else None
    for place, folder in places.folders(spec.base):
        hits = _matches(str(folder), spec)
        if hits:
            return place, hits
    return None


def at_hand(entry: Entry, spec: FileSpec, places: Places) -> tuple[Path, ...] | None:
    """Return the files of ``spec`` as the entry's reader takes them, unchecked; None if they are not there.

    Nothing is fetched, nor taken out of an archive.

    Raises
    ------
    DataError
        If a folder is there and does not hold the entry's files.
    """
    located = locate(spec, places)
    if located is None:
        return None
    if spec.archive is None:
        reader = READERS.get(entry.format)()
        return tuple(file for path in located[1] for file in reader.within(entry, path))
    member = extracted(spec.archive, _unpacked(spec.sha256 or sha256_of(located[1][0]), places))
    return (member,) if member.is_file() else None


def resolve(entry: Entry, places: Places, progress: Progress = silent) -> tuple[Found, ...]:
    """Return the entry's files on this machine, checked, fetching what is not there.

    Raises
    ------
    DataError
        If a file is nowhere and has no URL, or an archive does not hold the member.
    ChecksumError
        If a file is not the one in the catalog.
    NetworkError
        If a download fails after its retries.
    """
    found: list[Found] = []
    with progress(f"find {entry.name}", len(entry.files)) as step:
        for spec in entry.files:
            records = _resolve_one(entry, spec, places, progress)
            found += records if spec.archive is None else [_member(records[0], spec.archive, places)]
            step.advance(note=Path(spec.path).name)
    return tuple(found)


def _member(record: Found, name: str, places: Places) -> Found:
    member = extract(record.path, name, _unpacked(record.sha256, places))
    return replace(record, path=member, bytes=member.stat().st_size)


def _unpacked(sha256: str, places: Places) -> Path:
    return places.cache / "extracted" / sha256[:16]


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file; of a folder, that of its files' names and digests in order.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty"
    >>> path.write_bytes(b"")
    0
    >>> sha256_of(path)[:16]
    'e3b0c44298fc1c14'
    """
    if not path.is_dir():
        return file_digest(path)
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{file_digest(file)}\n".encode())
    return digest.hexdigest()


def _matches(folder: str, spec: FileSpec) -> tuple[Path, ...]:
    root = Path(folder)
    relative = Path(spec.path).relative_to(root) if Path(spec.path).is_absolute() else Path(spec.path)
    if spec.is_glob:
        return tuple(sorted(root.glob(str(relative)))) if root.is_dir() else ()
    return (root / relative,) if (root / relative).exists() else ()


def _resolve_one(entry: Entry, spec: FileSpec, places: Places, progress: Progress) -> list[Found]:
    located = locate(spec, places)
    if located is None:
        if spec.url is None or spec.sha256 is None:
            raise DataError(_nowhere(entry, spec, places))
        target = places.cache / spec.path
        download(spec.url, target, spec.sha256, progress)
        return [Found(target, spec.sha256, spec.url, "download", target.stat().st_size)]
    place, paths = located
    reader = READERS.get(entry.format)()
    return [_checked(entry, spec, file, place) for path in paths for file in reader.within(entry, path)]


def _checked(entry: Entry, spec: FileSpec, path: Path, place: Place) -> Found:
    got = sha256_of(path)
    if spec.sha256 is not None and got != spec.sha256:
        advice = (
            "Delete it, and it is downloaded anew."
            if place == "cache"
            else "It is another version or damaged: replace it; if you changed it yourself, correct the sha256 in the "
            "catalog, or leave it out, as a file without url needs none."
        )
        raise ChecksumError(f"{entry.name}: {path}: expected sha256 {spec.sha256}, got {got}. {advice}")
    size = sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size
    return Found(path, got, spec.url, place, size)


def _nowhere(entry: Entry, spec: FileSpec, places: Places) -> str:
    layout = READERS.get(entry.format)().layout(entry)
    what = f"the folder {spec.path} with {layout} in it" if layout else f"the file {spec.path}"
    if Path(spec.path).is_absolute():
        return f"{entry.name}: expected {what}, which is not there. Correct its path in the catalog."
    looked = ", ".join(f"{folder} ({place})" for place, folder in places.folders(spec.base))
    text = f"{entry.name}: expected {what}, found in none of {looked}; it has no url. "
    if itself := [folder for _, folder in places.folders(spec.base) if layout and _holds(entry, folder)]:
        name, found = Path(spec.path).name, itself[0]
        call = "" if found.name == name else f"call it {name} and "
        return f"{text}{found} is such a folder itself: {call}pass the folder above it, --data {found.parent}"
    return f"{text}Put it into one of them, or pass --data DIR, the folder that holds it."


def _holds(entry: Entry, folder: Path) -> bool:
    """Return whether a folder has the entry's files where its ``path`` should have them."""
    try:
        return folder.is_dir() and all(path.is_file() for path in READERS.get(entry.format)().within(entry, folder))
    except DataError:
        return False
