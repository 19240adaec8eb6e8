"""Shipped experiments put to their real files, from ingest to prepare: nothing is fitted but scalers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from flows.engine import Request, create_or_find
from flows.stages.ingest import ingest
from flows.stages.prepare import prepare
from flows.workspace import Workspace

pytestmark = pytest.mark.real


@pytest.fixture
def prepared_run(tmp_path):
    """Return a function that takes a shipped experiment through ingest and prepare."""
    if not os.environ.get("FINESCALE_DATA"):
        pytest.skip("FINESCALE_DATA is not set: the real files are not there")

    def made(name):
        mirror = Path(os.environ["FINESCALE_DATA"])
        words = {"resume": None, "overrides": (), "catalog": None, "use_server": False, "debug": False}
        space = Workspace.open(create_or_find(Request(experiment=name, data=mirror, out=tmp_path, **words)).path)
        ingest(space)
        prepare(space)
        return space

    return made


def test_hadcm3_is_coarsened_to_whole_blocks_whose_means_the_fine_field_has(prepared_run):
    space = prepared_run("hadcm3-sr")
    prepared, schema = space.prepared, space.prepared.schema
    assert (schema.input_grid.shape, schema.target_grid.shape) == ((9, 12), (36, 48))
    assert [len(prepared.samples(name)) for name in prepared.names] == [81, 10, 10]
    summary = prepared.summary()
    assert (summary["calendar"], summary["matched_by"]) == ("360_day", "year")
    assert (
        "hadcm3-na is coarsened by 4 to 9 x 12 cells, without 1 row and 1 column that fill no block."
        in summary["notes"]
    )
    samples, truth = prepared.samples("test"), prepared.truth("test")[:, 0].astype(float)
    assert [stamp.year for stamp in samples.time] == list(range(1991, 2001))
    weight = np.broadcast_to(np.cos(np.deg2rad(schema.target_grid.lat))[:, None], (36, 48))
    total, area = ((part * weight).reshape(-1, 9, 4, 12, 4).sum(axis=(2, 4)) for part in (truth, np.ones_like(truth)))
    coarse = samples.inputs[:, 0] * schema.channel_affine.scale[0] + schema.channel_affine.shift[0]
    np.testing.assert_allclose(coarse, total / area, rtol=3e-7)  # kelvin in float32
    back = samples.target[:, 0] * schema.target_affine.scale[0] + schema.target_affine.shift[0]
    np.testing.assert_allclose(back, truth, rtol=3e-7)
    assert 250 < truth.min() < truth.max() < 310
