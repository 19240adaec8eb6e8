"""Everything that learns: one file a model, one contract for all (``pipeline.model.Model``).

A model is one file in this package and one registration::

    @MODELS.register("climatology")
    class Climatology(Model): ...
"""

from __future__ import annotations

from pipeline.model import Model
from pipeline.registry import Registry

MODELS: Registry[type[Model]] = Registry("model", "models")
