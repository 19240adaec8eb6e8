"""Ridge regression from all inputs to every cell."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import Field, field_validator

from models import MODELS
from models._classical import FitData, Table, column_blocks
from models._linear import Basis, Choice, LinearModel, Solution, solve
from models._linear_rows import RowData, fit_rows
from models._normal import NormalConfig
from pipeline.model import Context
from pipeline.samples import Samples


class RidgeConfig(NormalConfig):
    """Options of :class:`Ridge`."""

    alphas: list[float] = Field(
        default=[0.1, 1.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0],
        min_length=1,
        description="Penalties to choose from on the validation split.",
    )

    @field_validator("alphas")
    @classmethod
    def _positive(cls, alphas: list[float]) -> list[float]:
        if any(alpha <= 0 for alpha in alphas):
            raise ValueError(f"expected penalties above zero, got {alphas!r}")
        return sorted(alphas)


@MODELS.register("ridge")
class Ridge(LinearModel):
    """A linear map of all channels at all coarse cells to every target cell, slopes held small.

    Minimises the squared error plus ``alpha`` times the sum of squared slopes, in the units of the
    standardised inputs. ``alpha`` is the one with the smallest root mean square error on the
    validation split, the same for all cells. All penalties come from one eigenvalue decomposition
    of the inputs' covariance, see :func:`models._linear.solve`. The predictive distribution is
    normal; its standard deviation is the root mean square validation residual of each cell.
    Precipitation is answered by its mean, not below zero, see :class:`models._normal.NormalModel`.

    References
    ----------
    Hoerl and Kennard (1970), Technometrics 12, 55-67, doi:10.1080/00401706.1970.10488634.
    """

    Config = RidgeConfig
    traits: ClassVar[frozenset[str]] = LinearModel.traits | {"streams"}
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit all penalties at once and keep the best."""
        table, xp = self.start(train, context), context.backend.xp
        if not (train.in_memory and validation.in_memory):
            return self._fit_rows(table, train, validation, context)
        data = FitData.of(table, train, validation, context)
        with context.progress(f"fit {context.name}", 1 + blocks_of(data)) as step:
            basis = Basis.of(data.inputs, xp)
            step.advance(note="decomposition")
            choices = [Choice(basis.patterns.shape[0], alpha) for alpha in self.config.alphas]
            solution = solve(data, basis, choices, table.weight, step, xp)
        self._decide(choices, solution, context)
        self.keep(basis, solution, choices[solution.best], train, data.truth)
        return self

    def _fit_rows(self, table: Table, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit on samples that are larger than memory."""
        data = RowData.of(table, train, validation, context)
        choices = [Choice(min(data.inputs.shape), alpha) for alpha in self.config.alphas]
        with context.progress(f"fit {context.name}", 2) as step:
            basis, solution = fit_rows(data, choices, table.weight, context.budget, step, context.backend.xp)
        self._decide(choices, solution, context)
        kept = Choice(basis.patterns.shape[0], choices[solution.best].alpha)
        self.keep(basis, solution, kept, train, data.truth)
        return self

    def _decide(self, choices: list[Choice], solution: Solution, context: Context) -> None:
        """Remember and tell what was chosen."""
        chosen, errors = choices[solution.best], solution.errors
        self.choices = {
            "alpha": chosen.alpha,
            "validation_rmse": errors[solution.best],
            "path": [{"alpha": each.alpha, "rmse": error} for each, error in zip(choices, errors, strict=True)],
        }
        warn_at_end("alphas", chosen.alpha, self.config.alphas, context)


def blocks_of(data: FitData) -> int:
    """Return about how many blocks of columns the fit works off, for its progress bar."""
    return len(column_blocks(*data.truth.shape))


def warn_at_end(option: str, chosen: float, grid: list[Any], context: Context) -> None:
    """Say that the choice lies at an end of its grid, where a better one may lie beyond."""
    if len(grid) > 1 and chosen in (grid[0], grid[-1]):
        end = "smallest" if chosen == grid[0] else "largest"
        context.warn(f"{context.name}: the choice {chosen:g} is the {end} of {option}; a better one may lie beyond it.")
