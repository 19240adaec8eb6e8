"""Rows of numbers that may be larger than memory: read, worked on and written a block at a time."""

from __future__ import annotations

from pipeline.rows.lazy import Held, Made, Rows, as_rows, whole
from pipeline.rows.room import Room
from pipeline.rows.stored import Stored, store

__all__ = ["Held", "Made", "Room", "Rows", "Stored", "as_rows", "store", "whole"]
