"""The structured log of a run, ``log.jsonl``: one JSON object a line, through the standard logging module."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from pipeline.run_folder import RunFolder

OURS = ("pipeline", "models", "flows", "finescale")

_stage: ContextVar[str | None] = ContextVar("stage", default=None)
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "stage", "taskName"}


class JsonLines(logging.Formatter):
    """Turns a record into ``{"time", "level", "stage", "logger", "message", "extra"}`` on one line.

    Whatever stands in ``extra=`` of the call goes into ``extra``, what JSON has no form for as text.

    Examples
    --------
    >>> record = logging.makeLogRecord({"msg": "%s epochs", "args": (3,), "levelname": "INFO", "created": 0.0})
    >>> json.loads(JsonLines().format(record))["message"]
    '3 epochs'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "stage": getattr(record, "stage", _stage.get()),
            "logger": record.name,
            "message": record.getMessage(),
            "extra": {key: value for key, value in vars(record).items() if key not in _KNOWN},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


@contextmanager
def log_to(run: RunFolder, level: str = "INFO") -> Iterator[None]:
    """Write what is logged inside the block to the run's ``log.jsonl``, after what stands there.

    Our own modules are logged from ``level`` on, other libraries and Python's warnings from
    ``WARNING`` on. Several processes may write to the same file.
    """
    path = run / "log.jsonl"
    # A killed process may have left half a line; the next one must not be glued to it.
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    handler.setFormatter(JsonLines())
    handler.addFilter(_worth_keeping)
    loggers = [logging.getLogger(name) for name in OURS]
    levels = [logger.level for logger in loggers]
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, old in zip(loggers, levels, strict=True):
            logger.setLevel(old)
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()


def current_stage() -> str | None:
    """Return the stage that this code runs in, None outside of one."""
    return _stage.get()


@contextmanager
def in_stage(name: str) -> Iterator[None]:
    """Say in every line logged inside the block that it belongs to stage ``name``."""
    token = _stage.set(name)
    try:
        yield
    finally:
        _stage.reset(token)


def _worth_keeping(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.split(".")[0] in OURS
