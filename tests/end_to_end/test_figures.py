"""The figures that the shipped experiments have to reach, by the command that a user types.

Those of iberia-tas take minutes: ``make test-slow`` holds them, ``test_shipped_real.py`` a run with fewer epochs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks._error_bars import by_month
from pipeline.run_folder import STAGES, RunFolder
from pipeline.stage import StageRecord

ROOT = Path(__file__).resolve().parents[2]
CALIBRATED = "deepesd+deep_ensemble+variance_scaling"
pytestmark = pytest.mark.timeout(1800)


def run(out: Path, *words: str) -> RunFolder:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows.cli", "run", *words, "--out", str(out), "--no-server"]
    done = subprocess.run(command, cwd=out, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return RunFolder(next(path for path in out.iterdir() if path.is_dir()))


def scores(folder: RunFolder) -> pd.Series:
    table = pd.read_csv(folder / "scores.csv")
    return table[table.group == "all"].set_index(["model", "split", "metric"]).value


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory) -> RunFolder:
    return run(tmp_path_factory.mktemp("quickstart"), "quickstart")


@pytest.fixture(scope="module")
def iberia(tmp_path_factory) -> RunFolder:
    mirror = os.environ.get("FINESCALE_DATA")
    if not mirror:
        pytest.skip("FINESCALE_DATA is not set: the files of iberia-tas are not here")
    return run(tmp_path_factory.mktemp("iberia"), "iberia-tas", "--data", mirror)


def test_the_best_deep_model_closes_half_of_the_gap_to_the_known_best(quickstart):
    from pipeline.data.synthetic import SyntheticConfig, generate, known_best

    best = known_best(generate(SyntheticConfig()), days=slice(-730, None))
    rmse = scores(quickstart).xs(("test", "rmse"), level=("split", "metric"))
    deep = ["unet", "deepesd", "unet+deep_ensemble"]
    baseline, reached = rmse.drop(deep).min(), rmse[deep].min()
    assert (baseline - reached) / (baseline - best.rmse) >= 0.5
    assert reached > best.rmse - 3 * best.rmse_error, "better than the truth: something has leaked"


def test_no_model_of_the_quickstart_knows_more_than_there_is_to_know(quickstart):
    from pipeline.data.synthetic import SyntheticConfig, generate, known_best

    best = known_best(generate(SyntheticConfig()), days=slice(-730, None))
    crps = scores(quickstart).xs(("test", "crps"), level=("split", "metric"))
    assert crps.min() > 0.98 * best.crps


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "metric", "low", "high"),
    [
        ("ridge", "rmse", 0.0, 1.54),
        ("unet+deep_ensemble", "rmse", 0.0, 1.37),
        ("unet+deep_ensemble", "crps", 0.0, 0.765),
        ("unet+deep_ensemble", "coverage_90", 0.85, 0.95),
        ("unet+deep_ensemble", "spread_skill", 0.85, 1.15),
        (CALIBRATED, "crps", 0.0, 0.76),
        (CALIBRATED, "coverage_90", 0.87, 0.93),
        (CALIBRATED, "spread_skill", 0.9, 1.1),
    ],
)
def test_iberia_reaches_its_figures(iberia, model, metric, low, high):
    assert low <= scores(iberia)[model, "test", metric] <= high


@pytest.mark.real
@pytest.mark.slow
def test_the_error_bars_of_iberia_hold_in_every_winter_month(iberia):
    lines = by_month(iberia, CALIBRATED, 0.84, 0.96)[2:]
    assert [line.split(" | ")[0] for line in lines] == ["| 01", "| 02", "| 12"]
    assert all(line.endswith(": yes |") for line in lines), lines


@pytest.mark.real
@pytest.mark.slow
def test_the_error_bars_of_iberia_are_of_use(iberia):
    table = pd.read_csv(iberia / "scores.csv").query("split == 'test' and group == 'all' and metric == 'crpss'")
    assert (table.set_index("model").low[[CALIBRATED, "deepesd", "unet+deep_ensemble", "ridge"]] > 0.3).all()


@pytest.mark.real
@pytest.mark.slow
def test_the_report_of_iberia_stands_alone(iberia):
    html = (iberia / "report.html").read_bytes()
    assert len(html) < 5e6
    assert b"http-equiv" in html
    for word in (b"<link", b'src="http', b'href="//'):
        assert word not in html


@pytest.mark.real
@pytest.mark.slow  # a time, which a machine that is busy with other tests does not keep
def test_most_of_the_time_goes_into_fitting_or_is_short(iberia):
    """Reading, preparing, predicting, scoring, explaining and reporting: under 90 s on two cores."""
    rest = sum(StageRecord.read(iberia, name).seconds for name in STAGES if name != "fit")
    assert rest < 90
