"""Ridge regression from all inputs to every cell."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, field_validator

from models import MODELS
from models._classical import FitData, LinearModel, residual_sd, rmse
from pipeline.model import Context, ModelConfig
from pipeline.samples import Samples

Array = Any


class RidgeConfig(ModelConfig):
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
    validation split, the same for all cells. The predictive distribution is normal; its standard
    deviation is the root mean square validation residual of each cell.

    References
    ----------
    Hoerl and Kennard (1970), Technometrics 12, 55-67, doi:10.1080/00401706.1970.10488634.
    """

    Config = RidgeConfig

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit one regression a penalty and keep the best."""
        table = self.start(train, context)
        xp, weight = context.backend.xp, table.weight
        data = FitData.of(table, train, validation, context)
        path: list[dict[str, float]] = []
        best: tuple[float, float, Array] | None = None
        with context.progress(f"fit {context.name}", len(self.config.alphas)) as step:
            for alpha in self.config.alphas:
                coef, intercept = fit_ridge(data.inputs, data.truth, alpha, context)
                mean = data.check_inputs @ coef.T + intercept
                error = rmse(mean, data.check_truth, weight, xp)
                path.append({"alpha": alpha, "rmse": error})
                if best is None or error < best[0]:
                    best = (error, alpha, mean)
                    self.arrays = {"coef": coef, "intercept": intercept}
                step.advance(note=f"alpha {alpha:g}")
        assert best is not None  # the list of penalties is never empty
        self.arrays["sd"] = residual_sd(best[2], data.check_truth, xp)
        self.choices = {"alpha": best[1], "validation_rmse": best[0], "path": path}
        warn_at_end("alphas", best[1], self.config.alphas, context)
        return self


def fit_ridge(inputs: Array, truth: Array, alpha: float, context: Context) -> tuple[Array, Array]:
    """Return slopes of shape (column, feature) and intercepts of shape (column,)."""
    xp = context.backend.xp
    fitted = context.estimator("Ridge", alpha=alpha).fit(inputs, truth)
    # One column alone comes back without its axis, from cuML always and from scikit-learn at times.
    coef = xp.reshape(fitted.coef_, (truth.shape[1], inputs.shape[1]))
    return coef, xp.reshape(xp.asarray(fitted.intercept_), (truth.shape[1],))


def warn_at_end(option: str, chosen: float, grid: list[Any], context: Context) -> None:
    """Say that the choice lies at an end of its grid, where a better one may lie beyond."""
    if len(grid) > 1 and chosen in (grid[0], grid[-1]):
        end = "smallest" if chosen == grid[0] else "largest"
        context.warn(f"{context.name}: the choice {chosen:g} is the {end} of {option}; a better one may lie beyond it.")
