"""Every error Finescale raises on purpose, each with the exit code of the command line.

A message says what was expected, what came (as ``repr``) and what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class FinescaleError(Exception):
    """Base of all errors raised on purpose; exit code 1: network, disk, memory or a worker."""

    exit_code: ClassVar[int] = 1


class NetworkError(FinescaleError):
    """A download failed after its retries."""


class MemoryBudgetError(FinescaleError):
    """Something needs more memory than arrays may take."""


class NoRoomError(MemoryBudgetError):
    """A single sample has no room, so that fewer at once do not help."""


class WorkerError(FinescaleError):
    """A worker of the cluster died or could not be started."""


class TrainingError(FinescaleError):
    """Training produced no usable model, such as a loss that is not finite."""


class CalibrationError(FinescaleError):
    """Error bars cannot be calibrated: too few samples for the level asked, or a distribution of another kind."""


class UserError(FinescaleError):
    """The catalog, the YAML, an option or an input file is at fault; exit code 2."""

    exit_code: ClassVar[int] = 2


class ConfigError(UserError):
    """An experiment or an option does not fit its schema."""


class CatalogError(UserError):
    """A data catalog does not fit its schema, or an entry cannot be used as written."""


class DataError(UserError):
    """An input file is missing, damaged, or holds something else than the catalog says."""


class LackingVariableError(DataError):
    """Files have no such variable."""


class ChecksumError(DataError):
    """A file's sha256 is not the one in the catalog."""


class SplitError(ConfigError):
    """Splits overlap, run backwards, or leave one of them without data."""


class TraitError(ConfigError):
    """A method was asked of a model that cannot serve it."""


class UnknownNameError(ConfigError):
    """A name is in no registry."""


class PredictError(UserError):
    """New data lack something without which a fitted model has nothing to say."""


class MissingExtraError(UserError):
    """A plug-in needs a library that is not installed."""


class BackendUnavailableError(UserError):
    """``gpu`` was asked for and there is none, or its libraries are missing."""


class RunFolderError(UserError):
    """A run folder is not there, is ambiguous, or belongs to another experiment."""


class FormatError(UserError):
    """What another version of Finescale wrote is laid out otherwise."""


def require_format(where: object, got: object, wanted: int) -> None:
    """Refuse what was written in another layout, by the number that is written beside it.

    Raises
    ------
    FormatError
        If ``got`` is not ``wanted``.

    Examples
    --------
    >>> try:
    ...     require_format("runs/x", 2, 3)
    ... except FormatError as error:
    ...     print(error)
    runs/x was made by another version of Finescale (format 2, this one reads 3); run the experiment again.
    """
    if got != wanted:
        said = "no format" if got is None else f"format {got}"
        raise FormatError(
            f"{where} was made by another version of Finescale ({said}, this one reads {wanted}); run the experiment "
            "again."
        )
