"""Block bootstrap: the same model fitted on blocks of the train split drawn anew."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from pipeline.model_config import ModelConfig
from pipeline.uncertainty import UNCERTAINTY, Part
from pipeline.uncertainty.deep_ensemble import DeepEnsemble


class BlockBootstrapConfig(ModelConfig):
    """Options of a block bootstrap."""

    members: int = Field(default=20, ge=2, description="How often the model is fitted anew.")


@UNCERTAINTY.register("block_bootstrap")
class BlockBootstrap(DeepEnsemble):
    """Fits on blocks of the train split drawn with replacement (Kuensch 1989, doi:10.1214/aos/1176347265).

    For models with or without a seed of their own: how much they would differ had the years been others is epistemic,
    what each of them says of its own errors aleatoric. Blocks are whole years or seasons where there are enough, else
    runs longer than the target stays alike. A deep ensemble with ``bagged: true`` is the same for networks. Models of a
    series' whole past, such as ARIMA, cannot be fitted on blocks that are put together.
    """

    Config: ClassVar[type[ModelConfig]] = BlockBootstrapConfig
    needs: ClassVar[frozenset[str]] = frozenset({"probabilistic"})
    refuses: ClassVar[frozenset[str]] = frozenset({"past"})

    @property
    def part(self) -> Part:
        """What members are fitted on: drawn blocks."""
        return Part(bagged=True)
