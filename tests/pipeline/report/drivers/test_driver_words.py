"""What the section on drivers says, and no more."""

import dataclasses

import numpy as np
import pytest

from pipeline.report import driver_words
from pipeline.report.explained import explanations
from pipeline.report.sections import Heading, Signal, Words, drivers

NEVER = ("because", "caus", "due to", "leads to", "drives")
START = "For unet, tas carries "
HOW = "integrated gradients on 12 days, from the train climatology."


@pytest.fixture
def lead(explained, made):
    """Return a function: explanations of a model, to the lead in plain letters."""

    def make(*several):
        return made.plain(driver_words.lead(explanations(explained({"unet": several}), "unet"), "day"))

    return make


def test_with_members_their_range_is_said(lead, made):
    said = lead(made.joined(members=3))
    assert said == (
        f"{START}59 % (members 54 to 64 %) of the absolute attribution of the mean tas over 48 cells, then psl with "
        f"30 %: {HOW}"
    )


def test_with_one_member_the_interval_over_days_is_said(lead, made):
    said = lead(made.joined(members=1))
    assert said.startswith(f"{START}60 % (95 % interval 57 to 62 %) of the absolute")
    assert "members" not in said
    assert lead(made.joined(days=1)).startswith(f"{START}66 % of the absolute attribution")


def test_numbers_are_those_of_the_file(explained, made):
    found = explained({"unet": [made.joined(members=3)]})
    one = explanations(found, "unet")[0]
    shares = made.joined(members=3).shares
    np.testing.assert_allclose(one.shares.share, shares.share, rtol=1e-6)
    np.testing.assert_allclose(one.shares.most, shares.most, rtol=1e-6)
    assert f"{100 * shares.least[0, 0]:.0f} to {100 * shares.most[0, 0]:.0f}" == "54 to 64"
    assert (one.members, one.units, one.measure_units) == (3, "K", "K")


def test_groups_of_days_are_compared(lead, made):
    said = lead(made.joined(kinds=("season", "third")))
    assert said.endswith(" Among groups of days the share of tas is smallest in JJA (56 %) and largest in DJF (64 %).")
    assert "Another variable" not in said
    changing = lead(made.joined(weights=(6.0, 6.2, 1.0), kinds=("season",)))
    assert changing.endswith(" Another variable carries the most in DJF (tas).")


def test_groups_that_do_not_differ_are_not_compared(lead, made):
    assert lead(made.joined(weights=(6.0, 0.0, 0.0), kinds=("season", "third"))).endswith(HOW)


@pytest.mark.parametrize(
    ("kind", "word"), [("departure", "attribution"), ("sensitivity", "sensitivity"), ("strength", "strength")]
)
def test_shares_are_of_what_was_computed(lead, made, kind, word):
    assert f"of the absolute {word} of the mean tas over 48 cells" in lead(made.joined(kind=kind))


def test_a_method_that_tells_no_channels_apart_tells_places(lead, made):
    blind = made.joined(kind="strength", title="Grad-CAM", name="grad_cam", same=True, baseline="", findings=())
    said = lead(blind)
    assert said.startswith("For unet, a tenth of the input cells carries ")
    assert said.endswith(
        " % of the strength of the mean tas over 48 cells: Grad-CAM on 12 days, which does not tell channels apart. "
        "No check decided whether to believe it."
    )
    assert "tas carries" not in said


def test_permutation_has_its_own_sentence(lead, made):
    passed = dataclasses.replace(made.complete, check="all_channels")
    one = made.scored(findings=(passed,))
    assert lead(one) == (
        "For unet, the predicted mean tas over 48 cells depends most on tas by permutation importance: increase of the "
        "RMSE when permuted 3.00 K (95 % interval 2.80 to 3.20), then psl, 1.00 K."
    )
    many = made.scored(findings=(passed,), members=2)
    assert "(95 % interval 2.80 to 3.20; members 2.90 to 3.10)" in lead(many)
    unsure = made.scored(importance=(0.1, 0.0, 0.0), findings=(passed,))
    assert lead(unsure).endswith("; the interval includes zero.")


def test_curves_of_effects_have_their_own_sentence(lead, made):
    curves = (made.effect("tas"), made.effect("psl"))
    said = lead(made.scored(importance=(0.5, 0.2, np.nan), name="ale", curves=curves))
    assert said == (
        "For unet, the predicted mean tas over 48 cells depends most on tas by accumulated local effects: standard "
        "deviation of the effect over days 0.500 K, then psl, 0.200 K. No check decided whether to believe it."
    )


def test_a_model_that_hears_nothing_depends_on_nothing(explained, made):
    section = drivers.build(explained({"unet": [made.scored(importance=(0.0, 0.0, 0.0))]}))
    assert section.lead.startswith(
        "For unet, the increase of the RMSE when permuted is zero for all of 3 channels (permutation importance of the "
        "mean tas over 48 cells)."
    )
    assert isinstance(section.blocks[-1], Words)
    assert not made.figures(section.blocks)


def test_one_variable_has_no_share(explained, made):
    one = made.joined(channels=("tas",), weights=(3.0,))
    said = drivers.build(explained({"unet": [one]}, channels=("tas",))).lead
    assert said == f"unet has one input variable, tas; the mean tas over 48 cells was explained by {HOW}"


def test_doubt_is_said(lead, made):
    missed = lead(made.joined(findings=(made.missed, made.sensitive)))
    assert missed.endswith(f"{HOW} This must not be relied on: completeness and max sensitivity failed.")
    assert lead(made.joined(findings=(made.complete, made.sensitive))).endswith(
        f"{HOW} Read it with care: max sensitivity failed."
    )
    assert lead(made.joined(findings=(made.open,))).endswith(f"{HOW} No check decided whether to believe it.")
    assert lead(made.joined(findings=(made.complete, made.open))).endswith(HOW)


def test_the_lead_is_of_an_explanation_that_may_be_relied_on(lead, made):
    red = made.joined(findings=(made.missed,), name="gradient", title="Gradient")
    assert lead(red, made.joined()).endswith(HOW)
    assert "gradient on 12 days" in lead(red)


def test_nothing_is_called_a_cause(explained, made):
    several = [made.joined(members=2, kinds=("season",), findings=(made.missed, made.removal(), made.shuffling()))]
    several += [made.scored(), made.scored(name="ale", curves=(made.effect("tas"),))]
    section = drivers.build(explained({"unet": several}))
    said = " ".join(
        str(part)
        for figure in made.figures(section.blocks).values()
        for part in (figure.caption, *(picture.alt for picture in figure.pictures))
    )
    for word in NEVER:
        assert word not in f"{said} {section.lead}".lower()


def test_years_are_called_years(explained, made):
    section = drivers.build(
        dataclasses.replace(
            found := explained({"unet": [made.joined(kinds=("season",))]}),
            sampling=dataclasses.replace(found.sampling, step="year"),
        )
    )
    assert "on 12 years" in section.lead
    captions = [figure.caption for figure in made.figures(section.blocks).values()]
    assert not [caption for caption in captions if " day" in caption]


def test_headings_name_model_method_and_number(explained, made):
    section = drivers.build(explained({"unet": [made.joined(), made.scored()], "ridge": [made.scored()]}))
    assert [block.text for block in section.blocks if isinstance(block, Heading)] == [
        "unet: integrated gradients of the mean tas over 48 cells",
        "unet: permutation importance of the mean tas over 48 cells", "Other models",
    ]  # fmt: skip
    notes = [block.text for block in section.blocks if isinstance(block, Signal)]
    assert notes[0] == "Integrated gradients of the mean tas over 48 cells on 12 days of test."


@pytest.mark.parametrize(
    ("title", "shown"), [("LRP", "LRP"), ("DeepLIFT", "DeepLIFT"), ("Input x gradient", "input x gradient")]
)
def test_names_keep_their_capitals(title, shown):
    assert driver_words.inside(title) == shown
