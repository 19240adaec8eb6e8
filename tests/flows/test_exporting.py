"""Bundles with graphs: made, carried away, used where the run is gone, by us and by ONNX Runtime alone."""

import json
import pickle
import shutil
import zipfile

import numpy as np
import pytest
import xarray as xr
import yaml

from flows.apply.bundle import Bundle
from flows.apply.exporting import read_manifest, unpacked
from flows.apply.predict import Request, apply
from flows.engine import Request as RunRequest
from flows.engine import start
from pipeline.data.synthetic import SyntheticConfig, generate
from pipeline.errors import ConfigError, DataError, FormatError, PredictError, RunFolderError, TraitError
from pipeline.export.engines import ENGINES, refuse_code

EXPERIMENT = """
name: small
data:
  predictors: [{dataset: synthetic-coarse, variables: [tas, psl]}]
  target: {dataset: synthetic-fine, variables: [tas]}
split: {train: [2001-01-01, 2001-12-31], validation: [2002-01-01, 2002-03-31], test: [2002-07-01, 2002-09-30]}
prepare:
  inputs: {anomaly: day_of_year, lags: [0, 1], calendar: true}
  target: {anomaly: day_of_year, scale: per_cell}
models:
  ridge: {kind: ridge}
  unet: {kind: unet, width: 4, depth: 1, epochs: 1}
uncertainty: [{method: deep_ensemble, models: [unet], members: 2}]
scores: [crps]
explain: []
compute: {workers: 1, threads: 1}
"""
NAME = "unet+deep_ensemble"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the run says of new data, and bundles of it, when the run itself is gone."""
    folder = tmp_path_factory.mktemp("exporting")
    (folder / "small.yaml").write_text(EXPERIMENT)
    run = start(RunRequest(str(folder / "small.yaml"), out=folder, use_server=False)).folder
    data = generate(SyntheticConfig(years=10)).dataset("coarse").sel(time=slice("2004-01", "2004-05"))
    data.to_netcdf(folder / "new.nc")
    apply(Bundle.open(run, NAME), Request((str(folder / "new.nc"),), folder / "run.nc"))
    Bundle.open(run, NAME).export(folder / "whole", ("native", "torch_export", "onnx"))
    Bundle.open(run, NAME).export(folder / "graphs", ("onnx", "torch_export"), zipped=True)
    Bundle.open(run, "unet").export(folder / "native", zipped=True)
    with pytest.raises(TraitError, match=r"expected a network for --format onnx or torch_export, got 'ridge'"):
        Bundle.open(run, "ridge").export(folder / "ridge", ("onnx",))
    with pytest.raises(ConfigError, match=r"--format 'onx': no such format\. Did you mean 'onnx'\?"):
        Bundle.open(run, "ridge").export(folder / "ridge", ("onx",))
    shutil.rmtree(run)
    return folder


def same(path, other):
    with xr.open_dataset(path) as one, xr.open_dataset(other) as two:
        assert set(one.data_vars) == set(two.data_vars)
        for name in one.data_vars:
            spread = float(two[name].std()) or 1.0
            np.testing.assert_allclose(one[name].values / spread, two[name].values / spread, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("engine", [None, "native", "torch_export", "onnx"])
def test_what_a_bundle_predicts_is_what_the_run_predicts(made, engine):
    opened = Bundle.open(made / "whole", engine=engine)
    assert (opened.name, opened.engine) == (NAME, engine or "native")
    apply(opened, Request((str(made / "new.nc"),), made / "again.nc"))
    same(made / "again.nc", made / "run.nc")


def test_a_zip_of_graphs_alone_is_enough_for_the_command(made, finescale, complaints):
    to = made / "zip.nc"
    code, out, err = finescale("predict", str(made / "graphs.zip"), "--input", str(made / "new.nc"), "--to", str(to))
    assert code == 0, err
    assert f"with {NAME}" in out
    same(to, made / "run.nc")
    assert complaints(to) == []
    code, _, err = finescale(
        "predict", str(made / "graphs.zip"), "--input", str(made / "new.nc"), "--engine", "native", "--to", str(to)
    )
    assert code == 2
    assert "--engine native: expected a bundle with the model itself" in err
    code, _, err = finescale("predict", str(made / "native.zip"), "--input", str(made / "new.nc"), "--engine", "onnx")
    assert code == 2
    assert "--engine onnx: expected a bundle with such graphs" in err


def test_the_example_keeps_to_cf(made, complaints):
    path = made / "whole/example.nc"
    assert complaints(path) == []
    with xr.open_dataset(path) as data:
        assert data["together_mean"].attrs["units"] == data["member00_sd"].attrs["units"] == "degC"
        assert data["phase"].attrs["units"] == "1"
        assert "units" not in data["predictors"].attrs  # of temperature and pressure


def test_onnx_runtime_alone_meets_the_example(made):
    import onnxruntime

    folder = made / "whole"
    said = json.loads((folder / "manifest.json").read_text())["graphs"]
    assert [one["name"] for one in said["inputs"]] == ["predictors", "lag_phase", "phase", "lead_phase"]
    assert said["inputs"][0]["entries"] == ["tas", "psl", "tas@-1", "psl@-1"]
    with xr.open_dataset(folder / "example.nc") as example:
        given = {one["name"]: example[one["name"]].values for one in said["inputs"]}
        means = []
        for number in range(said["members"]):
            session = onnxruntime.InferenceSession(str(folder / f"graphs/member-{number:02d}.onnx"))
            mean, sd = session.run(["predicted_mean", "predicted_sd"], given)
            np.testing.assert_allclose(mean, example[f"member{number:02d}_mean"], atol=1e-4)
            np.testing.assert_allclose(sd, example[f"member{number:02d}_sd"], atol=1e-4)
            means.append(mean)
        np.testing.assert_allclose(np.mean(means, axis=0), example["together_mean"].mean(axis=0), atol=1e-4)
        # They are numbers in units, near those of the data, and nothing outside of the mask.
        assert -30 < np.nanmean(means) < 40
        assert np.isnan(means[0]).any()


def test_a_graph_that_differs_is_refused(made, monkeypatch):
    monkeypatch.setattr("flows.apply.exporting.TOLERANCE", -1.0)
    message = r"expected the onnx graph of 'unet\+deep_ensemble' to answer what the model does, got a difference of"
    with pytest.raises(PredictError, match=message):
        Bundle.open(made / "whole").export(made / "refused", ("onnx",))
    assert not (made / "refused").exists()


def test_a_bundle_that_was_changed_is_refused(made, tmp_path):
    folder = shutil.copytree(made / "whole", tmp_path / "bundle")
    (folder / "scores.csv").write_text("other")
    with pytest.raises(RunFolderError, match=r"got scores\.csv missing, changed or added"):
        Bundle.open(folder)
    said = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**said, "format": 99}))
    with pytest.raises(FormatError, match=r"expected a bundle of format 1 in .*, got 99"):
        read_manifest(folder)


def test_no_file_of_a_bundle_runs_code(made, tmp_path):
    assert {path.suffix for path in (made / "whole").rglob("*") if path.is_file()} <= {
        ".json", ".yaml", ".csv", ".nc", ".safetensors", ".pt2", ".onnx",
    }  # fmt: skip
    good = made / "whole/graphs/member-00.pt2"
    refuse_code(good)
    with zipfile.ZipFile(good) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(parts)).split("/")[0]
    bad = tmp_path / "bad.pt2"

    def with_part(name, content):
        with zipfile.ZipFile(bad, "w") as archive:
            for part, known in {**parts, name: content}.items():
                archive.writestr(part, known)

    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    with_part(f"{root}/data/sample_inputs/model.pt", pickle.dumps(Evil()))
    with pytest.raises(DataError, match="could run code"):
        ENGINES.get("torch_export")().load(bad)
    with_part(f"{root}/data/constants/custom_obj_0", b"x")
    with pytest.raises(DataError, match="could run code"):
        refuse_code(bad)
    model = parts[f"{root}/models/model.json"].replace(b"Symbol(", b"__import__(")
    with_part(f"{root}/models/model.json", model)
    with pytest.raises(DataError, match="could run code"):
        refuse_code(bad)


def test_a_zip_that_leads_out_of_its_folder_is_refused(tmp_path):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escaped.txt", "x")
    with pytest.raises(DataError, match="which leads out of it"), unpacked(path):
        pass
    path.write_bytes(b"no zip")
    with pytest.raises(DataError, match="expected a zipped bundle"), unpacked(path):
        pass


def test_the_experiment_is_one_that_uses_every_input(made):
    assert yaml.safe_load((made / "whole/experiment.yaml").read_text())["prepare"]["inputs"]["calendar"] is True
