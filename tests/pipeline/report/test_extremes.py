"""Extremes and structure: its sentence, tables, spectra, maps; when there is nothing of it."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.report import palette, structure_words, tables
from pipeline.report.figures import spectra
from pipeline.report.load import load_run
from pipeline.report.render import render
from pipeline.report.sections import Figure, Heading, Words, extremes
from pipeline.report.study import study

PARTS = {"models": ("climatology", "ridge", "unet"), "noise": {"unet": 1.0}, "years": 1, "attributions": False}
WAVES = np.array([800.0, 400.0, 200.0, 100.0])
RAIN = {
    "bias_r01": (0.013, 0.002, 0.024, "1"), "bias_sdii": (0.4, 0.1, 0.7, "mm d-1"),
    "relative_bias_p98_wet": (-2.2, -5.1, 1.3, "%"), "bias_p98_wet": (-1.0, -2.0, 0.5, "mm d-1"),
    "bias_rx1day": (3.0, 1.0, 5.0, "mm d-1"), "bias_cdd": (-2.0, -3.0, -1.0, "d"), "bias_cwd": (0.3, -0.1, 0.7, "d"),
    "abs_bias_r01": (0.02, 0.01, 0.03, "1"), "brier_r01": (0.1, 0.08, 0.12, "1"), "fss_r01": (0.8, 0.7, 0.9, "1"),
    "bias_q02": (0.0, 0.0, 0.0, "mm d-1"), "bias_q98": (-4.0, -5.0, -3.0, "mm d-1"),
    "ssim": (0.8, 0.7, 0.9, "1"), "sd_ratio_draws": (0.97, 0.93, 1.01, "1"),
}  # fmt: skip
HEAT = {
    "bias_txx": (-0.4, -0.9, 0.1, "K"), "bias_tnn": (1.2, 0.5, 1.9, "K"), "sd_ratio_draws": (0.97, 0.93, 1.01, "1"),
}  # fmt: skip


@pytest.fixture
def make(make_run):
    """Return a function: scores of the headline and maps to add, to the run folder that has them."""

    def add(scores, maps=(), psd=None, family=None, **parts):
        run = make_run(**{**PARTS, **parts})
        table = pd.read_csv(run / "scores.csv")
        variable = table["variable"].iloc[0]
        rows = [
            (model, "test", variable, "all", metric, value + 0.1 * number, units, low, high, 90)
            for number, model in enumerate(("unet", "ridge"))
            for metric, (value, low, high, units) in scores.items()
        ]
        pd.concat([table, pd.DataFrame(rows, columns=table.columns)]).to_csv(run / "scores.csv", index=False)
        for path in (run / "diagnostics").glob("*.nc"):
            data = xr.load_dataset(path)
            for number, name in enumerate(maps):
                units = ("1", "1") if name == "r01" else ("mm d-1", "mm d-1")
                for ending, unit, shift in zip(("", "_bias"), units, (1.0, 0.1), strict=True):
                    field = shift * (1 + number + data[f"{variable}_rmse"])
                    data[f"{variable}_{name}{ending}"] = field.assign_attrs(units=unit)
            if psd is not None:
                factor = psd if path.stem == "unet" else 0.5
                data = data.assign_coords(wavelength=("wavelength", WAVES))
                data[f"{variable}_psd_truth"] = ("wavelength", np.array([1e5, 1e4, 1e3, 1e2]))
                data[f"{variable}_psd"] = factor * data[f"{variable}_psd_truth"].assign_attrs(units="K2 km2")
                data[f"{variable}_psd"].attrs["units"] = "(mm d-1)2 km2"
            path.unlink()
            data.to_netcdf(path)
        if family is not None:
            path = run / "predictions" / "unet.nc"
            data = xr.load_dataset(path).assign_attrs(family=family)
            path.unlink()
            data.to_netcdf(path)
        return run

    return add


def _section(run):
    return extremes.build(study(load_run(run)))


def _blocks(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_nothing_is_said_where_nothing_was_scored(make):
    assert _section(make({})) is None


def test_sentence_of_precipitation(make):
    lead = _section(make(RAIN, variable="pr", units="mm d-1", psd=0.4)).lead.replace("\u00a0", " ")
    assert lead == (
        "On the test set, unet gives 1.3 percentage points too many wet days (0.2 to 2.4), its 98 % quantile of wet "
        "days is 2.2 % too low (−1.3 to 5.1, zero inside) and its fields hold 40 % of the truth's variance at "
        "wavelengths of 200 km and less."
    )


def test_sentence_of_temperature_without_fields(make):
    lead = _section(make(HEAT)).lead.replace("\u00a0", " ")
    assert lead == (
        "On the test set, the hottest day of unet in December to February 1998 is 0.40 K too cool (−0.10 to 0.90, zero "
        "inside), its coldest day in December to February 1998 is 1.2 K too warm (0.5 to 1.9) and its days vary 0.97 times "
        "as much as the truth's (0.93 to 1.01)."
    )


def test_no_interval_is_said_that_is_not_known(make):
    scores = {"bias_txx": (-0.44, np.nan, np.nan, "K")}
    assert _section(make(scores)).lead.replace("\u00a0", " ") == (
        "On the test set, the hottest day of unet in December to February 1998 is 0.44 K too cool."
    )


def test_draws_without_members_are_called_independent(make):
    section = _section(make(HEAT, psd=4.0, family="bernoulli_gamma"))
    assert "its draws are independent from cell to cell and hold 4.00 times the truth's variance" in section.lead
    (figure,) = [figure for figure in _blocks(section, Figure) if figure.name == "spectra-tas"]
    assert (
        "unet gives a distribution of every cell by itself: its draws are independent from cell to cell"
        in figure.caption
    )
    members = _section(make(HEAT, psd=4.0, family="members"))
    assert "its fields hold 4.00 times" in members.lead
    assert "independent" not in " ".join(figure.caption for figure in _blocks(members, Figure))


@pytest.mark.parametrize("maps", [(), ("txx",)])
def test_without_spectra_a_table_says_it(make, maps):
    captions = {t.name: t.caption for t in _blocks(_section(make(HEAT, maps, family="normal")), tables.Table)}
    assert "its draws are independent from cell to cell" in captions["structure-tas-test"]


def test_tables_of_precipitation_are_no_wider_than_seven(make):
    found = {
        table.name: [column.title for column in table.columns[1:]]
        for table in _blocks(_section(make(RAIN, variable="pr", units="mm d-1")), tables.Table)
    }
    assert list(found) == ["extremes-pr-test", "extremes-pr-test-2", "structure-pr-test"]
    assert [len(columns) for columns in found.values()] == [7, 5, 2]
    assert found["extremes-pr-test"][0] == "bias of the share of wet days (R01)"
    assert found["extremes-pr-test-2"][-1] == "bias of the 98 % quantile"


@pytest.mark.parametrize(("left_out", "widths"), [((), [4, 4]), (("ssim",), [7]), (("ssim", "energy_score"), [6])])
def test_tables_of_structure_are_no_wider_than_seven(make, left_out, widths):
    scores = {name: (0.5, 0.4, 0.6, "1") for name in tables.STRUCTURE if name not in left_out}
    found = [t for t in _blocks(_section(make(scores)), tables.Table) if t.name.startswith("structure-tas-test")]
    assert [len(table.columns) - 1 for table in found] == widths
    assert len({table.name for table in found}) == len(found)
    titles = [column.title for table in found for column in table.columns[1:]]
    assert len(titles) == len(scores) == len(set(titles))
    assert ("energy score" in titles) == ("energy_score" in scores)


def test_the_upper_tail_stands_with_the_extremes(make):
    section = _section(make({"twcrps_q90": (0.2, 0.1, 0.3, "K"), "bias_q98": (-0.4, -0.9, 0.1, "K")}))
    (table,) = [block for block in _blocks(section, tables.Table) if block.name == "extremes-tas-test"]
    assert [column.title for column in table.columns[1:]] == [
        "twCRPS above the 90 % quantile", "bias of the 98 % quantile"
    ]  # fmt: skip
    assert table.caption.startswith("How well the distribution is known above a threshold, over all days; biases of")


def test_packing_keeps_order_and_loses_nothing():
    every = {name for group in tables.EXTREMES.values() for name in group}
    found = [names for names, _ in extremes.packed(every | {"rmse"})]
    assert max(len(names) for names in found) <= tables.WIDEST
    assert [name for names in found for name in names] == [n for group in tables.EXTREMES.values() for n in group]


def test_tables_of_skill_hold_none_of_it(make):
    run = make({**RAIN, "my_own": (1.0, 0.5, 1.5, "K")}, variable="pr", units="mm d-1")
    found = study(load_run(run))
    assert tables.others(found, "pr", "test") == ["my_own"]
    assert not {"bias_q02", "bias_q98"} & set(tables.DISTRIBUTION)


def test_pairs_have_a_table_of_their_own(make):
    run = make({})
    table = pd.read_csv(run / "scores.csv")
    rows = [
        (model, "test", "tas~pr", "all", "bias_cross_correlation", value, "1", value - 0.1, value + 0.1, 90)
        for model, value in (("unet", 0.02), ("ridge", -0.2))
    ]
    pd.concat([table, pd.DataFrame(rows, columns=table.columns)]).to_csv(run / "scores.csv", index=False)
    (pair,) = _blocks(_section(run), tables.Table)
    assert pair.name == "pair-tas-pr-test"
    assert [block.text for block in _blocks(_section(run), Heading)] == ["tas and pr together, test"]
    assert {row[0].key: row[1].mark for row in pair.rows} == {"unet": "best", "ridge": ""}
    assert _section(run).lead.startswith("What averages over the test set hide")


def test_maps_of_two_indices_in_per_cent_and_units(make):
    section = _section(make(RAIN, maps=("r01", "rx1day", "p98_wet"), variable="pr", units="mm d-1"))
    figures = {figure.name: figure for figure in _blocks(section, Figure)}
    assert list(figures) == ["index-pr-r01", "index-pr-rx1day"]
    titles = [[picture.title for picture in figure.pictures] for figure in figures.values()]
    assert titles == [
        ["Truth [%]", "Prediction [%]", "Prediction less truth [percentage points]"],
        ["Truth [mm d⁻¹]", "Prediction [mm d⁻¹]", "Prediction less truth [mm d⁻¹]"],
    ]
    data = load_run(section_run := make(RAIN, maps=("r01",), variable="pr", units="mm d-1")).diagnostics("unet")
    mean = 100 * float(data["pr_r01_bias"].mean())
    (row,) = [f for f in _blocks(_section(section_run), Figure) if f.name == "index-pr-r01"]
    assert f"{mean:.1f}\u00a0percentage points too high" in row.pictures[2].alt


def test_spectra_show_the_headline_the_best_baseline_and_the_truth(make):
    section = _section(make(HEAT, psd=0.4))
    (figure,) = [figure for figure in _blocks(section, Figure) if figure.name == "spectra-tas"]
    text = figure.pictures[0].light.decode()
    for name in ("truth", "unet", "ridge", "wavelength [km]", "power spectral density [(mm d⁻¹)² km²]"):
        assert f">{name}<" in text
    assert palette.LIGHT.truth in text
    assert palette.DARK.truth in figure.pictures[0].dark.decode()
    assert figure.pictures[0].alt.replace("\u00a0", " ").startswith("The fields of unet hold 40 % of the truth's")


def test_long_waves_are_left_and_power_of_nothing_lies_at_the_edge():
    truth = np.array([1e5, 1e4, 1e3, 1e2])
    lines = [
        spectra.Spectrum("truth", palette.LIGHT.truth, WAVES, truth, strong=True),
        spectra.Spectrum("flat", palette.STRONG[0][0], WAVES, np.zeros(4)),
    ]
    text = spectra.spectra(lines, "K² km²", "A finding.").light.decode()
    place = {name: float(x) for x, name in re.findall(r'<text [^>]*x="([\d.]+)"[^>]*>(\d+)<', text)}
    place |= {name: float(x) for x, name in re.findall(r"translate\(([\d.]+) [\d.]+\)[^>]*>(\d+)<", text)}
    assert place["500"] < place["300"] < place["150"]
    assert ">flat<" in text
    assert "nan" not in text


def test_short_waves_against_a_sum_over_modes():
    found = structure_words.short_waves(WAVES, np.ones(4), np.array([9.0, 9.0, 0.5, 0.2]))
    # Annuli at 200 and 100 km hold areas in the ratio of their wavenumbers, 1 to 2.
    assert found.length == 200.0
    assert found.share == pytest.approx((0.5 * 1 + 0.2 * 2) / 3)
    assert structure_words.short_waves(WAVES, np.zeros(4), np.ones(4)) is None


def test_every_test_set_and_variable_has_a_heading(make):
    run = make({**HEAT, "rmse": (1.0, 0.9, 1.1, "K")})
    table = pd.read_csv(run / "scores.csv")
    pd.concat([table, table[table["split"] == "test"].assign(split="warm")]).to_csv(run / "scores.csv", index=False)
    section = _section(run)
    assert [block.text for block in _blocks(section, Heading)] == ["Extremes of tas, test", "Extremes of tas, warm"]
    assert not _blocks(section, Words)


def test_the_page_has_the_section_in_its_place(make):
    run = make(RAIN, maps=("r01", "p98_wet"), psd=0.4, variable="pr", units="mm d-1", family="bernoulli_gamma")
    source = render(run).read_text(encoding="utf-8")
    sections = re.findall(r'<section id="([\w-]+)"', source)
    assert sections[:5] == ["verdict", "skill", "where", "extremes", "trust"]
    assert not re.search(r">[^<]*\bnan\b", source)
    assert "## Extremes and structure" in render(run, "md").read_text(encoding="utf-8")
