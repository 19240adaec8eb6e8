"""Members of zip and tar files."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, cast

from pipeline.errors import DataError
from pipeline.files import write_atomic
from pipeline.registry import suggest


def extract(archive: Path, member: str, folder: Path) -> Path:
    """Return the path of ``member`` extracted to ``folder``, once.

    Parameters
    ----------
    archive : Path
        A zip file, or a tar file of any compression.
    member : str
        Name inside it.
    folder : Path
        Where members of this archive go; named by its digest, so that another version goes elsewhere.

    Raises
    ------
    DataError
        If the file is no archive, or has no such member.
    """
    target = extracted(member, folder)
    if target.is_file():
        return target
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as bundle:
                _check(archive, member, [info.filename for info in bundle.infolist() if not info.is_dir()])
                with bundle.open(member) as source:
                    _write(source, target)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                _check(archive, member, [info.name for info in tar.getmembers() if info.isfile()])
                with cast("IO[bytes]", tar.extractfile(member)) as source:
                    _write(source, target)
        else:
            raise DataError(f"{archive}: expected a zip or tar file that holds {member!r}, got neither.")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError) as error:
        raise DataError(f"{archive}: the archive is damaged: {error}. Fetch it again.") from error
    return target


def extracted(member: str, folder: Path) -> Path:
    """Return where :func:`extract` puts ``member``."""
    # The name is data: as one flat file name it cannot lead out of the folder.
    return folder / member.replace("/", "__").replace("..", "_")


def _check(archive: Path, member: str, names: list[str]) -> None:
    if member not in names:
        known = ", ".join(names[:20]) or "nothing"
        raise DataError(f"{archive}: no member {member!r}.{suggest(member, names)} It holds: {known}.")


def _write(source: IO[bytes], target: Path) -> None:
    with write_atomic(target) as part, part.open("wb") as file:
        shutil.copyfileobj(source, file)
