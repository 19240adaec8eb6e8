"""What a run will take, told before it is done."""

import shutil
import zipfile

import numpy as np
import pytest
import xarray as xr
import yaml

from flows.dry_run import describe
from flows.extent import extent_of
from flows.footprint import footprint
from flows.load import load_experiment
from flows.plan import make_plan
from flows.sources import open_sources
from pipeline.backend import get_backend
from pipeline.data.files import resolve

CPU = get_backend("cpu")
MIB = 2**20


@pytest.fixture
def planned(tmp_path):
    """Return a function that writes daily fields of so many cells a side and returns plan and sources."""

    def make(days=400, side=6, models=None, **more):
        time = np.datetime64("2001-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
        for name, size in (("coarse", side), ("fine", 2 * side)):
            lat, lon = np.linspace(40, 50, size), np.linspace(0, 10, size)
            values = np.broadcast_to(np.float32(280.0), (days, size, size))
            field = xr.DataArray(values, {"time": time, "lat": lat, "lon": lon}, attrs={"units": "K"})
            xr.Dataset({"tas": field}).to_netcdf(tmp_path / f"{name}.nc")
        entry = {"format": "netcdf", "variables": {"tas": {"units": "K"}}, "licence": "CC0-1.0"}
        catalog = {name: {**entry, "files": [{"path": f"{name}.nc"}]} for name in ("coarse", "fine")}
        (tmp_path / "data_catalog.yaml").write_text(yaml.safe_dump({"schema_version": 1, **catalog}))
        third = days // 4
        edges = [
            str(time[at].astype("datetime64[D]")) for at in (0, 2 * third - 1, 2 * third, 3 * third - 1, 3 * third)
        ]
        experiment = {
            "name": "made",
            "data": {"predictors": [{"dataset": "coarse"}], "target": {"dataset": "fine"}},
            "split": {"train": edges[:2], "validation": edges[2:4], "test": [edges[4], str(time[-1])[:10]]},
            "models": models or {"ridge": {"kind": "ridge"}},
        } | more
        (tmp_path / "made.yaml").write_text(yaml.safe_dump(experiment))
        loaded = load_experiment(str(tmp_path / "made.yaml"), ())
        plan = make_plan(loaded.experiment, where="made", base=tmp_path)
        return plan, open_sources(tmp_path / "data_catalog.yaml", tmp_path)

    return make


def test_sizes_are_those_of_the_samples(planned):
    plan, sources = planned(prepare={"inputs": {"lags": [0, 1, 2]}})
    found = extent_of(plan.experiment, sources, CPU)
    assert found.samples == {"train": 200, "validation": 100, "test": 100}
    assert found.few.inputs.shape == (2, 3, 6, 6)
    assert found.few.target.shape == (2, 1, 12, 12)
    assert (found.inputs, found.truth) == (4 * 36, 4 * 144)  # lags are not laid out
    assert found.datasets["fine"].nbytes == 400 * 4 * 144


def test_a_region_and_a_coarser_input_make_them_smaller(planned):
    data = {"predictors": [{"dataset": "coarse", "coarsen": 2}], "target": {"dataset": "fine"}}
    plan, sources = planned(data={**data, "region": {"lat": [39.0, 45.0], "lon": [-1.0, 11.0]}})
    few = extent_of(plan.experiment, sources, CPU).few
    assert few.inputs.shape == (2, 1, 3, 3)
    assert few.target.shape == (2, 1, 6, 12)


def test_what_is_told_grows_with_the_data_up_to_what_arrays_may_take(planned):
    sizes = {}
    for days in (400, 800):
        plan, sources = planned(days)
        extent = extent_of(plan.experiment, sources, CPU)
        sizes[days] = footprint(plan, extent, 2**40).stages
        assert footprint(plan, extent, MIB).stages["fit"] == pytest.approx(421 * MIB, abs=MIB)
    assert all(sizes[800][stage] > sizes[400][stage] for stage in sizes[400])
    assert sizes[800]["fit"] - 420 * MIB == pytest.approx(2 * (sizes[400]["fit"] - 420 * MIB), rel=0.2)


def test_a_larger_network_takes_more(planned):
    told = []
    for width in (8, 64):
        plan, sources = planned(models={"unet": {"kind": "unet", "width": width, "depth": 1}})
        told.append(footprint(plan, extent_of(plan.experiment, sources, CPU), 2**40).stages["fit"])
    assert told[1] - told[0] > 20 * MIB


def test_models_are_scored_together(planned):
    told = []
    for count in (1, 5):
        plan, sources = planned(side=24, models={f"ridge{number}": {"kind": "ridge"} for number in range(count)})
        told.append(footprint(plan, extent_of(plan.experiment, sources, CPU), 2**40).stages["score"])
    field = 100 * 4 * 48 * 48  # the days and cells of a split
    assert told[1] - told[0] == pytest.approx(4 * 13 * field)


def test_workers_come_on_top(planned):
    one, two = (planned(compute={"workers": workers}) for workers in (1, 2))
    told = [footprint(plan, extent_of(plan.experiment, sources, CPU), 2**40) for plan, sources in (one, two)]
    assert told[1].stages["ingest"] == told[0].stages["ingest"]  # they are started for the fits
    assert told[1].stages["fit"] > told[0].stages["fit"] + 400 * MIB
    assert told[0].worker is None


def test_of_a_scheduler_it_tells_this_process_and_a_worker(planned):
    plan, sources = planned(compute={"scheduler": "tcp://10.0.0.1:8786", "workers": 4})
    found = footprint(plan, extent_of(plan.experiment, sources, CPU), 2**40)
    assert found.stages["fit"] < 430 * MIB  # nothing is fitted here
    assert found.worker > 380 * MIB
    assert "  and each worker of tcp://10.0.0.1:8786 " in describe(plan, sources, "cpu", None)


def test_a_model_that_cannot_tell_leaves_the_others_their_lines(planned):
    models = {"ridge": {"kind": "ridge"}, "doury": {"kind": "doury_unet"}}
    plan, sources = planned(models=models)
    lines = describe(plan, sources, "cpu", None).splitlines()
    assert [line for line in lines if line.startswith("  without the fit of doury, which is not known: doury_unet: ")]
    assert [line for line in lines if line.startswith("  fit      ")]


def test_the_plan_tells_it_stage_by_stage(planned):
    plan, sources = planned()
    lines = describe(plan, sources, "cpu", None).splitlines()
    at = lines.index("memory, about, with the libraries")
    assert [line.split()[0] for line in lines[at + 1 : at + 8]] == [
        "ingest", "prepare", "fit", "predict", "score", "explain", "report"
    ]  # fmt: skip
    assert lines[at + 8].startswith("  of it arrays at most ")


def test_without_the_files_it_is_not_known(planned, tmp_path):
    plan, sources = planned()
    (tmp_path / "fine.nc").unlink()
    assert "  not known: fine.nc is not there yet" in describe(plan, sources, "cpu", None).splitlines()


def test_a_member_of_an_archive_is_known_once_it_is_unpacked(planned, tmp_path, monkeypatch):
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "cache"))
    plan, _ = planned()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as bundle:
        bundle.write(tmp_path / "fine.nc", "in/fine.nc")
    path = tmp_path / "data_catalog.yaml"
    path.write_text(path.read_text().replace("- path: fine.nc", "- {path: all.zip, archive: in/fine.nc}"))
    sources = open_sources(path, tmp_path)
    assert "  not known: in/fine.nc of all.zip is not there yet" in describe(plan, sources, "cpu", None).splitlines()
    resolve(sources.catalog["fine"], sources.places)
    assert extent_of(plan.experiment, sources, CPU).datasets["fine"].nbytes == 400 * 4 * 144


def test_data_that_a_run_would_refuse_say_why(planned, tmp_path):
    plan, sources = planned()
    shutil.copy(tmp_path / "made.yaml", tmp_path / "fine.nc")
    assert "  not known: " in describe(plan, sources, "cpu", None)
