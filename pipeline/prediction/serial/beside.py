"""What is known of each time of a file of forecasts, beside the forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.cf import side_name
from pipeline.errors import DataError
from pipeline.grid import Grid


def add_beside(path: Path, parts: Mapping[str, tuple[np.ndarray, str]], grid: Grid) -> None:
    """Write numbers without units into a file of :func:`~pipeline.prediction.serial.writing.write_forecasts`.

    Parameters
    ----------
    path : Path
        The file, which is there.
    parts : mapping of str to (ndarray, str)
        By name, values of shape (time,) or (time, station), and what they are.
    grid : Grid
        The target grid.

    Raises
    ------
    DataError
        If the file has a variable of that name, or another number of times.
    """
    import netCDF4

    with netCDF4.Dataset(path, "a") as file:
        times = len(file.dimensions["time"])
        for name, (values, words) in parts.items():
            if name in file.variables or len(values) != times:
                raise DataError(
                    f"expected no variable {name!r} yet and values at its {times} times in {path.name}, got "
                    f"{len(values)} values{' and such a variable' if name in file.variables else ''}."
                )
            dims = ("time", *grid.file_dims)[: values.ndim]
            variable = file.createVariable(name, "f4", dims, zlib=True, complevel=1, shuffle=True, fill_value=np.nan)
            # A table's coordinates; what has no station is no time series, so it says nothing of one.
            beside = {"coordinates": f"lat lon {side_name('station')}"} if len(dims) > 1 else {}
            variable.setncatts({"units": "1", "long_name": words, **beside})
            variable[:] = values.astype(np.float32)
