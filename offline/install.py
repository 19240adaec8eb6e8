"""Installs Finescale from the parts beside this file, without network: `python install.py`.

Checks every part, unpacks them, makes a virtual environment and installs into it from the wheels alone. It needs
Python with its module venv, nothing else. Started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS, CONTENTS, WHEELS = "parts.json", "contents.csv", "unpacked"


class InstallError(Exception):
    """Something a user can mend."""


def main(words: Sequence[str] | None = None) -> int:
    """Check, unpack and install; return the exit code."""
    parser = argparse.ArgumentParser(description="Install Finescale from the parts beside this file, without network.")
    parser.add_argument("--venv", type=Path, default=Path("finescale-venv"), help="Virtual environment to be made.")
    parser.add_argument("--parts", type=Path, default=HERE, help="Folder of the parts.")
    parser.add_argument("--check", action="store_true", help="Only tell whether all parts are there and whole.")
    asked = parser.parse_args(words)
    try:
        facts = known(asked.parts)
        check(asked.parts, facts)
        print(f"{len(facts['parts'])} parts are there and whole.", flush=True)
        if not asked.check:
            install(asked.parts, facts, asked.venv)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def known(folder: Path) -> dict:
    """Return what the parts are.

    Raises
    ------
    InstallError
        If the file that tells is not there, or not whole.
    """
    path = folder / PARTS
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InstallError(f"expected {path}, got none that can be read ({error}). Copy it here again.") from error


def check(folder: Path, facts: dict) -> None:
    """Refuse parts that are missing, cut short or changed, all of them by name.

    Raises
    ------
    InstallError
        With what has to be copied again.
    """
    wrong = []
    for part in facts["parts"]:
        path = folder / part["file"]
        if not path.is_file():
            wrong.append(f"{part['file']} is missing")
        elif path.stat().st_size != part["size"]:
            wrong.append(f"{part['file']} has {path.stat().st_size} of {part['size']} bytes")
        else:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != part["sha256"]:
                wrong.append(f"{part['file']} is corrupt (sha256 {found[:12]}..., expected {part['sha256'][:12]}...)")
    if wrong:
        raise InstallError(f"{'; '.join(wrong)}. Copy {'it' if len(wrong) == 1 else 'them'} to {folder} again.")


def install(folder: Path, facts: dict, venv: Path) -> None:
    """Unpack and install.

    Raises
    ------
    InstallError
        If this Python is another than the wheels are for, or pip fails.
    """
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if own != facts["python"]:
        raise InstallError(
            f"expected Python {facts['python']}, which the wheels are for, got {own}. Run python{facts['python']}."
        )
    machine = os.uname().machine
    if machine != facts["machine"]:
        raise InstallError(f"expected a machine of {facts['machine']}, which the wheels are for, got {machine}.")
    place = folder / WHEELS
    if not unpacked(place):
        unpack(folder, facts, place)
    python = venv / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", str(venv))
    words = [
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
        "--no-index",
        "--find-links",
        str(place / "wheels"),
    ]
    run(str(python), *words, "--constraint", str(place / "constraints.txt"), facts["requirement"])
    print(f"{facts['requirement']} is installed. Try: {venv / 'bin' / 'finescale'} doctor")


def unpack(folder: Path, facts: dict, place: Path) -> None:
    """Unpack the archive, which the parts are behind each other."""
    source = io.BufferedReader(Joined(folder / part["file"] for part in facts["parts"]), 2**20)
    with tarfile.open(fileobj=source, mode="r|") as archive:
        archive.extractall(place, filter="data")


def unpacked(place: Path) -> bool:
    """Whether all wheels of the list are there in their size."""
    try:
        with (place / CONTENTS).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        sizes = [((place / "wheels" / row["file"]).stat().st_size, int(row["size"])) for row in rows]
    except OSError:
        return False
    return (place / "constraints.txt").is_file() and all(found == wanted for found, wanted in sizes)


class Joined(io.RawIOBase):
    """Files read one behind the other."""

    def __init__(self, paths: Iterator[Path]) -> None:
        self._paths = iter(paths)
        self._file: io.FileIO | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        while True:
            if self._file is None:
                path = next(self._paths, None)
                if path is None:
                    return 0
                self._file = io.FileIO(path)
            if count := self._file.readinto(buffer):  # type: ignore[arg-type]
                return count
            self._file.close()
            self._file = None


def run(*words: str) -> None:
    """Run a command without any setting of pip's, which could name an index.

    Raises
    ------
    InstallError
        If it fails.
    """
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    done = subprocess.run(words, env={**clean, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"})
    if done.returncode:
        raise InstallError(f"{' '.join(words[:4])} ... ended with {done.returncode}, see above.")


if __name__ == "__main__":
    sys.exit(main())
