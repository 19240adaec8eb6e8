"""Files that are whole or not there, their digests, and what JSON can hold."""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import platformdirs

from pipeline.errors import ConfigError, FinescaleError

TEMPORARY = ".tmp-"


@contextmanager
def write_atomic(path: str | Path) -> Iterator[Path]:
    r"""Yield a temporary path beside ``path``, renamed to it when the block ends without an error.

    The block makes a file or a folder there. It has the suffix of ``path``, which writers look at.
    Both are on the disk before the rename, so not even a power cut leaves half a file with a whole
    name. A file is replaced in one step; of a folder, the old one is moved away first, so for a
    moment there is none. A folder is never replaced by a file: what is in it stays. Files in a
    folder are as readable for others as the folder is, whatever mode a library gave them.

    Raises
    ------
    FinescaleError
        If the block wrote nothing.
    ConfigError
        If it wrote a file, and ``path`` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.csv"
    >>> with write_atomic(path) as temporary:
    ...     _ = temporary.write_text("model,value\n")
    >>> path.read_text()
    'model,value\n'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        if not temporary.exists():
            raise FinescaleError(f"expected {path.name!r} to be written to {temporary}, got nothing there.")
        if not temporary.is_dir():
            require_no_folder(path)
        _open_up(temporary)
        _to_disk(temporary)
        if path.is_dir():
            old = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-old-{path.name}")
            path.rename(old)
            temporary.rename(path)
            remove(old)
        else:
            temporary.replace(path)
        _sync(path.parent)
    finally:
        remove(temporary)


def require_no_folder(path: str | Path, option: str = "") -> None:
    """Refuse a place for a file where a folder stands, before hours of work go into it.

    Parameters
    ----------
    path : str or Path
        What somebody gave as the name of a file that is written.
    option : str
        The option that it was given by, for the message.

    Raises
    ------
    ConfigError
        If it is a folder.

    Examples
    --------
    >>> require_no_folder("/tmp", "--to")
    Traceback (most recent call last):
    pipeline.errors.ConfigError: --to: expected the name of a file to write, got the folder '/tmp'. ...
    """
    if Path(path).is_dir():
        raise ConfigError(
            f"{option}{': ' if option else ''}expected the name of a file to write, got the folder {str(path)!r}. "
            "Nothing in it was touched; name a file in it, or another."
        )


def cache_folder() -> Path:
    """Return where what can be fetched or measured again is kept: ``FINESCALE_CACHE``, else the user's cache."""
    return Path(os.environ.get("FINESCALE_CACHE") or platformdirs.user_cache_dir("finescale"))


def file_digest(path: str | Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_digest(data: Any) -> str:
    """Return the sha256 of ``data`` as JSON with sorted keys: the same for equal content.

    Examples
    --------
    >>> json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(plain(data), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plain(data: Any) -> Any:
    """Return ``data`` as JSON has it: NumPy scalars and arrays, paths and times turned, NaN to None.

    Raises
    ------
    TypeError
        If there is something in it that JSON has no form for.
    """
    if isinstance(data, Mapping):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    np = sys.modules.get("numpy")  # where nobody imported it nothing is of its types, and lists of runs come sooner
    if np is not None and isinstance(data, np.ndarray):
        return plain(data.tolist())
    if np is not None and isinstance(data, np.generic):
        return plain(data.item())
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if data is None or isinstance(data, (str, bool, int)):
        return data
    if isinstance(data, datetime):
        return data.isoformat(timespec="seconds")
    if isinstance(data, Path):
        return data.as_posix()
    raise TypeError(f"expected numbers, text, lists and mappings for JSON, got {data!r} of {type(data).__name__}.")


def remove(path: Path) -> None:
    """Delete a file or a folder with all in it; nothing happens if it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _open_up(path: Path) -> None:
    """Give private files in a folder its own permissions, which are those of the umask."""
    if not path.is_dir():
        return
    for inner in path.rglob("*"):
        mode = inner.stat().st_mode
        # safetensors writes through a temporary file, 0600 whatever the umask is.
        if inner.is_file() and not inner.is_symlink() and not mode & 0o077:
            inner.chmod(mode & 0o777 | inner.parent.stat().st_mode & 0o666)


def _to_disk(path: Path) -> None:
    for inner in sorted(path.rglob("*")) if path.is_dir() else ():
        _sync(inner)
    _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
