"""The sections of a report, in their order."""

from __future__ import annotations

from pipeline.report.sections import Section, changes, drivers, extremes, learned, limits, origin, skill, trust, where
from pipeline.report.study import Study

_BUILDERS = (
    skill.build, where.build, extremes.build, changes.build, trust.build, drivers.build, learned.build, limits.build,
    origin.build,
)  # fmt: skip


def sections(study: Study) -> tuple[Section, ...]:
    """Return the sections that have content."""
    return tuple(section for build in _BUILDERS if (section := build(study)) is not None)
