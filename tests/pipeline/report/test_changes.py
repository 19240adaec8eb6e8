"""Changes between two test sets: the table, the maps, the sentence."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.errors import RunFolderError
from pipeline.metrics.change import ChangeRow
from pipeline.metrics.tables import write_changes
from pipeline.report.load import load_run
from pipeline.report.render import render
from pipeline.report.sections import Figure, Heading, changes
from pipeline.report.study import study
from pipeline.report.tables import Table

PARTS = {"models": ("climatology", "ridge", "unet"), "noise": {"unet": 1.0}, "years": 1, "attributions": False}
NAN = float("nan")
UNITS = {"mean": "K", "txx": "K", "fd": "1"}


def _row(model, index, value, truth):
    half = 0.5 * abs(value)
    return ChangeRow(
        model=model, variable="tas", index=index, value=value, low=value - half, high=value + half, truth=truth,
        error=abs(value - truth), units=UNITS[index], n_years_first=20, n_years_second=19,
    )  # fmt: skip


@pytest.fixture
def make(make_run):
    """Return a function: pairs of test sets and whether their truth is known, to a run with changes."""

    def add(pairs, maps=True):
        run = make_run(**PARTS)
        rows = []
        for number, (first, second, judged) in enumerate(pairs):
            for model, size in (("ridge", 1.0), ("unet", 2.0)):
                for index, change in (("txx", 1.5), ("mean", 1.0), ("fd", -0.02)):
                    rows.append((first, second, _row(model, index, size * change, change if judged else NAN)))
                if maps:
                    _write_maps(run, model, number, first, second, judged)
        write_changes(run / "changes.csv", rows)
        return run

    return add


def _write_maps(run, model, number, first, second, judged):
    like = xr.load_dataset(run / "diagnostics" / f"{model}.nc")["tas_rmse"]
    data = {}
    for index, units in UNITS.items():
        parts = {"": 2.0, "_truth": 1.0, "_error": 1.0} if judged else {"": 2.0}
        for ending, factor in parts.items():
            data[f"tas_{index}_change{ending}"] = (factor * like).assign_attrs(units=units)
    folder = run / "diagnostics" / ("changes" if number == 0 else f"changes-{number}")
    folder.mkdir(exist_ok=True)
    attrs = {"model": model, "first": first, "second": second}
    xr.Dataset(data, attrs=attrs).to_netcdf(folder / f"{model}.nc")


def test_shares_and_degrees_have_two_decimals_at_most(make):
    run = make([("now", "then", False)])
    table = pd.read_csv(run / "changes.csv")
    small = table["index"].isin(["fd", "txx"])
    table.assign(value=table["value"].where(~small, 1e-4 * table["value"])).to_csv(run / "changes.csv", index=False)
    (shown,) = _blocks(run, Table)
    assert [cell.text for cell in shown.rows[-1][1:]] == ["0.00", "+2.00", "0.00"]


def _blocks(run, kind):
    return [block for block in changes.blocks(study(load_run(run))) if isinstance(block, kind)]


def test_nothing_without_changes(make_run):
    found = study(load_run(make_run(**PARTS)))
    assert changes.blocks(found) == []
    assert changes.lead(found) == ""
    assert changes.build(found) is None
    assert found.run.change_maps("unet", "now", "then") is None


def test_table_has_the_truth_on_top_and_shares_in_percentage_points(make):
    run = make([("now", "then", True)])
    (heading,) = _blocks(run, Heading)
    (table,) = _blocks(run, Table)
    assert heading.text == "Change between now and then"
    assert [(column.title, column.unit) for column in table.columns] == [
        ("Model", ""), ("hottest day of the year", "K"), ("mean of the year", "K"),
        ("share of days below 0 °C", "percentage points"),
    ]  # fmt: skip
    shown = [[cell.text for cell in row] for row in table.rows]
    assert shown == [
        ["truth", "+1.50", "+1.00", "−2.00"], ["ridge", "+1.50", "+1.00", "−2.00"],
        ["unet", "+3.00", "+2.00", "−4.00"],
    ]  # fmt: skip
    assert [cell.note for cell in table.rows[2][1:]] == ["1.50 to 4.50", "1.00 to 3.00", "−6.00 to −2.00"]
    assert "now (20 years) to then (19 years)" in table.caption  # winters, and no whole years
    assert "0.02" in table.csv


def test_no_row_of_a_truth_that_is_not_known(make):
    (table,) = _blocks(make([("now", "then", False)]), Table)
    assert [row[0].text for row in table.rows] == ["ridge", "unet"]
    assert table.caption.endswith("No truth is known of both.")


def test_maps_are_those_of_their_pair(make):
    run = make([("now", "then", True), ("then", "later", False)])
    judged, blind = _blocks(run, Figure)
    assert judged.caption == "Change of tas, mean of the year, from now to then: unet beside the truth."
    titles = [picture.title for picture in judged.pictures]
    assert titles == ["True change [K]", "Predicted change [K]", "Predicted less true [K]"]
    assert blind.caption == "Change of indices of tas, from then to later: unet."
    assert [picture.title for picture in blind.pictures] == [
        "Mean of the year [K]", "Hottest day of the year [K]", "Share of days below 0 °C [percentage points]",
    ]  # fmt: skip
    mean = 2 * float(load_run(run).diagnostics("unet")["tas_rmse"].mean())
    assert f"{mean:.2f}\u00a0K on average over the cells" in judged.pictures[1].alt


def test_tables_alone_without_maps(make):
    run = make([("now", "then", True)], maps=False)
    assert not _blocks(run, Figure)
    assert len(_blocks(run, Table)) == 1


def test_many_indices_are_split_into_tables_of_like_size(make):
    run = make([("now", "then", True)], maps=False)
    table = pd.read_csv(run / "changes.csv")
    more = [table[table["index"] == "txx"].assign(index=f"own_{number}") for number in range(6)]
    pd.concat([table, *more]).to_csv(run / "changes.csv", index=False)
    found = _blocks(run, Table)
    assert [len(part.columns) - 1 for part in found] == [5, 4]
    assert [part.name for part in found] == ["change-tas-now-then", "change-tas-now-then-2"]
    assert found[0].columns[-1].title == "own 1"


def test_sentence_is_of_the_mean(make):
    lead = changes.build(study(load_run(make([("now", "then", True)])))).lead.replace("\u00a0", " ")
    assert lead == (
        "From now to then, tas (mean of the year) changes by +2.00 K in unet (1.00 to 3.00); in truth by +1.00 K."
    )


def test_unknown_intervals_are_said_to_be_so(make):
    run = make([("now", "then", True)])
    table = pd.read_csv(run / "changes.csv")
    table.assign(low=np.nan, high=np.nan).to_csv(run / "changes.csv", index=False)
    (table,) = _blocks(run, Table)
    assert "not known of so few years" in table.caption
    assert {cell.note for row in table.rows for cell in row} == {""}


def test_damaged_changes_are_named(make):
    run = make([("now", "then", True)])
    (run / "changes.csv").write_text("model,variable\n")
    with pytest.raises(RunFolderError, match=r"expected the columns model, variable, index, .* in .*changes\.csv"):
        load_run(run)


def test_the_page_shows_them(make):
    source = render(make([("now", "then", True), ("then", "later", False)])).read_text(encoding="utf-8")
    assert "<h3>Change between then and later</h3>" in source
    assert source.count('id="change-maps-tas-') == 2
