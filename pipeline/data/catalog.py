"""The data catalog: which files a dataset is made of, and what its variables mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from pipeline.data import READERS
from pipeline.errors import CatalogError, UnknownNameError
from pipeline.registry import suggest
from pipeline.schema import read_yaml, validate

SCHEMA_VERSION = 1
FILE_NAME = "data_catalog.yaml"
_FEW = 12  # names that a message lists


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileSpec(_Part):
    """One file, or a glob of them."""

    _base: Path | None = PrivateAttr(default=None)
    path: str = Field(
        min_length=1, description="Absolute, or relative to the mirror, the cache or the catalog; may be a glob."
    )
    url: str | None = Field(default=None, description="Where it is downloaded from if it is nowhere here.")
    sha256: str | None = Field(default=None, description="Required with a URL; else a file that is another is refused.")
    archive: str | None = Field(default=None, description="Member of the zip or tar that `path` is.")

    @property
    def base(self) -> Path | None:
        """Folder of the catalog that it stands in, where that is another one than the working catalog."""
        return self._base

    @property
    def is_glob(self) -> bool:
        """Whether ``path`` stands for several files."""
        return any(sign in self.path for sign in "*?[")

    @field_validator("sha256")
    @classmethod
    def _digest(cls, sha256: str | None) -> str | None:
        if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
            raise ValueError(f"expected 64 hexadecimal digits, got {sha256!r}")
        return sha256.lower() if sha256 else None

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("https://", "http://")):
            raise ValueError(f"expected a URL that starts with https:// or http://, got {url!r}")
        return url

    @model_validator(mode="after")
    def _together(self) -> FileSpec:
        if self.url and not self.sha256:
            raise ValueError(f"expected a sha256 beside the url of {self.path!r}; get it with sha256sum")
        if self.is_glob and (self.url or self.sha256 or self.archive):
            raise ValueError(f"the glob {self.path!r} cannot have a url, sha256 or archive; list its files one by one")
        if self.url and (Path(self.path).is_absolute() or ".." in PurePosixPath(self.path).parts):
            raise ValueError(f"expected a relative path without '..' beside a url, got {self.path!r}")
        return self


class Variable(_Part):
    """What a variable is called and means, here and in the file."""

    units: str = Field(description="Units in which it is used; '1' for none. Converted on load.")
    standard_name: str | None = Field(default=None, description="CF standard name.")
    source: str | None = Field(
        default=None, alias="from", description="Its name in the file, where that is another one."
    )
    source_units: str | None = Field(
        default=None, description="Units in the file, where it does not say them or says them wrong."
    )
    missing: list[float] = Field(
        default_factory=list, description="Values in the file, in its units, that stand for none."
    )
    minimum: float | None = Field(
        default=None, description="Lower limit, in `units`; rounding errors below it are set to it and recorded."
    )
    select: dict[str, float | str] = Field(
        default_factory=dict, description="One value of a further dim, such as {plev: 85000}."
    )
    classes: list[str] = Field(
        default_factory=list, description="Names of classes 0, 1, ..., where the values are class numbers; units '1'."
    )

    @model_validator(mode="after")
    def _of_classes(self) -> Variable:
        if not self.classes:
            return self
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"expected two classes or more, each with a name of its own, got {self.classes!r}")
        if bad := [name for name in self.classes if not name.isidentifier()]:
            raise ValueError(f"expected class names of letters, digits and _, got {bad[0]!r}")
        if self.units != "1" or self.minimum is not None:
            raise ValueError(f"expected units '1' and no minimum beside classes, got {self.units!r}, {self.minimum!r}")
        return self


class Entry(_Part):
    """One dataset: one format, one grid."""

    _name: str = PrivateAttr(default="")
    format: str = Field(description="Name of a reader.")
    options: dict[str, Any] = Field(default_factory=dict, description="The reader's own keys.")
    files: list[FileSpec] = Field(default_factory=list, description="Where its bytes are.")
    variables: dict[str, Variable] = Field(
        min_length=1, description="What it holds, by the names that experiments use."
    )
    licence: str = Field(min_length=1, description="Terms of use; 'unknown' is an answer.")
    citation: str | None = Field(default=None, description="What to cite who uses it.")
    description: str | None = Field(default=None, description="What it is, in a sentence.")

    @property
    def name(self) -> str:
        """Its key in the catalog."""
        return self._name

    @field_validator("variables")
    @classmethod
    def _names(cls, variables: dict[str, Variable]) -> dict[str, Variable]:
        for name in variables:
            if not name.isidentifier() or name in {"time", "lat", "lon", "station", "y", "x"}:
                raise ValueError(
                    f"expected a variable name of letters, digits and _, and not that of a dim, got {name!r}"
                )
        return variables


class Catalog(Mapping[str, Entry]):
    """Entries by name; each is checked when it is looked up, so that a faulty one is in nobody's way.

    Parameters
    ----------
    path : Path
        The file; relative paths in it are also looked up in its folder.
    entries : mapping
        Entries by name, or what YAML says of them.
    below : Catalog, optional
        Asked for names that ``entries`` lacks.
    """

    def __init__(self, path: Path, entries: Mapping[str, Any], below: Catalog | None = None) -> None:
        self.path = path
        self.below = below
        self._entries = entries

    @classmethod
    def load(cls, path: Path, below: Catalog | None = None) -> Catalog:
        """Return the catalog in the YAML file ``path``.

        Top-level keys are entries, but for ``schema_version`` and keys that start with ``_``,
        which may hold YAML anchors.

        Raises
        ------
        CatalogError
            If the file is not there, is no YAML, or has no entries by name of this schema version.
        """
        tree = read_yaml(Path(path), CatalogError)
        if not isinstance(tree, dict):
            raise CatalogError(f"{path}: expected entries by name, got {tree!r}.")
        version = tree.pop("schema_version", None)
        if version != SCHEMA_VERSION:
            raise CatalogError(f"{path}: expected schema_version: {SCHEMA_VERSION} at the top, got {version!r}.")
        raw = {str(name): value for name, value in tree.items() if not str(name).startswith("_")}
        return cls(Path(path), raw, below)

    def __getitem__(self, name: str) -> Entry:
        """Return the entry ``name``, checked against the schema, and its format and options against the reader.

        Raises
        ------
        CatalogError
            If there is no such entry (the message names the nearest), or it does not fit the schema or
            its reader; the message names the file, the entry and the key.
        """
        if name not in self:
            raise CatalogError(f"{self.path}: no dataset {name!r}.{suggest(name, self)} {self._known()}")
        if self.below is not None and name not in self._entries:
            entry = self.below[name]
            for file in entry.files:
                file._base = self.below.path.resolve().parent
            return entry
        raw = self._entries[name]
        entry = raw if isinstance(raw, Entry) else make_entry(name, raw, str(self.path))
        check_reader(entry, str(self.path))
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter([*self._entries, *(name for name in self.below or () if name not in self._entries)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in self._entries or (self.below is not None and name in self.below)

    def _known(self) -> str:
        """Return what there is, for messages: of many the user's own, and how to list the rest."""
        names = sorted(self)
        if len(names) > _FEW:
            own = ", ".join(sorted(self._entries)) if self.below is not None and len(self._entries) <= _FEW else ""
            more = (
                f"Known: {own}, and {len(self) - len(self._entries)} that are shipped" if own else f"{len(names)} known"
            )
            return f"{more}; finescale data list shows all."
        return f"Known: {', '.join(names) or 'none'}."

    def origin(self, name: str) -> Path:
        """Return the file that the entry ``name`` stands in."""
        return self.path if self.below is None or name in self._entries else self.below.origin(name)


def find_catalog(explicit: Path | None = None) -> Path:
    """Return the catalog file: the one asked for, else the working folder's, else the packaged one.

    Raises
    ------
    CatalogError
        If the one asked for is not there.
    """
    if explicit is not None:
        if not Path(explicit).is_file():
            raise CatalogError(f"expected a catalog file, got {str(explicit)!r}, which is not there.")
        return Path(explicit)
    for path in (Path.cwd() / FILE_NAME, *_packaged()):
        if path.is_file():
            return path
    raise CatalogError(f"expected {FILE_NAME} in {Path.cwd()} or in the package, found none. Pass --catalog FILE.")


def open_catalog(explicit: Path | None = None, below: Path | None = None) -> Catalog:
    """Return the catalog of :func:`find_catalog`; below that of the working folder lies the packaged one.

    Below an ``explicit`` one lies only what is asked for by ``below``.

    Raises
    ------
    CatalogError
        If the one asked for is not there, or one of them is no catalog.
    """
    path = find_catalog(explicit)
    if explicit is not None:
        return Catalog.load(path, None if below is None else Catalog.load(below))
    packaged = next((other for other in _packaged() if other.is_file()), path)
    return Catalog.load(path, None if path.resolve() == packaged.resolve() else Catalog.load(packaged))


def _packaged() -> tuple[Path, ...]:
    # In a wheel it lies beside this module; in a checkout at the root of the tree.
    here = Path(__file__).parent
    return here / FILE_NAME, here.parents[1] / FILE_NAME


def make_entry(name: str, raw: Any, where: str) -> Entry:
    """Return the entry ``name`` made from its YAML; ``where`` is the file named in messages.

    Raises
    ------
    CatalogError
        If it does not fit the schema.

    Examples
    --------
    >>> raw = {"format": "netcdf", "files": [{"path": "a.nc"}], "variables": {"tas": {"units": "K"}}, "licence": "CC0"}
    >>> make_entry("mine", raw, "catalog.yaml").variables["tas"].units
    'K'
    """
    if not isinstance(raw, dict):
        raise CatalogError(f"{where}: entry {name!r}: expected keys such as format, files and variables, got {raw!r}.")
    entry = validate(Entry, raw, where=f"{where}: entry {name!r}", error=CatalogError)
    entry._name = name
    return entry


def check_reader(entry: Entry, where: str) -> None:
    """Check the entry's format, options and files against its reader.

    Raises
    ------
    CatalogError
        If the format is unknown, an option does not fit, or files are missing or in the way.
    """
    try:
        reader = READERS.get(entry.format)
    except UnknownNameError as error:
        raise CatalogError(f"{where}: entry {entry.name!r}: format: {error}") from error
    validate(
        reader.Options, entry.options, where=f"{where}: entry {entry.name!r}", error=CatalogError, prefix="options"
    )
    if reader.needs_files != bool(entry.files):
        expected = "at least one file" if reader.needs_files else "no files"
        raise CatalogError(
            f"{where}: entry {entry.name!r}: expected {expected} for format {entry.format!r}, got {len(entry.files)}."
        )
