"""KernelSHAP: Shapley values of variables, lags, regions or superpixels, of any model."""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution._parts import By, hidden, parts_of, spread
from pipeline.attribution.ablation import BLOCK, PARTS
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import Subject
from pipeline.errors import ConfigError
from pipeline.model_config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor


class KernelShapConfig(ModelConfig):
    """Options of KernelSHAP."""

    by: By = Field(default="superpixel", description=PARTS)
    block: int = Field(default=4, ge=1, description=BLOCK)
    coalitions: int = Field(
        default=512, ge=8, description="Sets of parts that are tried; all there are, where they are no more."
    )


@ATTRIBUTIONS.register("kernel_shap")
class KernelShap(MapMethod):
    """KernelSHAP (Lundberg and Lee 2017, arXiv:1705.07874) with paired draws (Covert and Lee 2021, arXiv:2012.01536).

    Shapley values of parts of the inputs: what a part adds to the number, averaged over all sets of other parts that
    are there already; parts that are away are at the baseline. Where there are few enough parts all sets are asked and
    the values are exact; else sets are drawn, each with its complement, the same for every day, and the values are the
    weighted least squares fit to them. Both add up to the departure exactly. It asks the model once for every set, day
    and draw of the baseline.
    """

    Config: ClassVar[type[ModelConfig]] = KernelShapConfig
    has_baseline: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    title: ClassVar[str] = "KernelSHAP"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the attributions of some explained days.

        Raises
        ------
        ConfigError
            If there are too many parts for the sets that are tried.
        """
        import torch

        schema = None if subject.case is None else subject.case.samples.schema
        rows, columns = inputs.shape[2:]
        parts = parts_of(schema, (inputs.shape[1], rows, columns), self.config.by, self.config.block)
        sets, weights = coalitions(len(parts), self.config.coalitions, subject.seed)

        def number(present: np.ndarray) -> Tensor:
            away = [part for part, there in zip(parts, present, strict=True) if not there]
            asked = [
                subject.numbers(hidden(inputs, baseline.at(draw, which), away), which) for draw in range(baseline.count)
            ]
            return torch.stack(asked).mean(0)

        empty, full = number(np.zeros(len(parts), bool)), number(np.ones(len(parts), bool))
        if len(parts) == 1:
            return spread((full - empty)[:, None], parts, inputs)
        values = torch.stack([number(present) for present in sets]) - empty
        fitted = fit(sets, weights, values.cpu().numpy(), (full - empty).cpu().numpy())
        return spread(torch.as_tensor(fitted.T, device=inputs.device), parts, inputs)

    def detail(self, subject: Subject, baseline: Baseline) -> str:
        """Return what the parts are."""
        by, block = self.config.by, self.config.block
        boxes = f" of {block} x {block} cells" if by in ("region", "superpixel") else ""
        return f"by {by}{boxes}, {self.config.coalitions} coalitions at most"


def coalitions(parts: int, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sets of parts and their weights in the fit, without the empty and the full one.

    Parameters
    ----------
    parts : int
        How many parts there are.
    most : int
        Most sets; all are returned if there are no more.
    seed : int
        Of the drawn ones.

    Returns
    -------
    sets : ndarray of bool, shape (set, part)
    weights : ndarray of float64, shape (set,)

    Raises
    ------
    ConfigError
        If fewer sets than twice the parts are to be drawn: the fit has no single solution then.

    Examples
    --------
    >>> sets, weights = coalitions(2, 8, 0)
    >>> sets.astype(int).tolist(), weights.tolist()
    ([[1, 0], [0, 1]], [0.5, 0.5])
    """
    if parts < 62 and 2**parts - 2 <= most:
        numbers = np.arange(1, 2**parts - 1)
        sets = (numbers[:, None] >> np.arange(parts)) & 1 == 1
        size = sets.sum(axis=1)
        weights = np.array([(parts - 1) / (comb(parts, int(k)) * k * (parts - k)) for k in size])
        return sets, weights
    if most < 2 * parts:
        raise ConfigError(
            f"explain: kernel_shap: expected at least {2 * parts} coalitions for {parts} parts, got {most}. Take more "
            "coalitions, a larger block, or by: variable."
        )
    random = np.random.default_rng(seed)
    sizes = np.arange(1, parts)
    chance = 1.0 / (sizes * (parts - sizes))
    drawn = random.choice(sizes, size=most // 2, p=chance / chance.sum())
    ranks = random.random((len(drawn), parts)).argsort(axis=1).argsort(axis=1)
    sets = ranks < drawn[:, None]
    sets = np.concatenate([sets, ~sets])
    return sets, np.ones(len(sets))


def fit(sets: np.ndarray, weights: np.ndarray, values: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return the values of parts that fit those of sets best and add up to the whole.

    Parameters
    ----------
    sets : ndarray of bool, shape (set, part)
        Which parts are there.
    weights : ndarray, shape (set,)
        Of the squared misses.
    values, whole : ndarray of float64, shapes (set, row) and (row,)
        Of sets, and of all parts together, less that of none.

    Returns
    -------
    ndarray of float64, shape (part, row)

    Examples
    --------
    >>> sets, weights = coalitions(2, 8, 0)
    >>> fit(sets, weights, np.array([[1.0], [2.0]]), np.array([5.0])).ravel().tolist()
    [2.0, 3.0]
    """
    z = sets.astype(np.float64)
    share = weights / weights.sum()
    gram = (z * share[:, None]).T @ z
    product = (z * share[:, None]).T @ values
    # A set is drawn with its complement, so that the gram matrix has full rank once all parts differ in some set.
    inverse = np.linalg.pinv(gram, hermitian=True)
    ones = inverse.sum(axis=1)
    free = inverse @ product
    found: np.ndarray = free - ones[:, None] * ((free.sum(axis=0) - whole) / ones.sum())
    return found
