"""Rows of numbers that may be larger than memory: read, worked on and written a block at a time."""

from __future__ import annotations

from pipeline.rows.lazy import Made, Rows, whole
from pipeline.rows.stored import Stored, store

__all__ = ["Made", "Rows", "Stored", "store", "whole"]
