"""What is known of these methods shows in worlds whose truth is known: trained networks, small ones."""

import json
from copy import deepcopy

import numpy as np
import pytest
import torch

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.known import figures
from pipeline.attribution.known.correlation import made_correlation
from pipeline.attribution.known.methods import Answer, Asked, Variant, ask
from pipeline.attribution.known.run import of_cells, of_images
from pipeline.attribution.known.settings import STEP, Settings
from pipeline.backend import get_backend

FEW = ("gradient", "smooth_gradient", "input_x_gradient", "integrated_gradients", "occlusion")


@pytest.fixture(scope="module")
def cells():
    """58 cells, in a world of which a linear regression explains two thirds, as in the paper."""
    return of_cells(made_correlation(0), Settings(steps=900, samples=200, seed=1, methods=FEW), get_backend("cpu"))


@pytest.fixture(scope="module")
def images():
    return of_images(Settings(steps=350, samples=24, methods=FEW[:4]), get_backend("cpu"))


def mean(finished, method):
    return next(row.mean for row in finished.result.rows if row.method.split(" (")[0] == method)


def test_the_network_learns_the_world(cells):
    assert cells.result.numbers["r2"] >= 0.90
    assert cells.result.numbers["r2"] > cells.result.numbers["linear_r2"] + 0.02


def test_integrated_gradients_find_the_truth_and_gradients_do_not(cells):
    assert mean(cells, "integrated_gradients") >= 0.75
    assert abs(mean(cells, "gradient")) <= 0.15
    assert abs(mean(cells, "smooth_gradient")) <= 0.15
    # It is the question that is wrong: a perfect network's gradient is no better.
    assert abs(mean(cells, "gradient of the world")) <= 0.15


def test_methods_come_in_the_order_that_is_known(cells):
    assert mean(cells, "integrated_gradients") >= mean(cells, "input_x_gradient") - 0.02
    assert min(mean(cells, name) for name in FEW[2:]) > 0.6
    assert mean(cells, "integrated_gradients") > mean(cells, "linear regression") + 0.05


def test_integrated_gradients_add_up(cells):
    answer = ask(Variant("integrated_gradients", {"steps": 256}), cells.parts, seed=0)
    assert isinstance(answer, Answer)
    assert answer.gap <= 0.02


def test_input_times_gradient_is_the_z_rule_of_relevance(cells):
    """The two are one for networks of ReLUs, biases in the denominators."""
    single = cells.parts[0]
    # Where an output is next to zero, float32 leaves little of its parts.
    network = deepcopy(single.network).double()
    part = Asked(network, single.inputs.double(), single.draws.double(), single.truth)
    plain = ask(Variant("input_x_gradient"), (part,), seed=0).values
    if "lrp" in ATTRIBUTIONS:
        answer = ask(Variant("lrp", {"rule": "z"}), (part,), seed=0)
        assert isinstance(answer, Answer), answer
        relevance = answer.values
    else:
        from captum.attr import LRP
        from captum.attr._utils.lrp_rules import EpsilonRule

        layers = network[1:-1]
        for layer in layers:
            if isinstance(layer, torch.nn.Linear):
                layer.rule = EpsilonRule(1e-15)
        relevance = LRP(layers).attribute(part.inputs.flatten(1).requires_grad_(), target=0).detach().numpy()
    np.testing.assert_allclose(relevance, plain, atol=1e-5)


def test_the_truth_is_the_world_s(cells):
    assert cells.truth.shape == (200, 58)
    assert len(cells.parts) == 1
    assert cells.truth.sum(1).std() > 0


def test_the_network_tells_frames_from_circles(images):
    assert images.result.numbers["accuracy"] >= 0.95
    assert sum(len(part.inputs) for part in images.parts) >= 20


def test_of_images_too_gradients_are_the_worst(images):
    worst = max(mean(images, "gradient"), mean(images, "smooth_gradient"))
    assert mean(images, "gradient") < 0.3
    assert mean(images, "input_x_gradient") > worst + 0.08
    assert mean(images, "integrated_gradients") > worst + 0.12


def test_where_there_is_nothing_input_times_gradient_sees_nothing(images):
    """Ignorance to zero input, as the paper has it: whatever the network makes of the background, it gets zero."""
    answer = next(each for each in images.answers if each.variant.method == "input_x_gradient")
    background = images.truth == 0
    assert (answer.values[background] == 0).all()
    gradient = next(each for each in images.answers if each.variant.method == "gradient")
    assert (gradient.values[background] != 0).mean() > 0.5


def test_the_same_seed_gives_the_same_scores():
    asked = Settings(steps=20, samples=8, methods=("gradient", "integrated_gradients"))
    one, again = (of_cells(made_correlation(0), asked, get_backend("cpu")) for _ in range(2))
    for row, other in zip(one.result.rows, again.result.rows, strict=True):
        assert row.method == other.method
        np.testing.assert_allclose(row.pearson, other.pearson, rtol=1e-12)
    np.testing.assert_array_equal(one.truth, again.truth)


def test_table_and_json_say_the_same(cells):
    text, tree = cells.result.markdown(), json.loads(json.dumps(cells.result.json(), allow_nan=False))
    assert len(tree["rows"]) == len(FEW) + 2
    for row in tree["rows"]:
        line = next(line for line in text.splitlines() if line.startswith(f"| {row['method']} |"))
        assert f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})" in line
        assert row["low"] <= row["mean"] <= row["high"]
        assert np.mean(row["pearson"]) == pytest.approx(row["mean"])
    assert "For comparison" in text
    means = [row["mean"] for row in tree["rows"]]
    assert means == sorted(means, reverse=True)
    assert f"R2 {tree['numbers']['r2']:.4f}" in text


def test_maps_show_the_truth_first_and_the_best_next(cells):
    mask = made_correlation(0).every(STEP).mask
    drawn = figures.panels(cells, mask.shape, mask)
    assert [panel.name for panel in drawn] == ["truth", *(row.method.split(" (")[0] for row in cells.result.rows)]
    assert next(panel.note for panel in drawn if panel.name == "integrated_gradients").endswith("; steps: 128")
    for panel in drawn:
        np.testing.assert_array_equal(np.isfinite(panel.field), mask)
        assert np.sqrt(np.nanmean(panel.field**2)) == pytest.approx(1.0)
    places = np.array([np.corrcoef(drawn[0].field[mask], truth)[0, 1] for truth in cells.truth])
    assert places.max() == pytest.approx(1.0)


def test_figures_are_drawn(cells, images):
    histograms = figures.histograms(cells.result.rows)
    assert histograms.light.startswith(b"<svg")
    for row in cells.result.rows:
        assert row.method.replace("_", " ").encode() in histograms.light
    pictures = [
        figures.maps(figures.panels(images, (65, 65))),
        figures.maps(figures.panels(cells, (18, 36), made_correlation(0).every(STEP).mask), made_correlation(0).grid),
    ]
    for picture in pictures:
        assert picture.light[8:12] == picture.dark[8:12] == b"WEBP"
        assert picture.light != picture.dark
