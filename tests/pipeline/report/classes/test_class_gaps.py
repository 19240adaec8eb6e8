"""Pixels without truth, where tiles of an image share some of them."""

import numpy as np
import xarray as xr

from pipeline.report import gaps
from pipeline.report.load import load_run
from pipeline.report.study import study


def _told(found):
    return [text.replace("\u00a0", " ") for text in gaps.sentences(found)]


def _tiles_by_hand(data, split):
    """Return how many pixels of the images have truth, and how many there are, tile by tile and pixel by pixel."""
    known, every = set(), set()
    variable = next(name for name in data.data_vars if f"{name}_truth" in data)
    truth = data[f"{variable}_truth"].values
    for tile in np.flatnonzero(data["split"].values.astype(str) == split):
        image = str(data["image"].values[tile])
        top, left = int(data["first_y"].values[tile]), int(data["first_x"].values[tile])
        for y in range(truth.shape[1]):
            for x in range(truth.shape[2]):
                every.add((image, top + y, left + x))
                if np.isfinite(truth[tile, y, x]):
                    known.add((image, top + y, left + x))
    return len(known), len(every)


def test_pixels_that_two_tiles_share_are_no_gap(make_class_run):
    assert _told(study(load_run(make_class_run()))) == []
    run = make_class_run(missing=0.2)
    known, every = _tiles_by_hand(xr.load_dataset(run / "predictions/class_unet.nc"), "test")
    share = 1 - known / every
    assert 0.15 < share < 0.25
    assert _told(study(load_run(run))) == [
        f"Truth is missing for {100 * share:.0f} % of the pixels of the test set; those are not scored."
    ]
