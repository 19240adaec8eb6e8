"""Predictions as CF-1.11 netCDF: one file a model, all of its splits one after another in time.

For every variable: ``<var>_truth``, ``<var>`` (the mean), ``<var>_aleatoric``, ``<var>_epistemic``,
``<var>_q05`` to ``<var>_q95``, ``<var>_member``, and ``<var>_param_<name>`` for the family's other
parameters. The attribute ``parameters`` of ``<var>`` says where each parameter stands ("mean:
tas_member sd: tas_param_sd"), so that the exact distribution can be read back.

A parameter with a leading axis, such as that of members, has a dim of its name with a coordinate.

Of a segmentation ``<var>`` is the number of the most likely class, with its names as CF flags, and
``<var>_param_probabilities`` has a leading dimension ``class`` with a coordinate of the names. ``<var>_aleatoric``
and ``<var>_epistemic`` are variances of numbers, and of classes entropies in nat, which have the units "1".

Forecasts some steps ahead have the dims (time, lead, ...): ``time`` is when they were made, ``valid_time`` what for.

``records`` holds what is written, ``fields`` turns a block of it into variables, ``axes`` the leading axes into
coordinates, ``stamps`` the times of splits of several calendars into one axis; ``writing`` and ``reading`` are the
way to the disk and back.
"""

from pipeline.prediction.serial.fields import QUANTILES
from pipeline.prediction.serial.reading import from_dataset, names_of_variables, parts_of, read
from pipeline.prediction.serial.records import Forecast, Variable
from pipeline.prediction.serial.writing import write_forecasts

__all__ = [
    "QUANTILES",
    "Forecast",
    "Variable",
    "from_dataset",
    "names_of_variables",
    "parts_of",
    "read",
    "write_forecasts",
]
