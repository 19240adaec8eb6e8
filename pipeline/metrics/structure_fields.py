"""What diagnostics say of the structure of fields: the mean power spectra of truth and prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from pipeline.metrics.case import Case
from pipeline.metrics.spectra import LogSpectralDistance, Spectra, curves
from pipeline.units import of_variance

DIM = "wavelength"


def spectra(case: Case) -> Spectra | None:
    """Return the mean spectra of truth and draws; None where the cells make no field, as stations do not.

    Parameters
    ----------
    case : Case
        With its place and units.
    """
    # Of a copy: draws that a case has made stay with it, and cases live longer than their spectra.
    return curves(replace(case)) if LogSpectralDistance().applies(case, case.units) else None


def to_variables(found: Mapping[str, Spectra | None], units: Mapping[str, str]) -> dict[str, xr.Variable]:
    """Return ``<variable>_psd`` and ``<variable>_psd_truth`` of shape (wavelength,), and the wavelengths [km].

    Parameters
    ----------
    found : mapping of str to Spectra or None
        By variable, all on the same grid; those without spectra are left out.
    units : mapping of str to str
        Units of each variable.

    Examples
    --------
    >>> curve = Spectra(np.array([200.0, 100.0]), np.array([8.0, 2.0]), np.array([6.0, 1.0]))
    >>> parts = to_variables({"tas": curve, "pr": None}, {"tas": "degC", "pr": "mm d-1"})
    >>> sorted(parts), parts["tas_psd"].attrs["units"]
    (['tas_psd', 'tas_psd_truth', 'wavelength'], 'K2 km2')
    """
    parts: dict[str, xr.Variable] = {}
    for variable, curve in found.items():
        if curve is None:
            continue
        parts[DIM] = xr.Variable((DIM,), curve.wavelength, {"long_name": "wavelength", "units": "km"})
        for name, values, whose in (
            (f"{variable}_psd", curve.prediction, "the prediction's draws"),
            (f"{variable}_psd_truth", curve.truth, "the truth"),
        ):
            words = f"radially averaged power spectral density of {variable}, {whose}"
            attrs = {"long_name": words, "units": f"{of_variance(units[variable])} km2"}
            parts[name] = xr.Variable((DIM,), np.asarray(values, float), attrs)
    return parts
