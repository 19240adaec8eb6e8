"""Scores of segmentations: one file a family of scores, one registration a name.

A :class:`~pipeline.metrics.ClassMetric` says which numbers it needs of every time (``counts``), and how a score is
made of their sums (``value``, ``by_class``); the block bootstrap adds up the same numbers block by block. What is
predicted is the most likely class. Cells count by area, and where the truth is known.

Class 0 is the background, for objects; it is a class as any other for scores of cells. A class that a score has
nothing to say of is missing, NaN, and left out of the mean over classes: it is neither perfect nor wrong.
"""

from __future__ import annotations

import importlib
import pkgutil

HEADLINE = "iou"  # what models of classes are compared by

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")  # each registers its scores
