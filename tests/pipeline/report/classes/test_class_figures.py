"""Maps, curves and confusion of classes: what is drawn where, in which colour, with which words."""

import io
from itertools import pairwise

import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.report import palette
from pipeline.report.figures import class_curves, class_map
from pipeline.report.figures.class_map import FALSE_ALARM, HIT, MISS, OTHER, RIGHT, UNKNOWN

PAINTED = True  # tests look at maps

IMAGE = Grid(np.arange(20.0), np.arange(20.0), ("y", "x"), image=True)
STRIP = Grid(np.arange(90.0), np.arange(20.0), ("y", "x"), image=True)
GLOBE = Grid(np.linspace(-85, 85, 18), np.arange(36) * 10.0)


def _pixels(content):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def _share(pixels, colour):
    """Return the share of pixels of a colour."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return float((np.abs(pixels[..., :3].astype(int) - rgb).max(axis=-1) <= 1).mean())


def _draw(truth, predicted, grid, classes=3, **options):
    shown = class_map.panels(truth, predicted, classes)
    key = class_map.keys(shown, [f"class {k}" for k in range(classes)], "no truth")
    return class_map.class_maps(shown, key, grid, "A finding.", "title", **options)


def test_errors_by_brute_force():
    truth, predicted = np.meshgrid([-1, 0, 1, 2], [-1, 0, 1, 2], indexing="ij")
    found = class_map.errors(truth, predicted)
    for true, said, code in zip(truth.ravel(), predicted.ravel(), found.ravel(), strict=True):
        if -1 in (true, said):
            expected = UNKNOWN
        elif true == said:
            expected = HIT if true else RIGHT
        elif said == 0:
            expected = MISS
        else:
            expected = OTHER if true else FALSE_ALARM
        assert code == expected, (true, said)


@pytest.mark.parametrize("theme", [0, 1])
def test_every_class_has_its_colour_in_both_themes(theme):
    truth = np.repeat(np.arange(8), 5)[:, None].repeat(40, axis=1)[:40]
    grid = Grid(np.arange(40.0), np.arange(40.0), ("y", "x"), image=True)
    picture = _draw(truth, truth, grid, classes=8)
    pixels = _pixels(picture.dark if theme else picture.light)
    for pair in palette.class_colours(8):
        assert _share(pixels, pair[theme]) > 0.01


def test_misses_and_false_alarms_have_colours_no_class_has():
    colours = [pair for pair in palette.class_colours(8)]
    for pair in (palette.HIT, palette.MISS, palette.FALSE_ALARM, palette.OTHER):
        assert pair not in colours
    truth, predicted = np.zeros((20, 20), int), np.zeros((20, 20), int)
    truth[:10, :10], predicted[10:, 10:] = 1, 1
    pixels = _pixels(_draw(truth, predicted, IMAGE).light)
    assert _share(pixels, palette.MISS[0]) > 0.02
    assert _share(pixels, palette.FALSE_ALARM[0]) > 0.02


@pytest.mark.parametrize("theme", [0, 1])
def test_right_and_wrong_differ_in_lightness(theme):
    tones = [palette.BACKGROUND, palette.HIT, palette.MISS, palette.FALSE_ALARM]
    tones = sorted(palette.luminance(pair[theme]) for pair in tones)
    assert min(b - a for a, b in pairwise(tones)) > 0.02


def test_the_key_names_what_is_there():
    truth = np.array([[0, 1, 1], [0, 2, -1]])
    shown = class_map.panels(truth, np.array([[0, 1, 0], [1, 1, 0]]), 3)
    words = [entry.name for entry in class_map.keys(shown, ("clear", "cloud", "shadow"), "no truth")]
    assert words == ["clear", "cloud", "shadow", "class found", "missed", "false alarm", "wrong class", "no truth"]
    right = class_map.panels(np.zeros((2, 2), int), np.zeros((2, 2), int), 2)
    assert [entry.name for entry in class_map.keys(right, ("calm", "storm"), "no truth")] == ["calm", "storm"]


def test_unknown_truth_is_the_page_with_a_hatch():
    truth = np.full((20, 20), UNKNOWN)
    pixels = _pixels(_draw(truth, truth, IMAGE).light)
    assert _share(pixels, palette.BACKGROUND[0]) < 0.02
    dark = (pixels[..., :3].max(axis=-1) < 160) & (pixels[..., 3] > 200)
    assert 0.01 < float(dark.mean()) < 0.4


@pytest.mark.parametrize(("grid", "highest"), [(IMAGE, 620), (STRIP, 620), (GLOBE, 620), (GLOBE, 292), (STRIP, 292)])
def test_pictures_are_no_higher_than_they_may_be(grid, highest):
    truth = np.random.default_rng(1).integers(0, 3, grid.shape)
    picture = _draw(truth, truth, grid, highest=highest)
    assert picture.width == 344
    assert 100 < picture.height <= highest
    assert picture.mime == "image/webp"


def test_the_first_row_of_an_image_is_on_top():
    truth = np.zeros((20, 20), int)
    truth[0] = 1
    picture = _draw(truth, truth, IMAGE)
    pixels = _pixels(picture.light)
    rgb = np.array([int(palette.class_colours(2)[1][0][i : i + 2], 16) for i in (1, 3, 5)])
    rows = np.flatnonzero((np.abs(pixels[:, :300, :3].astype(int) - rgb).max(axis=-1) <= 1).sum(axis=1) > 100)
    assert rows.min() < 0.2 * len(pixels)
    assert len(rows) < 0.1 * len(pixels)


def test_long_names_do_not_leave_the_picture():
    rows = class_map._key_rows([class_map.Key("a_very_long_name_" * 5, palette.HIT)] * 3, 344)
    assert len(rows) == 3


def test_confusion_says_shares_and_numbers():
    area = np.array([[90.0, 10.0], [5.0, 5.0]])
    few = class_curves.confusion_matrix(area, ("calm", "storm"), True, "A finding.", "title")
    many = class_curves.confusion_matrix(np.eye(8), [f"class {k}" for k in range(8)], False, "A finding.", "t")
    assert (few.width, many.width) == (490, 490)
    assert many.height > few.height


def test_a_class_that_is_not_there_leaves_an_empty_row():
    area = np.array([[9.0, 1.0], [0.0, 0.0]])
    assert class_curves.confusion_matrix(area, ("calm", "storm"), True, "A finding.", "").height > 80


def test_curves_are_named_and_dark_ones_have_dark_colours():
    lines = palette.class_lines(8)
    x = np.linspace(0, 1, 5)
    curves = [class_curves.ClassCurve(f"class {k}", lines[k], x, x, 0.1) for k in range(8)]
    picture = class_curves.class_curves(curves, ("recall", "precision"), "A finding.", "title")
    light, dark = picture.light.decode(), picture.dark.decode()
    for k in range(8):
        assert f"class {k}" in light
        assert lines[k] in light
        assert lines[k] not in dark


def test_names_stay_inside_and_apart():
    places = class_curves.inside([1.0, 0.99, 0.98, 0.5], 0.05)
    assert max(places) <= 1.0
    assert np.diff(sorted(places)).min() >= 0.05 - 1e-12


def test_lines_of_classes_stand_out_from_the_page():
    for light in palette.class_lines(8):
        assert palette.contrast(light, palette.LIGHT.surface) >= 3.0
        assert palette.contrast(palette.to_dark(light), palette.DARK.surface) >= 3.0


def test_written_numbers_keep_their_digits():
    from pipeline.report.figures import bars

    rows = [bars.Row("a", 0.825, 0.81, 0.84, "#0072b2"), bars.Row("b", 0.157, 0.15, 0.16, "#d55e00")]
    text = bars.skill_bars(rows, "IoU", "A finding.", "", width=344, column=True).light.decode()
    assert "0.825" in text
    assert "0.157" in text


def test_a_second_number_stands_where_there_is_room():
    assert class_curves.has_room_below(("clear", "cloud", "shadow"))
    assert not class_curves.has_room_below([f"class {k}" for k in range(8)])


@pytest.mark.parametrize("box", [(-180.0, 180.0), (0.0, 360.0), (-7.5, 352.5)])
def test_no_coast_runs_across_the_whole_map(box):
    from pipeline.report import coast

    lines = coast.clipped("coast", coast.Box(*box, -90.0, 90.0))
    assert max(float(np.abs(np.diff(line[:, 0])).max()) for line in lines) < 20.0
