"""The one picture beside the verdict's bars: where the model is better, or since when, or what it sees."""

from __future__ import annotations

import xarray as xr

from pipeline.report.figures import Picture
from pipeline.report.places import mapped
from pipeline.report.sections import class_maps, hydrograph, leads
from pipeline.report.sections.reduction import Reduction
from pipeline.report.study import Study


def telling(study: Study, height: int) -> Picture | None:
    """Return the map of skill; of a series at no place its skill by lead or how it went; of classes an example."""
    if study.classes:
        return class_maps.telling(study, height)
    return _of_values(study, study.run.diagnostics(study.headline), height)


def _of_values(study: Study, diagnostics: xr.Dataset | None, height: int) -> Picture | None:
    if diagnostics is not None and mapped(diagnostics, study.variable):
        skill = Reduction.of(study, diagnostics, study.variable)
        return skill.picture(study, diagnostics, study.variable, height) if skill is not None else None
    if not study.run.is_series:
        return None
    curve = leads.verdict_picture(study, study.variable, height)
    return curve if curve is not None else hydrograph.verdict_picture(study, study.variable, height)
