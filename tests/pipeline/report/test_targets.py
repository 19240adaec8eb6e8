"""Several targets: each by its name and its own score, on the first screen."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.report import answers, error_bars, targets
from pipeline.report.load import load_run
from pipeline.report.markdown import write
from pipeline.report.render import render
from pipeline.report.sections import skill, verdict
from pipeline.report.sections.reduction import Reduction
from pipeline.report.study import study

NAN = float("nan")
PARTS = {
    "models": ("climatology", "ridge", "unet", "unet+deep_ensemble"), "baselines": ("climatology", "ridge"),
    "noise": {"unet": 1.0}, "years": 1, "attributions": False,
}  # fmt: skip
# The CRPS of rain on validation and test; the best of tas is another, on both sides.
CRPS = {"ridge": 3.0, "climatology": 2.0, "unet": 1.6, "unet+deep_ensemble": 1.5}
ENSEMBLE = "unet+deep_ensemble"


@pytest.fixture
def two(make_run):
    """Return a function: paired differences of the CRPS of rain (model, reference) to bounds, to a run with tas and pr.

    ``left_out``: models without scores of rain; ``crps_map``: what the map of its CRPS holds, none by default.
    """

    def make(gaps, left_out=(), crps_map=None):
        run = make_run(**PARTS)
        scores = pd.read_csv(run / "scores.csv")
        rain = scores.assign(variable="pr", units=scores["units"].replace("K", "mm d-1"))
        crps = [
            (model, split, "pr", "all", "crps", value, "mm d-1", value - 0.2, value + 0.2, 90)
            for model, value in CRPS.items()
            for split in ("validation", "test")
        ]
        rain = pd.concat([rain[rain["metric"] != "crps"], pd.DataFrame(crps, columns=scores.columns)])
        pd.concat([scores, rain[~rain["model"].isin(left_out)]]).to_csv(run / "scores.csv", index=False)
        rows = [
            (model, reference, "test", "pr", "all", "crps", *bounds, bounds[0] / CRPS[reference], 90)
            for (model, reference), bounds in gaps.items()
        ]
        comparisons = pd.read_csv(run / "comparisons.csv")
        more = pd.DataFrame(rows, columns=comparisons.columns)
        pd.concat([comparisons, more] if rows else [comparisons]).to_csv(run / "comparisons.csv", index=False)
        for path in (run / "diagnostics").iterdir():
            data = xr.load_dataset(path)
            data = data.merge(data.rename({name: "pr" + name[3:] for name in data.data_vars}))
            if crps_map is not None:
                data = data.assign({f"pr_crps_skill{end}": crps_map + 0 * data["pr_rmse"] for end in ("", "_low")})
            path.unlink()
            data.to_netcdf(path)
        return run

    return make


def _read(run):
    return study(load_run(run))


def _plain(text):
    return text.replace("\u00a0", " ")


def test_the_verdict_names_its_target(two):
    found = _read(two({}))
    assert found.variables == ("tas", "pr")
    assert answers.answer(found).text.startswith("For tas, unet beats the best baseline, ridge, by ")
    assert " of unet for tas " in error_bars.trust(found)
    assert " of unet for pr " in error_bars.trust(found, "pr")
    pictures = verdict.build(found).pictures
    titles = [picture.title for picture in pictures]
    assert titles == [
        "RMSE of tas", "RMSE reduction of tas against ridge [%]", "Do the error bars for tas hold?",
    ]  # fmt: skip


def test_sentences_that_begin_with_words_go_on_small(two):
    run = two({})
    table = pd.read_csv(run / "comparisons.csv")
    table.assign(difference=0.5, low=0.4, high=0.6).to_csv(run / "comparisons.csv", index=False)
    assert answers.answer(_read(run)).text.startswith("For tas, no model beats the best baseline, ridge: ")


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((-0.5, -0.7, -0.3), "beats the best baseline, climatology, by 0.500 mm d⁻¹ CRPS (95 % interval 0.300 to 0.700), 25 %."),
        ((0.5, 0.3, 0.7), "is worse than the best baseline, climatology, by 0.500 mm d⁻¹ CRPS (95 % interval 0.300 to 0.700), 25 %."),
        ((0.05, -0.1, 0.2), "cannot be told from the best baseline, climatology: its CRPS differs by +0.050 mm d⁻¹ (95 % interval −0.100 to 0.200)."),
    ],
)  # fmt: skip
def test_a_further_target_is_judged_by_its_own_score(two, bounds, said):
    found = _read(two({(ENSEMBLE, "climatology"): bounds}))
    (text,) = targets.further(found)
    assert _plain(text) == f"For pr, the best model, unet + deep ensemble, {said}"


def test_without_a_paired_difference_both_scores_have_their_intervals(two):
    (text,) = targets.further(_read(two({(ENSEMBLE, "ridge"): (-1.0, -1.1, -0.9)})))
    assert _plain(text) == (
        "For pr, the best model, unet + deep ensemble, has a CRPS of 1.50 mm d⁻¹ (1.30 to 1.70), and the best baseline, "
        "climatology, a CRPS of 2.00 mm d⁻¹ (1.80 to 2.20); no interval of the difference is known."
    )


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        (("unet", ENSEMBLE), "For pr, the best baseline, climatology, has a CRPS of 2.00 mm d⁻¹ (1.80 to 2.20)."),
        (
            ("climatology", "ridge"),
            "For pr, the best model, unet + deep ensemble, has a CRPS of 1.50 mm d⁻¹ (1.30 to 1.70); there is no baseline "
            "to compare it with.",
        ),
    ],
)
def test_a_target_with_one_kind_of_model(two, left_out, said):
    assert [_plain(text) for text in targets.further(_read(two({}, left_out)))] == [said]


def test_page_and_markdown_say_it_on_the_first_screen(two):
    run = two({(ENSEMBLE, "climatology"): (-0.5, -0.7, -0.3)})
    page = render(run).read_text(encoding="utf-8")
    first = page[page.index('<section id="verdict"') : page.index('<section id="skill"')]
    assert first.count('<p class="further">For pr, the best model, unet + deep ensemble, beats') == 1
    text = write(_read(run)).read_text(encoding="utf-8")
    assert "For pr, the best model" in text[: text.index("## Skill")]


def test_one_target_is_not_named_and_has_no_further_sentence(whole_run):
    found = _read(whole_run)
    assert targets.further(found) == ()
    assert targets.of(found, "tas") == ""
    assert not answers.answer(found).text.startswith("For")


def test_differences_are_to_the_best_baseline_of_the_target_where_the_run_holds_them(two):
    def caption(gaps):
        return skill.differences(_read(two(gaps)), "pr")[0].caption

    both = {(ENSEMBLE, "climatology"): (-0.5, -0.7, -0.3), (ENSEMBLE, "ridge"): (-1.5, -1.7, -1.3)}
    assert caption(both).startswith("CRPS of each model less that of the best baseline, climatology, for pr on test")
    assert caption({(ENSEMBLE, "ridge"): (-1.5, -1.7, -1.3)}).startswith(
        "CRPS of each model less that of the baseline ridge for pr on test, paired day by day, with"
    )


def test_differences_without_intervals_say_so(two):
    run = two({(ENSEMBLE, "climatology"): (-0.5, NAN, NAN)})
    caption = skill.differences(_read(run), "pr")[0].caption
    assert caption.endswith("1 of 1 model has a lower CRPS than climatology; no interval is known of so few samples.")


def test_the_map_is_of_the_score_of_the_verdict(two):
    found = _read(two({}, crps_map=12.0))
    data = found.run.diagnostics(found.headline)
    skill_map = Reduction.of(found, data, "pr")
    assert (skill_map.word, skill_map.own) == ("CRPS", True)
    np.testing.assert_array_equal(np.unique(skill_map.field[np.isfinite(skill_map.field)]), [12.0])
    assert skill_map.title(found, "pr") == "CRPS reduction of pr against ridge"
    assert skill_map.sentence(found, data, "pr").startswith("By its CRPS, unet beats ridge in 100\u00a0% of the cells")


def test_a_map_of_another_score_says_so(two):
    found = _read(two({}))
    data = found.run.diagnostics(found.headline)
    skill_map = Reduction.of(found, data, "pr")
    assert (skill_map.word, skill_map.own) == ("RMSE", False)
    assert skill_map.title(found, "pr") == "RMSE (not CRPS) reduction of pr against ridge"
    assert skill_map.sentence(found, data, "pr").startswith("By its RMSE, unet beats")
    page = render(found.run.path).read_text(encoding="utf-8")
    assert page.count("The verdict is by the CRPS, of which this run holds no map.") == 1


def test_no_map_of_skill_without_a_baseline(make_run):
    found = _read(make_run(models=("unet",), baselines=(), years=1, attributions=False))
    assert Reduction.of(found, found.run.diagnostics("unet"), "tas") is None
