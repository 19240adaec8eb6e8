"""Ridge regression on the principal components of the inputs.

Source of the ridge: Hoerl and Kennard (1970), doi:10.1080/00401706.1970.10488634.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, field_validator

from models import MODELS
from models._classical import FitData, principal_components
from models._linear import Basis, Choice, LinearModel, solve
from models.ridge import RidgeConfig, blocks_of, warn_at_end
from pipeline.model import Context
from pipeline.samples import Samples


class PcaRidgeConfig(RidgeConfig):
    """Options of :class:`PcaRidge`."""

    alphas: list[float] = Field(
        default=[1.0, 10.0, 100.0, 1000.0, 10000.0],
        min_length=1,
        description="Penalties to choose from on the validation split.",
    )
    components: list[int] = Field(
        default=[5, 10, 20, 40, 80],
        min_length=1,
        description="Numbers of components to choose from on the validation split.",
    )

    @field_validator("components")
    @classmethod
    def _counts(cls, counts: list[int]) -> list[int]:
        if any(count < 1 for count in counts):
            raise ValueError(f"expected numbers of components above zero, got {counts!r}")
        return sorted(counts)


@MODELS.register("pca_ridge")
class PcaRidge(LinearModel):
    """Principal component regression: the leading patterns of all channels together, then ridge.

    The components are those of the train split's inputs, all channels and coarse cells in one
    vector. Their number and the penalty are chosen together on the validation split; as components
    are uncorrelated, no choice costs a fit of its own. Slopes are kept on the components: with 80 of
    them and 32768 cells they take 10 MB. For precipitation see :class:`models._normal.NormalModel`.
    """

    Config = PcaRidgeConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit every number of components with every penalty, and keep the best."""
        table, xp = self.start(train, context), context.backend.xp
        data = FitData.of(table, train, validation, context)
        counts = sorted({min(count, *data.inputs.shape) for count in self.config.components})
        with context.progress(f"fit {context.name}", 1 + blocks_of(data)) as step:
            pca = principal_components(data.inputs, counts[-1], context)
            basis = Basis(pca.mean_, pca.components_, pca.transform(data.inputs))
            step.advance(note="components")
            choices = [Choice(count, alpha) for count in counts for alpha in self.config.alphas]
            solution = solve(data, basis, choices, table.weight, step, xp)
        path = [
            {"components": each.components, "alpha": each.alpha, "rmse": error}
            for each, error in zip(choices, solution.errors, strict=True)
        ]
        chosen = choices[solution.best]
        self.choices = {
            "components": chosen.components,
            "alpha": chosen.alpha,
            "validation_rmse": solution.errors[solution.best],
            "path": path,
        }
        self.keep(basis, solution, chosen, train, data.truth)
        warn_at_end("alphas", chosen.alpha, self.config.alphas, context)
        return self
