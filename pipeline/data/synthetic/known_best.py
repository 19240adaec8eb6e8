"""Scores of the true predictive distribution: what no model can beat."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from pipeline.data.synthetic.climate import SyntheticClimate
from pipeline.data.synthetic.config import TARGET
from pipeline.data.synthetic.fields import correlation
from pipeline.errors import DataError

LEVELS = (50, 90, 95)


@dataclass(frozen=True)
class KnownBest:
    """Expected scores of the distribution that the data were drawn from.

    Parameters
    ----------
    rmse, mae, crps : float
        Area-weighted means over days and cells [degC].
    nll : float
        Mean negative log density [nat].
    sigma : float
        Area-weighted mean deviation [degC], from which widths of intervals follow.
    rmse_error : float
        Standard deviation of the RMSE that the true mean reaches on one draw of these days [degC]:
        on the data at hand a perfect model lies within about two of them from ``rmse``.
    """

    rmse: float
    mae: float
    crps: float
    nll: float
    sigma: float
    rmse_error: float

    def scores(self) -> dict[str, float]:
        """Return the same by the names of ``scores.csv``, with intervals, spread and bias.

        Examples
        --------
        >>> best = KnownBest(rmse=1.0, mae=0.8, crps=0.56, nll=1.42, sigma=1.0, rmse_error=0.01)
        >>> round(best.scores()["width_90"], 2)
        3.29
        """
        found = {name: getattr(self, name) for name in ("rmse", "mae", "crps", "nll")}
        found |= {"bias": 0.0, "spread_skill": 1.0}
        for level in LEVELS:
            found[f"coverage_{level}"] = level / 100
            found[f"width_{level}"] = 2 * NormalDist().inv_cdf(0.5 + level / 200) * self.sigma
        return found


def known_best(
    climate: SyntheticClimate, days: np.ndarray | slice | None = None, cells: np.ndarray | None = None
) -> KnownBest:
    """Return the best scores any model can expect on some days and cells.

    Parameters
    ----------
    climate : SyntheticClimate
        Its ``truth`` says mean and deviation.
    days : index along time, optional
        Slice, boolean mask or numbers; all days by default.
    cells : ndarray of bool, shape (lat, lon), optional
        Which fine cells; cells of sea are left out. All land by default.

    Raises
    ------
    DataError
        If no day or no land cell is chosen.

    Notes
    -----
    For a normal distribution of deviation s: the mean squared error of its mean is s^2, the mean
    absolute error s sqrt(2 / pi), the CRPS s / sqrt(pi) (Gneiting and Raftery 2007,
    doi:10.1198/016214506000001437), the negative log density (1 + log(2 pi s^2)) / 2, each in
    expectation. The mean of squares has the variance 2 sum_t sum_ij w_i w_j s_ti^2 s_tj^2 r_ij^2, with
    r the noise's correlation, since the covariance of z_i^2 and z_j^2 is 2 r_ij^2.

    Examples
    --------
    >>> from pipeline.data.synthetic.config import SyntheticConfig
    >>> climate = SyntheticClimate(SyntheticConfig(variant="linear", years=1))
    >>> round(known_best(climate).rmse, 3)
    0.8
    """
    mask = climate.terrain.mask if cells is None else climate.terrain.mask & np.asarray(cells, bool)
    sigma = climate.truth.sigma[slice(None) if days is None else days][:, mask]
    if sigma.size == 0:
        raise DataError(f"expected at least one day and one land cell, got {sigma.shape[0]} and {sigma.shape[1]}.")
    weight = climate.terrain.fine.area[mask]
    weight = weight / weight.sum()

    def mean(values: np.ndarray) -> float:
        return float((values.mean(axis=0) * weight).sum())

    rmse, spread = np.sqrt(mean(sigma**2)), mean(sigma)
    share = sigma**2 * weight / len(sigma)
    variance = 2 * float(((share @ _noise_correlation(climate, mask) ** 2) * share).sum())
    return KnownBest(
        rmse=float(rmse),
        mae=float(spread * np.sqrt(2 / np.pi)),
        crps=float(spread / np.sqrt(np.pi)),
        nll=mean((1 + np.log(2 * np.pi * sigma**2)) / 2),
        sigma=spread,
        rmse_error=float(np.sqrt(variance) / (2 * rmse)),
    )


def _noise_correlation(climate: SyntheticClimate, mask: np.ndarray) -> np.ndarray:
    """Return the correlation of the noise between the cells of ``mask``."""
    length = TARGET.noise_length * climate.config.refine
    along_lat, along_lon = (correlation(length, size) for size in mask.shape)
    row, column = np.nonzero(mask)
    return np.asarray(along_lat[np.ix_(row, row)] * along_lon[np.ix_(column, column)])
