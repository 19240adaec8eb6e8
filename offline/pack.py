"""Packs everything that a machine without network needs to install Finescale: `make wheelhouse`.

Wheels of Finescale and all that it depends on, torch too, in one archive cut into parts of a chosen size, beside a
script that checks and installs them and a list of what is inside. It needs Python and pip, nothing else. Started again
after it stopped, it goes on where it was: wheels that are there are not downloaded twice.
"""

from __future__ import annotations

import argparse
import csv
import email.parser
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARCHIVE, PARTS, CONTENTS = "wheels.tar", "parts.json", "contents.csv"
CPU_TORCH = "https://download.pytorch.org/whl/cpu"
OLDEST_GLIBC = 5  # of manylinux tags: 2.5 up to the one that is asked for


@dataclass(frozen=True)
class Wheel:
    """One line of the list: a wheel, its licence as it tells it, its size in bytes and its checksum."""

    name: str
    version: str
    licence: str
    size: int
    sha256: str
    file: str


class PackError(Exception):
    """Something a user can mend."""


def main(words: Sequence[str] | None = None) -> int:
    """Download, list and pack; return the exit code."""
    asked = parser().parse_args(words)
    try:
        pack(asked)
    except PackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split(":", maxsplit=1)[0] + ".")
    made.add_argument("--python", default="", metavar="3.12", help="Of the machine to be installed on; this one's own.")
    made.add_argument("--glibc", default="2.28", help="The newest that wheels may ask for; ldd --version tells.")
    made.add_argument("--machine", default="x86_64", help="x86_64 or aarch64; uname -m tells.")
    made.add_argument("--extra", default="", help="Extras of Finescale with commas, as gpu or gpu,grib.")
    made.add_argument(
        "--torch", default="", choices=("", "cpu", "cuda"), help="Build; cuda with the extra gpu, else cpu."
    )
    made.add_argument(
        "--torch-index", default=CPU_TORCH, help="Where CPU builds of torch are; '' for pip's own places."
    )
    made.add_argument("--part-mib", type=int, default=1000, help="Size of a part.")
    made.add_argument("--out", type=Path, default=Path("wheelhouse"), help="Folder of the parts.")
    made.add_argument("--wheels", type=Path, help="Folder of wheels; by default OUT/wheels, which may go afterwards.")
    made.add_argument("--no-download", action="store_true", help="Pack the wheels that are there.")
    return made


def pack(asked: argparse.Namespace) -> None:
    """Do it.

    Raises
    ------
    PackError
        If a part would be empty, a wheel is missing, or pip fails.
    """
    if asked.part_mib < 1:
        raise PackError(f"expected parts of 1 MiB or more, got --part-mib {asked.part_mib}.")
    version = asked.python or f"{sys.version_info.major}.{sys.version_info.minor}"
    extras = [part.strip() for part in asked.extra.split(",") if part.strip()]
    wheels = asked.wheels or asked.out / "wheels"
    for folder in (asked.out, wheels):
        folder.mkdir(parents=True, exist_ok=True)
    if not asked.no_download:
        download(asked, version, extras, wheels)
    found = [described(path) for path in sorted(wheels.glob("*.whl"))]
    own = [wheel for wheel in found if wheel.name.lower() == "finescale"]
    if len(own) != 1:
        raise PackError(f"expected one wheel of Finescale in {wheels}, got {len(own)}. Leave out --no-download.")
    files = {f"wheels/{wheel.file}": wheels / wheel.file for wheel in found}
    files["constraints.txt"] = ROOT / "constraints.txt"
    texts = {CONTENTS: table(found)}
    parts = write_parts(asked.out, files, texts, asked.part_mib * 2**20)
    facts = {
        "python": version,
        "machine": asked.machine,
        "requirement": f"finescale{'[' + ','.join(extras) + ']' if extras else ''}=={own[0].version}",
        "parts": parts,
    }
    (asked.out / PARTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (asked.out / CONTENTS).write_text(texts[CONTENTS], encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name("install.py"), asked.out / "install.py")
    size = sum(wheel.size for wheel in found) / 2**20
    print(f"{len(found)} wheels, {size:.0f} MiB, in {len(parts)} parts: {asked.out}")
    print(f"Copy all but its folder wheels, then run there: python{version} install.py")


def download(asked: argparse.Namespace, version: str, extras: Sequence[str], wheels: Path) -> None:
    """Build Finescale's wheel and download all that it depends on.

    Raises
    ------
    PackError
        If pip fails; it has said why.
    """
    for old in wheels.glob("finescale-*.whl"):
        old.unlink()
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT))
    own = str(next(wheels.glob("finescale-*.whl"))) + (f"[{','.join(extras)}]" if extras else "")
    words = ["download", "--dest", str(wheels), "--only-binary=:all:", "--constraint", str(ROOT / "constraints.txt")]
    words += ["--python-version", version, "--implementation", "cp"]
    words += [word for tag in platforms(asked.glibc, asked.machine) for word in ("--platform", tag)]
    build = asked.torch or ("cuda" if "gpu" in extras else "cpu")
    if build == "cpu" and asked.torch_index:
        words += ["--extra-index-url", asked.torch_index]
    pip(*words, own)
    if build == "cpu":
        check_torch(wheels)


def check_torch(wheels: Path) -> None:
    """Refuse a CUDA build where the CPU's was asked for: of the same version pip takes the latter, if an index has it.

    Raises
    ------
    PackError
        If it is another build, or there are several.
    """
    found = [path.name for path in wheels.glob("torch-*.whl")]
    if len(found) != 1 or "+cpu-" not in found[0].replace("%2B", "+"):
        raise PackError(
            f"expected one CPU build of torch in {wheels}, got {', '.join(found) or 'none'}. Delete what is too many, "
            "say where CPU builds are with --torch-index, or take --torch cuda."
        )


def platforms(glibc: str, machine: str) -> Iterator[str]:
    """Yield the tags of wheels that run with that glibc, the newest first.

    Examples
    --------
    >>> tags = list(platforms("2.17", "x86_64"))
    >>> tags[0], tags[-1], len(tags)
    ('manylinux_2_17_x86_64', 'linux_x86_64', 17)
    """
    newest = int(glibc.partition(".")[2])
    for minor in range(newest, OLDEST_GLIBC - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
    old = ((17, "manylinux2014"), (12, "manylinux2010"), (5, "manylinux1"))
    yield from (f"{name}_{machine}" for least, name in old if least <= newest)
    yield f"linux_{machine}"


def pip(*words: str) -> None:
    """Run pip of this Python.

    Raises
    ------
    PackError
        If it fails.
    """
    done = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *words])
    if done.returncode:
        raise PackError(f"pip {words[0]} ended with {done.returncode}, see above. Run the same again to go on.")


def described(path: Path) -> Wheel:
    """Return what a wheel says of itself.

    Raises
    ------
    PackError
        If it is no wheel, as after a download that broke off.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            said = email.parser.Parser().parsestr(archive.read(name).decode("utf-8", "replace"), headersonly=True)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise PackError(f"{path}: expected a wheel, got a broken one ({error}). Delete it and run again.") from error
    classes = [each for each in said.get_all("Classifier", []) if each.startswith("License ::")]
    words = said.get("License-Expression") or (said.get("License") or "").strip().partition("\n")[0]
    licence = words or "; ".join(each.rpartition(" :: ")[2] for each in classes) or "not told"
    return Wheel(said["Name"], said["Version"], licence[:80], path.stat().st_size, digest(path), path.name)


def table(wheels: Sequence[Wheel]) -> str:
    """Return the list of what is inside as CSV, a line a wheel."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Wheel.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(wheel) for wheel in wheels)
    return text.getvalue()


def digest(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Cut(io.RawIOBase):
    """A file to write to that goes on in a next part when one is full; each is renamed once it is whole."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self.parts: list[dict[str, object]] = []
        self._open()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        whole = len(view)
        while len(view):
            if self._left == 0:
                self._done()
                self._open()
            taken = view[: self._left]
            self._file.write(taken)
            self._hash.update(taken)
            self._left -= len(taken)
            view = view[len(taken) :]
        return whole

    def close(self) -> None:
        if not self.closed:
            self._done()
        super().close()

    def _open(self) -> None:
        self._path = self._folder / f"{ARCHIVE}.{len(self.parts):03d}"
        self._file = self._path.with_suffix(self._path.suffix + ".new").open("wb")
        self._hash, self._left = hashlib.sha256(), self._size

    def _done(self) -> None:
        self._file.close()
        Path(self._file.name).replace(self._path)
        size = self._size - self._left
        self.parts.append({"file": self._path.name, "size": size, "sha256": self._hash.hexdigest()})


def write_parts(folder: Path, files: dict[str, Path], texts: dict[str, str], size: int) -> list[dict[str, object]]:
    """Write files as one archive in parts of ``size`` bytes; return name, size and sha256 of each part.

    The same files give the same parts: the archive holds no dates and no owners.
    """
    for old in folder.glob(f"{ARCHIVE}.*"):
        old.unlink()
    cut = _Cut(folder, size)
    with tarfile.open(fileobj=cut, mode="w|", bufsize=2**20) as archive:
        for name, text in sorted(texts.items()):
            data = text.encode()
            archive.addfile(_member(name, len(data)), io.BytesIO(data))
        for name, path in sorted(files.items()):
            with path.open("rb") as file:
                archive.addfile(_member(name, path.stat().st_size), file)
    cut.close()
    return cut.parts


def _member(name: str, size: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size = size
    return made


if __name__ == "__main__":
    sys.exit(main())
