"""More models than colours: hatches, markers and dashes tell those of one colour apart."""

import re

import numpy as np
import pytest

from pipeline.report import palette
from pipeline.report.figures import bars, cues, lines, spectra, trust
from pipeline.report.load import load_run
from pipeline.report.sections import verdict
from pipeline.report.study import study

MANY = tuple(f"model_{k:02d}" for k in range(12))


def test_colour_and_cue_together_name_a_model():
    models = [f"m{k}" for k in range(29)]
    quiet = set(models[::2])
    colours, turns = palette.model_colours(models, quiet), palette.model_cues(models, quiet)
    assert len({(colours[model], turns[model]) for model in models}) == len(models)
    seen: dict[str, int] = {}
    for model in models:  # a cue is how many before have the colour
        assert turns[model] == seen.get(colours[model], 0)
        seen[colours[model]] = turns[model] + 1


def test_few_models_have_no_cue():
    models = ("climatology", "persistence", "ridge", "a", "b", "c", "d", "e", "f")
    assert set(palette.model_cues(models, set(models[:3])).values()) == {0}


@pytest.mark.parametrize("kind", [cues.hatch, cues.marker, cues.dash])
def test_cues_differ_and_begin_anew(kind):
    first = [kind(cue) for cue in range(5)]
    assert len(set(first)) == 5
    assert kind(5) == first[0]


def _rows(cue):
    colours = palette.model_colours(MANY, ())
    turns = palette.model_cues(MANY, ())
    return [bars.Row(m, 1 + k, 0.5 + k, 1.5 + k, colours[m], cue=turns[m] * cue) for k, m in enumerate(MANY)]


def _svg(picture):
    return picture.light.decode()


def _hatched(svg):
    return len(re.findall(r"<pattern[ >]", svg))


def test_bars_of_twelve_models_are_hatched():
    draw = {"axis": "RMSE [K]", "alt": "Alt.", "title": "Title", "width": 400}
    assert _hatched(_svg(bars.skill_bars(_rows(1), **draw))) >= 6  # those after the sixth, each of its own colour
    assert _hatched(_svg(bars.skill_bars(_rows(0), **draw))) == 0


def _plain(svg):
    """Return the shapes of markers, without where they stand."""
    return set(re.findall(r'<path id="[^"]+" d="([^"]+)"', svg))


def test_points_of_twelve_models_have_two_markers():
    one, two = (_plain(_svg(bars.dots(_rows(cue), "RMSE [K]", "Alt.", "Title", width=400))) for cue in (0, 1))
    assert len(two - one) == 1


def test_points_in_panels_have_two_markers():
    one, two = (_plain(_svg(bars.multiples({"DJF": _rows(cue)}, "RMSE [K]", "Alt.")[0])) for cue in (0, 1))
    assert len(two - one) == 1


def _dashes(svg):
    return set(re.findall(r"stroke-dasharray: ?([^;\"]+)", svg))


def test_lines_of_one_colour_have_their_own_dashes():
    x = np.arange(5.0)
    drawn = [lines.Line(f"m{k}", "#0072b2", x, x + k, dash=k) for k in range(3)]
    waves = [spectra.Spectrum(f"m{k}", "#0072b2", 2.0 ** (9 - x), 10.0 ** (3 - x) + k, cue=k) for k in range(3)]
    axis = lines.Axis("lead", "RMSE", marks=False)
    plain = [lines.Line(f"m{k}", "#0072b2", x, x + k) for k in range(3)]
    grid = _dashes(_svg(lines.lines(plain, axis, "Alt.")))
    assert len(_dashes(_svg(lines.lines(drawn, axis, "Alt."))) - grid) == 2
    assert len(_dashes(_svg(spectra.spectra(waves, "K2 km2", "Alt."))) - grid) >= 2


def test_calibration_curves_of_one_colour_have_their_own_dashes():
    level = np.linspace(0.1, 0.9, 5)
    for cue in (0, 1):
        made = [trust.Curve(f"m{k}", "#0072b2", level, level, level, level, cue=cue * k) for k in range(3)]
        svg = _svg(trust.calibration_curve(made, "Alt.", "Calibration", 260))
        assert len(_dashes(svg)) == 1 + 2 * cue  # the diagonal's own


def test_the_first_screen_of_many_models_is_hatched(make_run):
    run = make_run(models=("ridge", *MANY), baselines=("ridge",), years=1, attributions=False, diagnostics=False,
                   noise={model: 3 - 0.1 * k for k, model in enumerate(MANY)})  # fmt: skip
    found = study(load_run(run))
    assert (found.cues["model_05"], found.cues["model_06"]) == (0, 1)
    assert any(_hatched(_svg(picture)) for picture in verdict.build(found).pictures)
