"""How unsure models of classes are, on a grid and on images put together from tiles."""

import numpy as np
import pytest
import xarray as xr

from pipeline.prediction.categorical import entropy
from pipeline.report.class_samples import blocks
from pipeline.report.figures import maps, unsure
from pipeline.report.load import load_run
from pipeline.report.sections import Figure, Words, class_trust
from pipeline.report.study import study

PAINTED = True  # tests look at maps

ENSEMBLE = "class_unet+deep_ensemble"
MODELS = ("class_frequencies", ENSEMBLE)


def section_of(run):
    found = study(load_run(run))
    return found, class_trust.build(found)


def figure_of(section, name):
    return next((block for block in section.blocks if isinstance(block, Figure) and block.name == name), None)


def said_in(section):
    return next(block for block in section.blocks if isinstance(block, Words)).items[0].replace("\u00a0", " ")


def test_an_ensemble_on_a_grid_has_both_maps_and_the_course(make_class_run):
    found, section = section_of(make_class_run(models=MODELS, tiles=False, missing=0.1))
    assert found.headline == ENSEMBLE
    with found.run.predictions(ENSEMBLE) as data:
        known = np.isfinite(data["mask_truth"].values)
        weights = np.cos(np.deg2rad(data["lat"].values))[None, :, None] * known
        total = entropy(data["mask_param_probabilities"].values)
        parts = {
            kind: (data[f"mask_{kind}"].values * weights).sum() / weights.sum() for kind in ("aleatoric", "epistemic")
        }
    assert sum(parts.values()) == pytest.approx((total * weights).sum() / weights.sum(), abs=1e-6)
    share = 100 * parts["aleatoric"] / sum(parts.values())
    assert said_in(section).startswith(
        f"{share:.0f} % of the predictive entropy of class unet + deep ensemble is aleatoric"
    )
    figure = figure_of(section, "unsure-mask")
    assert len(figure.pictures) == 3
    assert f"{parts['epistemic']:.3g} nat on average" in figure.pictures[1].alt.replace("\u00a0", " ")


def test_one_network_has_one_map(make_class_run):
    _, section = section_of(make_class_run(tiles=False, predictions=False))
    assert "class unet answers one distribution and has no members that could disagree" in said_in(section)
    assert [picture.title for picture in figure_of(section, "unsure-mask").pictures] == [
        "Entropy (aleatoric) [nat]",
        "By sample",  # predictions say what a sample is
    ]


def test_images_are_put_together_from_their_tiles(make_class_run):
    found, section = section_of(make_class_run(models=MODELS))
    assert figure_of(section, "unsure-mask") is None  # a pixel of a tile is no place, and tiles have no time
    assert "most at" not in said_in(section)
    assert "least sure" not in said_in(section)
    figure = figure_of(section, "unsure-images-mask")
    assert [picture.title for picture in figure.pictures] == ["left", "right"]
    with found.run.predictions(ENSEMBLE) as data:
        whole = blocks(found, data, "mask")
        first = data.isel(time=int(np.flatnonzero(data["image"].values == "left")[0])).load()
    for kind, field in whole[0].unsure.items():
        assert np.isfinite(field).all()
        np.testing.assert_array_equal(field[: first.sizes["y"], : first.sizes["x"]], first[f"mask_{kind}"])
    means = [whole[1].unsure[kind].mean() for kind in ("aleatoric", "epistemic")]
    said = f"The predictive entropy is {means[0]:.3g} nat aleatoric and {means[1]:.3g} nat epistemic on average over right."
    assert figure.pictures[1].alt == said


@pytest.mark.parametrize(
    ("shape", "size"),
    [((96, 40), (344, 453)), ((512, 102), (344, 480)), ((60, 60), (344, 222)), ((20, 60), (344, 343))],
)
def test_parts_stand_side_by_side_unless_the_image_is_flat(shape, size):
    field = np.random.default_rng(0).random(shape)
    panels = [maps.MapPanel(field, kind, "") for kind in ("aleatoric", "epistemic")]
    made = unsure.on_image(panels, [maps.Scale.of("spread", "nat", field)] * 2, "Alt.", "left")
    assert (made.width, made.height) == size
    assert made.light != made.dark


def test_where_tiles_overlap_the_one_is_shown_that_is_scored(make_class_run):
    run = make_class_run(models=MODELS)
    found = study(load_run(run))
    with found.run.predictions(ENSEMBLE) as data:
        rows = np.flatnonzero((data["split"].values == "test") & (data["image"].values == "left"))
        data = data.load()
    part = blocks(found, data, "mask")[0]
    for row in rows:
        one = data.isel(time=row)
        known = np.isfinite(one["mask_truth"].values)
        y, x = int(one["first_y"]) - int(part.grid.lat[0]), int(one["first_x"]) - int(part.grid.lon[0])
        place = np.s_[y : y + known.shape[0], x : x + known.shape[1]]
        np.testing.assert_array_equal(part.unsure["aleatoric"][place][known], one["mask_aleatoric"].values[known])


def test_forecasts_without_the_parts_have_images_without_them(make_class_run):
    run = make_class_run(models=MODELS)
    path = run / "predictions" / f"{ENSEMBLE}.nc"
    with xr.open_dataset(path) as data:
        plain = data.load().drop_vars(["mask_aleatoric", "mask_epistemic"])
    plain.to_netcdf(path)
    _, section = section_of(run)
    assert figure_of(section, "unsure-images-mask") is None
    assert "of the predictive entropy" in said_in(section)
