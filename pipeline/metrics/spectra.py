"""How much a field varies at every length: radially averaged power spectra and the distance of two of them.

Truth and prediction go through the same window: each field less its mean over the cells that have
truth, and zero elsewhere. That costs sharpness, not fairness: edges and gaps leak power from long
waves to short ones in both, so a steep spectrum looks flatter than it is, and small differences at
the shortest waves are partly covered by what leaks there.

Source of the distance: Harris et al. (2022), doi:10.1029/2022MS003120.
"""

from __future__ import annotations

from dataclasses import dataclass

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.metrics import METRICS, Array, Case, FieldMetric
from pipeline.metrics._parts import field_parts, zero_for_nan
from pipeline.metrics.pooling import ratio
from pipeline.sphere import EARTH_RADIUS

_VALUES = 2**17  # cells times fields transformed at a time: 1 MiB of float64, which stays in the cache
_FLOOR = 1e-12  # of the truth's strongest annulus: weaker than that is rounding, not variation


@dataclass(frozen=True, eq=False)
class Annuli:
    """Which modes of a real two-dimensional Fourier transform are averaged together.

    Annulus j holds the wavenumbers within half a step of j steps from the transform's mean (its mode
    0, wherever the transform puts it). A step is one wave over the shorter side, so that none is
    empty; the last is at the Nyquist wavenumber of the coarser spacing. Beyond it lie only corners.

    Parameters
    ----------
    wavelength : ndarray, shape (annulus,)
        Of the middle of each [km], decreasing.
    count : ndarray of int, shape (annulus,)
        How many modes of the full transform each holds.
    modes : ndarray of int, shape (mode,)
        Positions in the flattened half transform, annulus after annulus.
    edges : ndarray of int, shape (annulus, 2)
        First mode of each among ``modes``, and the one behind its last.
    twins : ndarray, shape (mode,)
        How many modes of the full transform each stands for: 1 or 2.
    scale : float
        From squared amplitude to density [km2].
    """

    wavelength: np.ndarray
    count: np.ndarray
    modes: np.ndarray
    edges: np.ndarray
    twins: np.ndarray
    scale: float


@dataclass(frozen=True, eq=False)
class Spectra:
    """Mean power spectra of truth and prediction.

    Parameters
    ----------
    wavelength : ndarray, shape (annulus,)
        [km], decreasing.
    truth, prediction : ndarray, shape (annulus,)
        Power spectral density [units2 km2], the mean over times, for the prediction also over draws.
    """

    wavelength: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


def spacing(grid: Grid) -> tuple[float, float]:
    """Return the mean distances between neighbours along both dims of a grid [km].

    Raises
    ------
    DataError
        If the grid has fewer than two rows or columns, as a table of stations has.

    Examples
    --------
    >>> dy, dx = spacing(Grid(np.array([59.5, 60.5]), np.array([0.0, 1.0, 2.0])))
    >>> round(dy, 1), round(dx, 1)
    (111.2, 55.6)
    """
    if min(grid.shape) < 2:
        raise DataError(
            f"expected a grid of at least 2 x 2 cells for distances between neighbours, got {grid.shape!r}. "
            "Scores of fields need a grid; stations have none."
        )
    lat, lon = grid.lat, grid.lon
    if lat.ndim == 1:
        lat, lon = np.meshgrid(lat, lon, indexing="ij")
    phi, theta = np.deg2rad(lat), np.deg2rad(lon)
    along = ((slice(1, None), slice(-1)), ((slice(None), slice(1, None)), (slice(None), slice(-1))))
    dy = _distance(phi[along[0][0]], theta[along[0][0]], phi[along[0][1]], theta[along[0][1]])
    dx = _distance(phi[along[1][0]], theta[along[1][0]], phi[along[1][1]], theta[along[1][1]])
    return float(dy.mean()), float(dx.mean())


def _distance(phi: np.ndarray, theta: np.ndarray, other_phi: np.ndarray, other_theta: np.ndarray) -> np.ndarray:
    """Return great-circle distances [km] by the haversine formula."""
    half = np.sin((phi - other_phi) / 2.0) ** 2
    half = half + np.cos(phi) * np.cos(other_phi) * np.sin((theta - other_theta) / 2.0) ** 2
    return np.asarray(2.0 * EARTH_RADIUS * np.arcsin(np.sqrt(half)))


def annuli(shape: tuple[int, int], step: tuple[float, float]) -> Annuli:
    """Return the annuli of a grid of ``shape`` cells that lie ``step`` apart [km].

    Examples
    --------
    >>> annuli((4, 4), (10.0, 10.0)).wavelength.tolist()
    [40.0, 20.0]
    """
    (rows, columns), (dy, dx) = shape, step
    side = min(rows * dy, columns * dx)
    k = np.hypot(np.fft.fftfreq(rows, dy)[:, None], np.fft.rfftfreq(columns, dx)[None, :])
    # A hair more than half a step, so that rounding does not decide where a mode on an edge belongs.
    ring = np.floor(k * side + 0.5 + 1e-9).astype(int).ravel()
    last = int(side * min(0.5 / dy, 0.5 / dx) + 1e-9)
    modes = np.argsort(ring, kind="stable")
    modes = modes[(ring[modes] >= 1) & (ring[modes] <= last)]
    column = np.arange(columns // 2 + 1)
    twins = np.where((column == 0) | (2 * column == columns), 1.0, 2.0)
    twins = np.broadcast_to(twins, k.shape).ravel()[modes]
    ends = np.searchsorted(ring[modes], np.arange(1, last + 2))
    edges = np.stack([ends[:-1], ends[1:]], axis=1)
    count = np.add.reduceat(twins, edges[:, 0]).astype(int)
    return Annuli(side / np.arange(1, last + 1), count, modes, edges, twins, dy * dx / (rows * columns))


def power(fields: Array, known: Array, rings: Annuli) -> Array:
    """Return the radially averaged power spectral density of fields, shape (time, annulus), float64.

    The density over the plane of wavenumbers, ``|F|^2 dx dy / (nx ny)``: summed over all modes and
    divided by the area of the domain it is the mean square of the field; white noise of variance
    s^2 has a density of ``s^2 dx dy`` at all wavelengths.

    Parameters
    ----------
    fields : array, shape (time, lat, lon)
        Anything where ``known`` is false.
    known : array of bool, shape (time, lat, lon)
        Cells that count: the mean over them is taken off, the others are 0.
    rings : Annuli
        Of this grid.

    Returns
    -------
    array of float64, shape (time, annulus)
        In squared units times km2; NaN for a time without a known cell.
    """
    xp = array_namespace(fields)
    times, rows, columns = fields.shape
    place = array_api_compat.device(fields)
    modes = xp.asarray(rings.modes, device=place)
    twins = xp.asarray(rings.twins, dtype=xp.float64, device=place)
    shares = xp.asarray(rings.scale / rings.count, dtype=xp.float64, device=place)
    width = max(1, _VALUES // (rows * columns))
    parts = []
    for start in range(0, times, width):
        rows_now = slice(start, min(start + width, times))
        waves = xp.fft.rfftn(_deviations(fields[rows_now, ...], known[rows_now, ...]), axes=(-2, -1))
        waves = xp.take(xp.reshape(waves, (waves.shape[0], -1)), modes, axis=1)
        square = (xp.real(waves) ** 2 + xp.imag(waves) ** 2) * twins
        sums = [xp.sum(square[:, int(first) : int(behind)], axis=1) for first, behind in rings.edges]
        parts.append(xp.stack(sums, axis=1) * shares)
    return xp.concat(parts, axis=0)


def _deviations(fields: Array, known: Array) -> Array:
    xp = array_namespace(fields)
    wide = xp.astype(fields, xp.float64)
    zero = xp.zeros_like(wide)
    size = xp.sum(xp.astype(known, xp.float64), axis=(-2, -1), keepdims=True)
    mean = ratio(xp.sum(xp.where(known, wide, zero), axis=(-2, -1), keepdims=True), size)
    # Without a known cell the mean is NaN, and the field all NaN: no spectrum.
    return xp.where(known, wide - mean, xp.where(size == 0.0, mean, zero))


def log_spectral_distance(truth: Array, prediction: Array) -> Array:
    """Return the log spectral distance of power spectra [dB], shape (...).

    ``sqrt(mean_k (10 log10 P_o(k) / P_p(k))^2)`` (Harris et al. 2022, doi:10.1029/2022MS003120). Power
    below 1e-12 of the truth's strongest counts as that much: a prediction without any variation is
    far away, at most 120 dB, and not infinitely far.

    Parameters
    ----------
    truth, prediction : array, shape (..., annulus)
        Power spectral density.

    Examples
    --------
    >>> spectrum = np.array([100.0, 10.0, 1.0])
    >>> round(float(log_spectral_distance(spectrum, 10.0 * spectrum)), 9)
    10.0
    """
    xp = array_namespace(truth)
    floor = _FLOOR * xp.max(truth, axis=-1, keepdims=True)
    floor = xp.where(floor == 0.0, xp.ones_like(floor), floor)
    decibel = 10.0 * (xp.log10(xp.maximum(truth, floor)) - xp.log10(xp.maximum(prediction, floor)))
    return xp.sqrt(xp.mean(decibel * decibel, axis=-1))


def _spectra(case: Case, rings: Annuli) -> tuple[Array, Array]:
    """Return the power of the truth and the mean power of the draws at every time, 0 at times without truth."""
    xp = array_namespace(case.truth)
    truth, prediction = [], []
    for part in field_parts(case):
        truth.append(power(part.truth, part.known, rings))
        total = xp.zeros_like(truth[-1])
        for draw in range(part.draws.shape[0]):
            total = total + power(part.draws[draw, ...], part.known, rings)
        prediction.append(total / part.draws.shape[0])
    return zero_for_nan(xp.concat(truth, axis=0)), zero_for_nan(xp.concat(prediction, axis=0))


def _annuli(case: Case) -> Annuli:
    if case.place is None:
        raise ValueError("expected a case that knows its place, got one without.")
    return annuli(case.place.grid.shape, spacing(case.place.grid))


def curves(case: Case) -> Spectra:
    """Return the mean spectra of truth and prediction of a case on a grid, on the host.

    Parameters
    ----------
    case : Case
        With its place; times without truth are left out. Spectra of a distribution are the mean of
        those of its draws: the mean of draws has less power than any.

    Raises
    ------
    DataError
        If the cells are stations.
    """
    rings = _annuli(case)
    truth, prediction = (to_host(part) for part in _spectra(case, rings))
    some = to_host(case.valid).any(axis=1)
    times = some.sum() if some.any() else np.nan
    return Spectra(rings.wavelength, truth.sum(axis=0) / times, prediction.sum(axis=0) / times)


@METRICS.register("log_spectral_distance")
class LogSpectralDistance(FieldMetric):
    """Distance of the mean power spectra of truth and draws over wavelengths [dB], with its square root.

    0 where fields vary as much as the truth at every length; 3 for half or twice its power everywhere.
    """

    units = "1"
    label = "log spectral distance [dB]"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the power of both at every time."""
        return _spectra(case, _annuli(case))

    def value(self, count: Array, sums: tuple[Array, ...]) -> Array:
        """Return the distance; means over times would give the same as sums."""
        xp = array_namespace(count)
        distance = log_spectral_distance(sums[0], sums[1])
        return xp.where(count > 0.0, distance, xp.full_like(distance, xp.nan))
