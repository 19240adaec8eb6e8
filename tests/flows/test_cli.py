import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def call(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "-m", "flows.cli", *words], cwd=cwd, env=env, capture_output=True, text=True)


def test_help_comes_at_once():
    """Under half a second on two cores; the least of several, for the machine may be busy."""
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        done = call("--help")
        seconds.append(time.perf_counter() - begun)
        assert done.returncode == 0
    assert min(seconds) < 0.5


@pytest.mark.parametrize("library", ["torch", "numpy", "pandas", "xarray", "prefect", "pydantic", "matplotlib"])
def test_help_imports_nothing_heavy(library):
    code = f"import sys, flows.cli; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_version_is_told():
    from pipeline import __version__

    assert call("--version").stdout == f"finescale {__version__}\n"


def test_every_command_has_help():
    for words in (
        ["run"],
        ["report"],
        ["doctor"],
        ["data", "check"],
        ["data", "add"],
        ["runs", "list"],
        ["runs", "index"],
        ["experiments", "show"],
    ):
        done = call(*words, "--help")
        assert done.returncode == 0
        assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "expected either an EXPERIMENT or --resume RUN"),
        (["run", "quickstart", "--resume", "x"], "expected either an EXPERIMENT or --resume RUN"),
        (["run", "quickstrat"], "unknown experiment 'quickstrat'. Did you mean 'quickstart'?"),
        (
            ["run", "quickstart", "--backend", "tpu"],
            "compute.backend: input should be 'auto', 'cpu' or 'gpu', got 'tpu'",
        ),
        (["run", "quickstart", "--workers", "0"], "Invalid value for '--workers'"),
        (
            ["run", "quickstart", "--data", "no_such_folder"],
            "expected a folder that mirrors the catalog's files, got 'no_such_folder'",
        ),
        (["run", "--resume", "nothing"], "expected a run's path, name or the start of one, got 'nothing'"),
        (["runs", "show", "nothing"], "got 'nothing', which is not in"),
        (["data", "show", "synthetic-corse"], "no dataset 'synthetic-corse'. Did you mean 'synthetic-coarse'?"),
        (["data", "check", "x", "--catalog", "no.yaml"], "expected a catalog file, got 'no.yaml', which is not there"),
        (["experiments", "show", "no"], "unknown experiment 'no'"),
        (["report", "x", "--format", "pdf"], "Invalid value for '--format'"),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_what_a_user_gets_wrong_ends_with_2_and_one_message(words, message, tmp_path):
    done = call(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_bug_ends_with_1_and_says_what_to_do(monkeypatch, capsys):
    import flows.load
    from flows.cli import run_command

    monkeypatch.setattr(flows.load, "shipped", lambda: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["finescale", "experiments", "list"])
    assert run_command() == 1
    err = capsys.readouterr().err
    assert "a bug in Finescale: ZeroDivisionError: division by zero" in err
    assert "--debug" in err


def test_a_full_disk_ends_with_1(monkeypatch, capsys):
    import flows.load
    from flows.cli import run_command

    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(flows.load, "shipped", full)
    monkeypatch.setattr(sys, "argv", ["finescale", "experiments", "list"])
    assert run_command() == 1
    assert "No space left on device" in capsys.readouterr().err


def test_doctor_says_why_there_is_no_gpu():
    from pipeline.backend import why_no_gpu

    done = call("doctor")
    assert done.returncode == 0, done.stdout
    reason = why_no_gpu()
    assert ("works" if reason is None else reason) in " ".join(done.stdout.split())
    assert "as Prefect needs them" in done.stdout


def test_experiments_are_listed_and_shown():
    listed = call("experiments", "list").stdout
    assert "iberia-tas" in listed
    assert call("experiments", "show", "tiny").stdout.startswith("name: tiny")
    assert "harmonics: 2" in call("experiments", "show", "tiny", "--resolved").stdout


def test_an_experiment_that_is_not_valid_does_not_hide_those_behind_it(tmp_path, finescale, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_text("data: 1\nsplit: 2\nmodels: 3\n")
    code, out, _ = finescale("experiments", "list")
    assert code == 0
    assert "broken" in out
    assert "not valid: " in out
    assert len(out.splitlines()) == 22


def test_nothing_fitted_sees_past_the_train_span():
    done = call("check-leakage", "tiny")
    assert done.returncode == 0, done.stderr
    assert "byte for byte the same whatever comes after the train span" in done.stdout


def test_what_leaks_is_named(monkeypatch, capsys):
    import flows.leakage
    from flows.cli import run_command
    from pipeline.prepare.leakage import LeakageReport

    monkeypatch.setattr(flows.leakage, "check_leakage", lambda *_, **__: LeakageReport(("mean", "scale"), ("scale",)))
    monkeypatch.setattr(sys, "argv", ["finescale", "check-leakage", "tiny"])
    assert run_command() == 1
    assert "error: moved by values after the train span: scale" in capsys.readouterr().err


def test_dates_beyond_nanoseconds_are_no_news(tmp_path):
    import warnings

    import xarray as xr

    from flows.cli import quiet

    time = xr.date_range("2281-02-28", periods=3, calendar="360_day", use_cftime=True)
    xr.Dataset(coords={"time": time}).to_netcdf(tmp_path / "far.nc")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert str(xr.load_dataset(tmp_path / "far.nc").time.values[-1])[:10] == "2281-02-30"
        assert heard  # else quiet() is not needed any more
        heard.clear()
        quiet()
        xr.load_dataset(tmp_path / "far.nc")
        assert not heard


def test_runs_index_writes_a_page_and_prints_where(tmp_path):
    done = call("runs", "index", "--out", str(tmp_path))
    assert done.stdout == f"{tmp_path / 'index.html'}\n"
    assert (tmp_path / "index.html").is_file()
