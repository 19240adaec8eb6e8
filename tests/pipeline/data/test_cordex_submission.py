"""Files of a submission match the templates, and the check sees every difference."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

from pipeline.data.cordex_check import validate_submission
from pipeline.data.cordex_submission import (
    OFFICIAL,
    VARIABLES,
    Template,
    dates_of,
    submission_dataset,
    submission_path,
    times_of,
    write_submission,
)
from pipeline.data.synthetic.cordex_tree import write_cordex_tree
from pipeline.errors import DataError

DAYS = 30


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    return {name: write_cordex_tree(root, name, days=DAYS, cells=12, coarse=8) for name in ("NZ", "SA", "ALPS")}


@pytest.fixture
def parts(trees):
    """Factory of a domain's template (that of its target file) and test predictors."""

    def make(domain):
        target = next((trees[domain] / "train/ESD_pseudo_reality/target").glob("*.nc"))
        predictors = next((trees[domain] / "test/historical/predictors/imperfect").glob("*.nc"))
        return Template.of_target(target, domain), predictors

    return make


@pytest.fixture
def file(parts, tmp_path):
    """A good submission file of NZ, its template and predictors."""
    template, predictors = parts("NZ")
    path = tmp_path / "Predictions_pr_tasmax_ACCESS-CM2_1981-2000.nc"
    write_submission(path, submission_dataset(fields(template, DAYS), times_of(predictors), template))
    return path, template, predictors


def fields(template, days, members=None, seed=0):
    rng = np.random.default_rng(seed)
    dims = (*(() if members is None else ("member",)), *template.dims)
    sizes = {"member": members, "time": days, **{dim: template.data.sizes[dim] for dim in template.dims[1:]}}
    shape = [sizes[dim] for dim in dims]
    coords = {name: template.data[name].astype("f8") for name in ("lat", "lon")}
    return {
        "pr": xr.DataArray(rng.gamma(0.5, 4.0, shape).astype("f4"), coords, dims),
        "tasmax": xr.DataArray((290 + rng.standard_normal(shape)).astype("f4"), coords, dims),
    }


def rewrite(path, change):
    data = xr.load_dataset(path, decode_times=False)
    data = change(data) or data
    path.unlink()
    data.to_netcdf(path)


@pytest.mark.parametrize("domain", ["NZ", "SA", "ALPS"])
@pytest.mark.parametrize("members", [None, 10])
def test_what_is_written_matches_the_template(parts, tmp_path, domain, members):
    template, predictors = parts(domain)
    options = {"domain": domain, "experiment": "ESD_pseudo_reality", "period": "historical", "quality": "imperfect"}
    path = submission_path(tmp_path, "team", **options, predictors=predictors)
    given = fields(template, DAYS, members)
    write_submission(path, submission_dataset(given, times_of(predictors), template))
    assert validate_submission(path, template, predictors) == ()
    assert path.parent == tmp_path / f"team/{domain}_Domain/ESD_pseudo_reality/historical/imperfect"
    with xr.open_dataset(path, decode_times=False) as data, xr.open_dataset(predictors, decode_times=False) as raw:
        assert data["pr"].dims == (*template.dims, *(() if members is None else ("member",)))
        np.testing.assert_array_equal(data["pr"].transpose(*given["pr"].dims), given["pr"])
        np.testing.assert_array_equal(data["time"], raw["time"])
        assert data["time"].attrs["calendar"] == raw["time"].attrs["calendar"] == "noleap"
        for name in template.places:
            assert data[name].variable.identical(template.data[name].variable), name


def test_rows_that_run_the_other_way_are_turned(parts):
    template, predictors = parts("NZ")
    given = fields(template, DAYS)
    turned = {name: field.isel(lat=slice(None, None, -1)) for name, field in given.items()}
    time = times_of(predictors)
    assert submission_dataset(turned, time, template).identical(submission_dataset(given, time, template))


def test_other_cells_members_or_days_are_refused(parts):
    template, predictors = parts("NZ")
    time = times_of(predictors)
    given = fields(template, DAYS)
    with pytest.raises(
        DataError,
        match=r"pr: expected the cells of the template, lat .* on 12 x 12 cells, got .* on 11 x 12 cells: .*data.region",
    ):
        submission_dataset({name: field.isel(lat=slice(1, None)) for name, field in given.items()}, time, template)
    with pytest.raises(DataError, match=r"pr: expected 30 times, those of the test predictors, got 29"):
        submission_dataset({name: field.isel(time=slice(1, None)) for name, field in given.items()}, time, template)
    with pytest.raises(DataError, match=r"pr: expected 10 members in a submission, got 5"):
        submission_dataset(fields(template, DAYS, 5), time, template)
    with pytest.raises(DataError, match=r"expected predictions of pr and tasmax, got pr without tasmax"):
        submission_dataset({"pr": given["pr"]}, time, template)
    other = {name: field.rename(lat="y", lon="x") for name, field in given.items()}
    with pytest.raises(DataError, match=r"pr: expected the dims lat and lon of the template, got \('time', 'y', 'x'\)"):
        submission_dataset(other, time, template)


def test_templates_that_are_missing_or_differ_are_refused(parts, tmp_path):
    with pytest.raises(DataError, match=r"expected the template .*pr_NZ.nc, which is not there"):
        Template.read(tmp_path, "NZ")
    template, predictors = parts("NZ")
    template.data[["pr"]].to_netcdf(tmp_path / "pr_NZ.nc")
    template.data[["tasmax"]].assign_coords(lat=template.data["lat"] + 1).to_netcdf(tmp_path / "tasmax_NZ.nc")
    with pytest.raises(DataError, match=r"expected the same lat in both templates of NZ"):
        Template.read(tmp_path, "NZ")
    with pytest.raises(DataError, match=r"expected pr and tasmax, got z_500, z_700"):
        Template.of_target(predictors, "NZ")


def test_the_official_attributes_are_added_to_those_of_a_target(trees, parts):
    template, _ = parts("NZ")
    target = next((trees["NZ"] / "train/ESD_pseudo_reality/target").glob("*.nc"))
    with xr.open_dataset(target, decode_times=False) as data:
        own = data["tasmax"].attrs
    assert "cell_methods" not in own
    assert template.data["tasmax"].attrs == {
        **own,
        "long_name": "Daily Maximum Near-Surface Air Temperature",
        "cell_methods": "time: maximum over days",
    }


@pytest.mark.real
@pytest.mark.parametrize("domain", ["NZ", "SA", "ALPS"])
def test_they_are_those_of_the_official_templates(real_data, domain):
    template = Template.read(real_data / "cordex-ml-bench-templates", domain)
    for name in VARIABLES:
        attrs = template.data[name].attrs
        wanted = {key: attrs[key] for key in ("standard_name", "long_name", "units", "cell_methods") if key in attrs}
        assert OFFICIAL[domain].get(name, {}) == wanted, name


def test_a_file_without_times_has_none(tmp_path):
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(DataError, match=r"a.nc: expected a coordinate time of one dim"):
        times_of(tmp_path / "a.nc")


def test_dates_follow_the_calendar():
    units = {"units": "days since 1980-02-28"}
    later = xr.Variable("time", [0.5, 1.5], {**units, "calendar": "standard"})
    assert dates_of(later) == [(1980, 2, 28), (1980, 2, 29)]
    assert dates_of(xr.Variable("time", [1.0], {**units, "calendar": "noleap"})) == [(1980, 3, 1)]


def spoil(name, value):
    def change(data):
        data[name].values.flat[7] = value

    return change


CHANGES = {
    "missing": (spoil("pr", np.nan), r"pr: 1 of 4320 values are missing"),
    "negative": (spoil("pr", -0.5), r"pr: 1 values are negative, down to -0.5"),
    "flood": (spoil("pr", 5e4), r"pr: expected mm a day, got values up to 50000"),
    "celsius": (lambda d: d.update({"tasmax": d["tasmax"] - 273.15}), r"tasmax: expected K, between 180 and 350, got"),
    "order": (lambda d: d.transpose("lat", "lon", "time"), r"pr: expected dims \('time', 'lat', 'lon'\) in this order"),
    "type": (lambda d: d.assign(pr=d["pr"].astype("f4")), r"pr: expected type float64, got float32"),
    "units": (lambda d: d["tasmax"].attrs.update(units="degC"), r"tasmax: expected the attribute units of 'K', got 'de"),
    "attribute": (lambda d: d["lat"].attrs.pop("units"), r"lat: expected the attribute units of 'degrees_north', got none"),
    "shifted": (lambda d: d.assign_coords(lat=d["lat"] + np.float32(0.5)), r"lat: values differ .* by up to 0.5"),
    "wider": (lambda d: d.assign_coords(lat=d["lat"].astype("f8")), r"lat: expected type float32, got float64"),
    "cut": (lambda d: d.isel(lon=slice(1, None)), r"lon: expected dims \{'lon': 12\}, got \{'lon': 11\}"),
    "cells": (lambda d: d.isel(lon=slice(1, None)), r"pr: expected 12 cells along lon, got 11"),
    "no place": (lambda d: d.drop_vars("lat"), r"lat: the coordinate is not there"),
    "variable": (lambda d: d.drop_vars("pr"), r"pr: the variable is not there"),
    "further": (lambda d: d.assign(x=d["pr"]), r"x: a variable that the template does not have"),
    "days": (lambda d: d.isel(time=slice(2, None)), r"time: 2 days of the predictors are missing, the first 1981-01-01"),
    "doubled": (lambda d: d.isel(time=[0, 0, *range(2, DAYS)]), r"time: expected one time a day in order"),
    "calendar": (lambda d: d["time"].attrs.update(calendar="360_day"), r"time: expected the calendar noleap .* 360_day"),
    "other days": (
        lambda d: d.assign_coords(time=d["time"] + 1.0),
        r"time: 1 days are not among the predictors', the first 1981-01-31",
    ),
    "no time": (lambda d: d["time"].attrs.clear(), r"time: expected a coordinate of numbers with units, got none"),
    "members": (lambda d: d.expand_dims(member=5, axis=-1), r"pr: expected 10 members, got 5"),
    "one member": (lambda d: d.assign(pr=d["pr"].expand_dims(member=10, axis=-1)), r"member: expected the dim in both"),
    "strange": (lambda d: d["pr"].attrs.update(units="wet"), r"pr: units 'wet' are none"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_every_difference_is_seen(file, name):
    path, template, predictors = file
    change, message = CHANGES[name]

    def apply(data):
        changed = change(data)
        return changed if isinstance(changed, xr.Dataset) else data

    rewrite(path, apply)
    found = validate_submission(path, template, predictors)
    assert any(re.search(message, text) for text in found), found


def test_the_files_name_is_checked(file):
    path, template, predictors = file
    other = path.rename(path.with_name("predictions.nc"))
    assert validate_submission(other, template, predictors) == (
        "name: expected Predictions_pr_tasmax_GCM_YYYY-YYYY.nc, got predictions.nc",
    )


@pytest.mark.real
@pytest.mark.parametrize("domain", ["NZ", "SA", "ALPS"])
@pytest.mark.parametrize("members", [None, 10])
def test_the_official_templates_are_matched(real_data, tmp_path, domain, members):
    template = Template.read(real_data / "cordex-ml-bench-templates", domain)
    assert template.data.sizes[template.dims[1]] == template.data.sizes[template.dims[2]] == 128
    time = xr.Variable("time", np.arange(2) + 0.5, {"units": "days since 1981-01-01", "calendar": "noleap"})
    path = tmp_path / "Predictions_pr_tasmax_X_1981-2000.nc"
    write_submission(path, submission_dataset(fields(template, 2, members), time, template))
    assert validate_submission(path, template) == ()
    with xr.open_dataset(path, decode_times=False) as data:
        for name in ("pr", "tasmax"):
            like = xr.open_dataset(real_data / f"cordex-ml-bench-templates/{name}_{domain}.nc", decode_times=False)
            assert data[name].dtype == like[name].dtype
            assert data[name].attrs == like[name].attrs
            assert data[name].encoding.get("coordinates") == like[name].encoding.get("coordinates")
            for place in template.places:
                assert data[place].variable.identical(like[place].variable), place
