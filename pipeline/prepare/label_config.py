"""The ``label`` of a target, apart so that it can be read without importing what labels compute with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class LabelConfig(BaseModel):
    """An event label by kind; further keys are that kind's own options.

    Examples
    --------
    >>> LabelConfig(kind="deep_low", below=975.0).options
    {'below': 975.0}
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str = Field(description="A name of the label registry, such as marine_heatwave.")

    @property
    def options(self) -> dict[str, Any]:
        """The label's own options."""
        return dict(self.model_extra or {})
