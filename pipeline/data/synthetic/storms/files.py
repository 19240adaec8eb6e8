"""The made storms in ClimateNet's layout: a folder, one netCDF file a map, all channels and ``LABELS``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.data.synthetic.storms.config import CHANNELS, LABELS, StormConfig
from pipeline.data.synthetic.storms.world import StormWorld


def write_files(folder: Path, config: StormConfig, experts: int = 1) -> list[Path]:
    """Write each map as ``data-YYYY-MM-DD-HH-mm_k.nc``; return the files.

    Longitudes run from 0, as there.

    Parameters
    ----------
    folder : Path
        Such as ``climatenet/train``; made if it is not there.
    config : StormConfig
        Which maps.
    experts : int
        Files a map, k = 0, 1, ...: the second and further experts see no rivers.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = StormWorld(config).dataset([*CHANNELS, LABELS])
    data = data.assign_coords(lon=data["lon"] % 360.0).sortby("lon")
    data["lon"].attrs = {"units": "degrees_east", "standard_name": "longitude"}
    written = []
    for number, time in enumerate(data["time"].values):
        stamp = np.datetime_as_string(time, unit="m").replace("T", "-").replace(":", "-")
        for expert in range(experts):
            one = data.isel(time=[number])
            if expert:
                one[LABELS] = one[LABELS].where(one[LABELS] != 2, 0)
            path = folder / f"data-{stamp}_{expert}.nc"
            one.to_netcdf(path, engine="netcdf4")
            written.append(path)
    return written
