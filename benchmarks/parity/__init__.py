"""What both backends must answer alike: one record a verb, estimator, score, step of prepare, family and loss.

A record says how its input is made, what is computed of it, and how far two backends may differ by the kind of its
numbers. ``tests/parity`` computes all of them on the CPU, holds them against a stand-in that knows the array standard
alone, and on a GPU holds the GPU against the CPU; it also fails where a registered name has no record.
"""

from __future__ import annotations

from benchmarks.parity import estimators, families, losses, metrics, prepare, tables
from benchmarks.parity.record import Record

RECORDS: tuple[Record, ...] = (
    *tables.RECORDS,
    *estimators.RECORDS,
    *metrics.RECORDS,
    *prepare.RECORDS,
    *families.RECORDS,
    *losses.RECORDS,
)
