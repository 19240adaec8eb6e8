"""The sections of a report, in their order."""

from __future__ import annotations

from pipeline.report.sections import (
    Section,
    changes,
    class_limits,
    class_maps,
    class_skill,
    class_structure,
    class_trust,
    drivers,
    extremes,
    learned,
    limits,
    origin,
    skill,
    trust,
    where,
)
from pipeline.report.study import Study

_BUILDERS = (
    skill.build, where.build, extremes.build, changes.build, trust.build, drivers.build, learned.build, limits.build,
    origin.build,
)  # fmt: skip
_OF_CLASSES = (
    class_skill.build, class_maps.build, class_structure.build, class_trust.build, drivers.build, learned.build,
    class_limits.build, origin.build,
)  # fmt: skip


def sections(study: Study) -> tuple[Section, ...]:
    """Return the sections that have content."""
    return tuple(
        section for build in (_OF_CLASSES if study.classes else _BUILDERS) if (section := build(study)) is not None
    )
