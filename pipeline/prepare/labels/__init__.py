"""Event labels from recognised definitions: one file a definition, one registration a name.

A label turns a field in units into class numbers, the truth of a segmentation. Its thresholds and
climatologies are fitted on the train split alone; its events are looked for on the whole axis::

    @LABELS.register("threshold")
    class Threshold(EventLabel):
        kind = "threshold"

        def learn(self, values, time, train, units): ...
        def excess(self, values, time): ...

``_seasonal`` holds thresholds that follow the day of the year, ``_runs`` what makes an event of days
in a row, ``_table`` the records of a series' events.
"""

from __future__ import annotations

from pipeline.prepare.label_config import LabelConfig
from pipeline.prepare.labels._contract import LABELS, EventLabel, Excess, Fitted, make_label, restore_label
from pipeline.prepare.labels._table import EventRecord, event_table

__all__ = [
    "LABELS", "EventLabel", "EventRecord", "Excess", "Fitted", "LabelConfig", "event_table", "make_label",
    "restore_label",
]  # fmt: skip
