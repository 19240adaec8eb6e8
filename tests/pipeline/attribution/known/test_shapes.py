from collections import Counter
from dataclasses import fields

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from pipeline.attribution.known.shapes import Layout, draw_images, painted


@pytest.fixture(scope="module")
def images():
    return draw_images(2000, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def alone(images):
    """Each shape of each image painted without the others, shape (image, 4, row, column)."""
    found = []
    for shape in range(4):
        only = torch.zeros_like(images.layout.present)
        only[:, shape] = images.layout.present[:, shape]
        found.append(painted(Layout(only, *(getattr(images.layout, part.name) for part in fields(Layout)[1:]))))
    return torch.stack(found, dim=1)


def test_there_are_never_as_many_of_both(images):
    present = images.layout.present
    pairs = Counter(zip(present[:, :2].sum(1).tolist(), present[:, 2:].sum(1).tolist(), strict=True))
    assert set(pairs) == {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)}
    # A sixth each, but for the few that are drawn anew.
    assert all(abs(count / 2000 - 1 / 6) < 0.04 for count in pairs.values())


def test_pixels_show_as_many_frames_as_were_laid_out(images):
    for image, present in zip(images.inputs[:, 0].numpy(), images.layout.present, strict=True):
        assert label(image, np.ones((3, 3)))[1] == int(present.sum())


def test_frames_have_the_sizes_of_the_recipe(images, alone):
    layout = images.layout
    side, hole = layout.side[layout.present], layout.hole[layout.present]
    assert (side.min(), side.max()) == (12, 22)
    assert hole.min() == 7
    assert (side - hole).min() == 4
    pixels = alone.abs().sum((2, 3))
    whole = (layout.side**2 - layout.hole**2).float()
    squares, circles = layout.present.clone(), layout.present.clone()
    squares[:, 2:] = circles[:, :2] = False
    torch.testing.assert_close(pixels[squares], whole[squares])
    # A circle's area is that of its square but for the pixels on its edges, which even out.
    assert (pixels[circles] - whole[circles]).abs().max() < 60
    assert float(pixels[circles].sum() / whole[circles].sum()) == pytest.approx(1.0, abs=0.02)


def test_a_square_is_as_wide_as_high_and_its_hole_too(images, alone):
    for number in range(300):
        for shape in (0, 1):
            if not images.layout.present[number, shape]:
                continue
            image = alone[number, shape].bool()
            rows, columns = image.any(1).nonzero()[:, 0], image.any(0).nonzero()[:, 0]
            side, hole = int(images.layout.side[number, shape]), int(images.layout.hole[number, shape])
            assert len(rows) == len(columns) == side
            inside = ~image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert inside.any(1).sum() == inside.any(0).sum() == hole
            assert inside.sum() == hole**2


def test_circles_are_round(images, alone):
    for number in range(300):
        for shape in (2, 3):
            if images.layout.present[number, shape]:
                image = alone[number, shape]
                torch.testing.assert_close(image.sum(0)[image.sum(0) != 0], image.sum(1)[image.sum(1) != 0])


def test_no_two_shapes_touch(images, alone):
    assert alone.abs().sum(1).max() == 1
    wider = torch.nn.functional.max_pool2d(alone.abs(), 3, stride=1, padding=1)
    for one in range(4):
        for other in range(4):
            if one != other:
                assert (wider[:, one] * alone[:, other]).abs().max() == 0


def test_shapes_lie_anywhere(images):
    share = images.inputs.mean((0, 1))
    middle = share[12:53, 12:53]
    assert middle.min() > 0.04
    assert torch.allclose(share.flip(0), share, atol=0.05)


def test_the_class_is_the_sign_of_the_sum_and_the_truth_is_positive_where_it_wins(images, alone):
    signed = alone.sum(1)
    total = signed.sum((1, 2))
    assert (total != 0).all()
    assert torch.equal(images.squares, (total > 0).long())
    assert torch.equal(images.inputs[:, 0], signed.abs())
    assert torch.equal(images.truth[:, 0], signed * torch.sign(total)[:, None, None])
    assert (images.truth.sum((1, 2, 3)) > 0).all()
    assert 0.4 < float(images.squares.float().mean()) < 0.6


def test_squares_are_positive_and_circles_negative(alone):
    assert alone[:, :2].min() == 0
    assert alone[:, 2:].max() == 0


def test_images_are_the_same_for_the_same_generator():
    one, again, other = (draw_images(20, torch.Generator().manual_seed(seed)).truth for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
