"""Named plug-ins: one file and one decorator add one."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.errors import ConfigError, MissingExtraError, UnknownNameError

T = TypeVar("T")


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'rmse'?"`` for a near miss among ``known``, else an empty string.

    What is written out where the name is short is one, too.

    Examples
    --------
    >>> suggest("rsme", ["mae", "rmse"]), suggest("learning_rate", ["depth", "lr"])
    (" Did you mean 'rmse'?", " Did you mean 'lr'?")
    """
    known = list(known)
    short = "".join(word[0] for word in name.lower().split("_") if word)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6) or [one for one in known if one == short != name[:1]]
    return f" Did you mean {near[0]!r}?" if near else ""


class Registry(Generic[T]):
    """Plug-ins of one kind by name.

    The first look-up imports every module of ``package`` whose name has no leading underscore, so
    a file's presence is its registration and importing the package costs nothing.

    Parameters
    ----------
    kind : str
        What the names stand for, as error messages say it: ``"metric"``.
    package : str
        Dotted name of the package that holds the plug-ins.

    Examples
    --------
    >>> colours = Registry("colour", "pipeline.backend")
    >>> @colours.register("teal")
    ... class Teal: ...
    >>> colours.get("teal").__name__
    'Teal'
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._requires: dict[str, tuple[str, ...]] = {}
        self._filled = False

    def register(self, name: str, *, requires: tuple[str, ...] = ()) -> Callable[[T], T]:
        """Return a decorator that files its object under ``name``.

        Parameters
        ----------
        name : str
            The name used in YAML files.
        requires : tuple of str
            Import names of optional libraries, checked when the plug-in is asked for.

        Raises
        ------
        ConfigError
            If another object already has the name.
        """

        def decorate(entry: T) -> T:
            known = self._entries.get(name)
            if known is not None and getattr(known, "__qualname__", known) != getattr(entry, "__qualname__", entry):
                raise ConfigError(f"the {self.kind} {name!r} is already registered by {known!r}; choose another name.")
            self._entries[name] = entry
            self._requires[name] = requires
            return entry

        return decorate

    def get(self, name: str) -> T:
        """Return the plug-in called ``name``.

        Raises
        ------
        UnknownNameError
            If there is none; the message names the nearest and all known names.
        MissingExtraError
            If a library it needs is not installed.
        """
        self._fill()
        if name not in self._entries:
            known = ", ".join(self.names())
            raise UnknownNameError(f"unknown {self.kind} {name!r}.{suggest(name, self._entries)} Known: {known}.")
        for library in self._requires[name]:
            if importlib.util.find_spec(library) is None:
                raise MissingExtraError(
                    f"{self.kind} {name!r} needs {library}, which is not installed. Run: pip install {library}"
                )
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """Return all known names, sorted."""
        self._fill()
        return tuple(sorted(self._entries))

    def __contains__(self, name: str) -> bool:
        self._fill()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _fill(self) -> None:
        if self._filled:
            return
        self._filled = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self._package}.{module.name}")


def load_plugins(files: Iterable[str | Path] = (), *, base: Path | None = None) -> tuple[str, ...]:
    """Import the plug-in files of an experiment and the ``finescale.plugins`` entry points.

    Parameters
    ----------
    files : iterable of path
        Python files that register something on import; relative ones are looked up in ``base``.
    base : Path, optional
        Folder of the experiment file; the working folder by default.

    Returns
    -------
    tuple of str
        Names of what was loaded, for the provenance.

    Raises
    ------
    ConfigError
        If a file is not there or fails on import.
    """
    loaded: list[str] = []
    for point in importlib.metadata.entry_points(group="finescale.plugins"):
        point.load()
        loaded.append(f"{point.name} ({point.value})")
    for file in files:
        path = Path(file) if Path(file).is_absolute() else (base or Path.cwd()) / file
        if not path.is_file():
            raise ConfigError(f"plugins: expected a Python file, got {str(file)!r}, which is not at {path}.")
        # Named by its path, so that two experiments may both bring a `mine.py`.
        name = "finescale_plugin_" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
        if name not in sys.modules:
            spec: Any = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            try:
                spec.loader.exec_module(module)
            except Exception as error:
                del sys.modules[name]
                raise ConfigError(f"plugins: {path} failed on import: {type(error).__name__}: {error}") from error
        loaded.append(str(file))
    return tuple(loaded)
