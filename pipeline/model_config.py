"""The base of every model's options, apart so that it can be read without importing torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ModelConfig(BaseModel):
    """Options of a model, as they stand in the YAML; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
