"""Rows of numbers that may be larger than memory: read, worked on and written a block at a time."""

from __future__ import annotations

from pipeline.rows.columns import by_columns
from pipeline.rows.lazy import Asked, Held, Made, Rows, as_rows, whole
from pipeline.rows.parts import blocks
from pipeline.rows.room import Room
from pipeline.rows.stored import Stored, keep_rows, store

__all__ = [
    "Asked", "Held", "Made", "Room", "Rows", "Stored", "as_rows", "blocks", "by_columns", "keep_rows", "store", "whole",
]  # fmt: skip
