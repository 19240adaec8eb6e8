"""Aggregated saliency and dispersion: drawn where the file holds them, absent otherwise."""

import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.report.aggregated import aggregates
from pipeline.report.sections import Heading, Words, drivers
from pipeline.report.tables import Table

LAT, LON = np.linspace(36.0, 44.0, 7), np.linspace(-9.0, 3.0, 9)
PREFIX = "aggregates_gradient"
WHERE = {"target_lat": (("target_lat",), LAT), "target_lon": (("target_lon",), LON)}
FIELD = np.hypot(*np.meshgrid(LAT - 40, LON + 3, indexing="ij")) * 50
ABOUT = {"units": "km", "long_name": "saliency dispersion"}
DISPERSION = {f"{PREFIX}_dispersion": (("target_lat", "target_lon"), FIELD, ABOUT)}
NAMES = {f"{PREFIX}_variable": ((f"{PREFIX}_variable",), np.array(["tas", "psl", "pr"], object))}


def _with_distance(**more):
    found = {"distance": 310.0, "distance_low": 290.0, "distance_high": 330.0, "comment": "48 cells on 12 days."}
    return {f"{PREFIX}_dispersion": (("target_lat", "target_lon"), FIELD, {**ABOUT, **found, **more})}


def _saliency(word):
    field = np.ones((3, 6, 8)) * np.array([0.6, 0.3, 0.1])[:, None, None] / 48
    return {f"{PREFIX}_{word}": (("channel", "lat", "lon"), field, {"units": "1"})}


@pytest.fixture
def told(explained, made):
    """Return a function: variables of aggregates, to their blocks and their figure."""

    def make(extra):
        blocks = drivers.build(explained({"unet": [made.scored()]}, extra=extra)).blocks
        start = next(k for k, b in enumerate(blocks) if isinstance(b, Heading) and "target cells" in b.text)
        own = blocks[start:]
        return own, made.figures(own).get("aggregates-unet-aggregates-gradient")

    return make


def test_without_them_nothing_is_said(explained, made):
    study = explained({"unet": [made.scored()]})
    assert aggregates(study, "unet") == []
    headings = [block.text for block in drivers.build(study).blocks if isinstance(block, Heading)]
    assert headings == ["unet: permutation importance of the mean tas over 48 cells"]


@pytest.mark.parametrize("word", ["saliency", "asm"])
def test_all_that_is_there_is_drawn(told, made, word):
    shares = {f"{PREFIX}_share": ((f"{PREFIX}_variable",), np.array([0.6, 0.3, 0.1]))}
    blocks, figure = told(WHERE | _with_distance() | _saliency(word) | NAMES | shares)
    assert [picture.title for picture in figure.pictures] == [
        "Dispersion [km]", "Saliency, all channels", "tas", "psl",
    ]  # fmt: skip
    assert figure.caption.startswith("Dispersion: mean distance")
    assert made.plain(next(block for block in blocks if isinstance(block, Words)).items[0]) == (
        "For unet, the saliency of a target cell lies 310 km (95 % interval 290 to 330) away from it on average. tas "
        "carries 60 % of that saliency, psl 30 %. 48 cells on 12 days."
    )
    assert not [block for block in blocks if isinstance(block, Table)]


def test_dispersion_alone_is_enough(told, made):
    blocks, figure = told(WHERE | DISPERSION)
    assert [picture.title for picture in figure.pictures] == ["Dispersion [km]"]
    said = made.plain(next(block for block in blocks if isinstance(block, Words)).items[0])
    assert said.startswith("For unet, the mean distance of a target cell's saliency lies between ")
    assert "Saliency:" not in figure.caption


def test_groups_of_days_have_a_table(told):
    group = f"{PREFIX}_group"
    parts = {
        group: ((group,), np.array(["DJF", "JJA"], object)),
        f"{group}_days": ((group,), np.array([6, 5])),
        f"{group}_distance": ((group,), np.array([300.0, 320.0])),
        f"{group}_distance_low": ((group,), np.array([280.0, 300.0])),
        f"{group}_distance_high": ((group,), np.array([310.0, 340.0])),
        f"{group}_dispersion": ((group, "target_lat", "target_lon"), np.stack([FIELD, FIELD])),
    }
    blocks, _ = told(WHERE | _with_distance() | parts)
    table = next(block for block in blocks if isinstance(block, Table))
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["all", "–", "310", "290", "330"], ["DJF", "6", "300", "280", "310"], ["JJA", "5", "320", "300", "340"],
    ]  # fmt: skip
    assert (table.columns[1].title, table.columns[2].unit) == ("Days", "km")


def test_targets_on_other_grids(explained, made):
    lat, lon = np.meshgrid(LAT, LON, indexing="ij")
    dims = ("target_y", "target_x")
    turned = {
        "target_lat": (dims, lat), "target_lon": (dims, lon), f"{PREFIX}_dispersion": (dims, FIELD, ABOUT),
    }  # fmt: skip
    one = aggregates(explained({"unet": [made.scored()]}, extra=turned), "unet")[0]
    assert (one.target.dims, one.target.shape) == (("y", "x"), (7, 9))
    place = {name: (("target_station",), values) for name, values in (("target_lat", LAT), ("target_lon", LON[:7]))}
    names = {"target_station": (("target_station",), np.array(list("abcdefg"), object))}
    field = {f"{PREFIX}_dispersion": (("target_station",), FIELD[:, 0], ABOUT)}
    one = aggregates(explained({"unet": [made.scored()]}, extra={**place, **names, **field}), "unet")[0]
    assert one.target.stations == tuple("abcdefg")
    assert one.dispersion.shape == (1, 7)


def test_a_dispersion_without_places_is_not_drawn(told, made):
    blocks, figure = told({f"{PREFIX}_dispersion": (("target_y", "target_x"), FIELD, {**ABOUT, "distance": 3.0})})
    assert figure is None
    said = made.plain(next(block for block in blocks if isinstance(block, Words)).items[0])
    assert said == "For unet, the saliency of a target cell lies 3.00 km away from it on average."


def test_where_inputs_are_one_station_the_dispersion_is_drawn_alone(explained, made):
    grid = Grid(np.array([[44.0]]), np.array([[-115.0]]), ("row", "station"), ("salmon",))
    extra = WHERE | DISPERSION | {f"{PREFIX}_saliency": (("channel", "station"), np.ones((3, 1)) / 3)}
    study = explained({"unet": [made.scored()]}, grid=grid, extra=extra)
    figure = made.figures(drivers.build(study).blocks)["aggregates-unet-aggregates-gradient"]
    assert [picture.title for picture in figure.pictures] == ["Dispersion [km]"]
