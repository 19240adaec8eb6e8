"""Make every figure of the documents anew: `make figures DATA=path/to/mirror` writes docs/results.md.

It runs the shipped experiments as a user would, reads their files, and says of each figure to be
reached whether it was. It fails where the data are not there: a number without its run is not kept.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks._classes import cloud_masks, storms
from benchmarks._error_bars import OF_RAIN, by_month, error_bars, methods, skilled
from benchmarks._series import camels, nino34, salmon_flow, us_stations
from benchmarks._tables import ROOT, Goal, goals, margins, run, scores_of, seconds, table
from pipeline.run_folder import RunFolder

NEEDED = ("iberia-downscaling", "hadcm3-na-annual", "pacific-sst-enso", "basin-salmon", "us-stations-daily",
          "camels-us", "cloud-masks")  # fmt: skip
CALIBRATED = "deepesd+deep_ensemble+variance_scaling"
TEMPERATURE = (("rmse", "RMSE [K] (95 %)"), ("crps", "CRPS [K]"), ("coverage_90", "coverage of 90 %"),
               ("spread_skill", "spread / skill"))  # fmt: skip
PRECIPITATION = (
    ("crps", "CRPS [mm/d] (95 %)"),
    ("rmse", "RMSE [mm/d]"),
    ("bias_r01", "bias of R01"),
    ("relative_bias_p98_wet", "relative bias of wet P98 [%]"),
    ("sd_ratio_draws", "ratio of deviations, drawn days"),
    ("brier_r01", "Brier, 1 mm"),
    ("log_spectral_distance", "log spectral distance [dB]"),
)


def quickstart(out: Path) -> list[str]:
    """Return the quickstart's table and how much of the gap to the known best score was closed."""
    from pipeline.data.synthetic import SyntheticConfig, generate, known_best

    run_ = run("quickstart", out)
    rows = scores_of(run_, "test")
    rmse = rows[rows["metric"] == "rmse"].set_index("model")["value"]
    deep = [model for model in rmse.index if model.startswith(("unet", "deepesd"))]
    best = known_best(generate(SyntheticConfig()), days=slice(-730, None))
    baseline, reached = rmse.drop(deep).min(), rmse[deep].min()
    closed = (baseline - reached) / (baseline - best.rmse)
    said = (
        f"The known best possible RMSE is {best.rmse:.3f} K. The best deep model closes {100 * closed:.0f} % of the "
        f"gap between the best baseline ({baseline:.3f} K) and it; at least 50 % are to be reached."
    )
    body = [*table(run_, TEMPERATURE), "", said, "", seconds(run_), ""]
    return ["## quickstart", "", "    finescale run quickstart", "", *body]


def iberia_tas(out: Path, data: Path) -> list[str]:
    """Return iberia-tas' table and whether each goal was reached."""
    run_ = run("iberia-tas", out, "--data", str(data))
    wanted = (
        Goal("ridge", "rmse", -np.inf, 1.54),
        Goal("unet+deep_ensemble", "rmse", -np.inf, 1.37),
        Goal("unet+deep_ensemble", "crps", -np.inf, 0.765),
        Goal(CALIBRATED, "crps", -np.inf, 0.76),
        *skilled(CALIBRATED, (0.87, 0.93)),
        Goal(CALIBRATED, "spread_skill", 0.9, 1.1),
    )
    said = (
        f"Best on the validation split by its CRPS: {_best(run_, 'crps')}. The two validation winters are easier than "
        "the five of the test, so that calibrating on them alone makes error bars narrower; winters left out of fits "
        "in turn are the better ground."
    )
    body = [*table(run_, TEMPERATURE), "", *error_bars(run_), "", said, "", *goals(run_, wanted), "",
            *by_month(run_, CALIBRATED, 0.84, 0.96), "", seconds(run_), ""]  # fmt: skip
    return ["## iberia-tas", "", "    finescale run iberia-tas --data MIRROR", "", *body]


def iberia_pr(out: Path, data: Path) -> list[str]:
    """Return the precipitation table, the margins of the best model, and whether each goal was reached."""
    run_ = run("iberia-pr", out, "--data", str(data))
    best = _best(run_, "crps")
    wanted = (
        Goal(best, "bias_r01", -0.02, 0.02),
        Goal(best, "relative_bias_p98_wet", -10.0, 10.0),
        Goal(best, "sd_ratio_draws", 0.9, 1.1),
        *skilled(best, held="pit_coverage_90"),
        *skilled("noise_unet"),
    )
    said = (
        f"Best on the validation split by its CRPS: {best}. Intervals that begin at zero hold every dry day, so that "
        "those of a perfect forecast hold more than 90 %; by the randomised PIT 90 % is right for rain too."
    )
    others = ("climatology", "quantile_mapping", "analogs")
    body = [*table(run_, PRECIPITATION, by="crps"), "", *error_bars(run_, OF_RAIN), "", said, "",
            *margins(run_, best, others, "crps"), "", *goals(run_, wanted), ""]  # fmt: skip
    return ["## iberia-pr", "", "    finescale run iberia-pr --data MIRROR", "", *body]


def iberia_stations(out: Path, data: Path) -> list[str]:
    """Return the stations' table and at how many stations the best model beats interpolation with a fitted line."""
    run_ = run("iberia-stations", out, "--data", str(data))
    best = _best(run_, "rmse")
    errors = {name: xr.load_dataset(run_ / f"diagnostics/{name}.nc")["tas_rmse"] for name in (best, "interpolation")}
    better = int((errors[best] < errors["interpolation"]).sum())
    lines = ["| station | " + " | ".join(f"RMSE of {name} [K]" for name in errors) + " |", "|---|---|---|"]
    for number, station in enumerate(errors[best]["station"].values):
        lines.append(f"| {station} | " + " | ".join(f"{float(field[number]):.2f}" for field in errors.values()) + " |")
    said = (
        f"{best}, the best on the validation split, has the lower RMSE at {better} of {len(lines) - 2} stations; "
        f"10 are to be reached."
    )
    body = [*table(run_, TEMPERATURE), "", *lines, "", said, ""]
    return ["## iberia-stations", "", "    finescale run iberia-stations --data MIRROR", "", *body]


def hadcm3(out: Path, data: Path) -> list[str]:
    """Return how well constrained fields keep the coarse field they were made from."""
    from pipeline.grid import Grid
    from pipeline.prepare.coarsen import block_means

    run_ = run("hadcm3-sr", out, "--data", str(data))
    fine = xr.load_dataset(run_ / "work/ingest/hadcm3-na.nc")
    lines = [
        "| model | largest distance of a block mean from its coarse value [K] | as a share of it |",
        "|---|---|---|",
    ]
    for name in ("unet", "unet_additive", "unet_multiplicative", "unet_softmax"):
        predicted = xr.load_dataset(run_ / f"predictions/{name}.nc")[["tas"]].drop_vars("split")
        known = fine.sel(time=predicted.time, lat=predicted.lat, lon=predicted.lon)
        means = [block_means(part["tas"].values, Grid.of(part).area, 4) for part in (predicted, known[["tas"]])]
        gap = np.abs(means[0] - means[1])
        lines.append(f"| {name} | {gap.max():.1e} | {(gap / np.abs(means[1])).max():.1e} |")
    said = (
        "1e-5 is to be held, as a share: numbers of kelvin near 280 are 3e-5 K apart in the files. Ten test years make "
        "no claim of skill; the scores stand in the report."
    )
    return ["## hadcm3-sr", "", "    finescale run hadcm3-sr --data MIRROR", "", *lines, "", said, ""]


def imperfect(out: Path) -> list[str]:
    """Return what is left of the skill on imperfect predictors, under both ways to standardise."""
    found = {}
    for scale in ("per_field", "per_cell"):
        run_ = run("imperfect", out / scale, "--set", f"prepare.inputs.scale={scale}")
        for split in ("perfect", "imperfect"):
            rows = scores_of(run_, split)
            found[scale, split] = rows[rows["metric"] == "rmse"].set_index("model")["value"]
    lines = [
        "| RMSE [K] | perfect, per_field | imperfect, per_field | perfect, per_cell | imperfect, per_cell |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {model} | " + " | ".join(f"{values[model]:.3f}" for values in found.values()) + " |"
        for model in found["per_field", "perfect"].index
    ]
    command = "    finescale run imperfect --set prepare.inputs.scale=per_field|per_cell"
    return ["## imperfect", "", command, "", *lines, ""]


CORDEX = (("tasmax", "rmse", "K"), ("tasmax", "mean", "K"), ("tasmax", "q98", "K"), ("tasmax", "txx", "K"),
          ("pr", "rmse", "mm/d"), ("pr", "mean", "mm/d"), ("pr", "sdii", "mm/d"), ("pr", "rx1day", "mm/d"))  # fmt: skip


def cordex(out: Path) -> list[str]:
    """Return the benchmark's diagnostics of the held-out days of a made tree."""
    from flows.cordex import FOLDER, trial
    from flows.cordex_scores import diagnosed
    from pipeline.data.synthetic.cordex_tree import write_cordex_tree

    days, folder = 400, out / FOLDER
    write_cordex_tree(folder, "NZ", days=days)
    name, *words = [shlex.split(word)[0] for word in trial(folder, "NZ", days)]
    run_ = run(name, out, *words)
    heads = [
        f"{variable} {'RMSE' if index == 'rmse' else f'bias of {index}'} [{units}]" for variable, index, units in CORDEX
    ]
    lines = ["| model | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for path in sorted((run_ / "predictions").glob("*.nc")):
        rows = diagnosed(run_, path.stem).set_index(["variable", "index"])
        values = [
            rows.loc[(variable, index), "prediction" if index == "rmse" else "bias"] for variable, index, _ in CORDEX
        ]
        lines.append(f"| {path.stem} | " + " | ".join(f"{value:.2f}" for value in values) + " |")
    shown = " ".join(trial(Path(f"mirror/{FOLDER}"), "NZ", days))
    commands = [f"    finescale cordex example mirror/{FOLDER} --domain NZ --days {days}", f"    finescale run {shown}"]
    said = (
        "Made data in the benchmark's layout and few epochs: that the whole way runs, from the tree on, is "
        "what this shows. Published numbers of the real data, and how to compare with them: [cordex.md](cordex.md)."
    )
    return ["## cordex-nz on a made tree", "", *commands, "", *lines, "", said, ""]


def indices() -> list[str]:
    """Return time and memory of the climate indices and the spectrum on a made field."""
    command = [sys.executable, "-m", "benchmarks.indices"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    lines = [f"- {line}" for line in done.stdout.splitlines()]
    said = "Under 20 s and under three times the field's memory on two cores are to be reached."
    return ["## Indices and spectrum", "", "    python -m benchmarks.indices", "", *lines, "", said, ""]


def stacked() -> list[str]:
    """Return how much faster members of small networks are trained as one."""
    command = [sys.executable, "-m", "benchmarks.stacked", "--backend", "cpu"]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True, env=alone)
    lines = [f"- {line}" for line in done.stdout.splitlines()]
    said = (
        "Above 1 members as one are faster. `stacked: auto` asks for 1.3, timed on the run's own network and machine. "
        "At least 2 on a GPU is to be reached, and not measured yet: [gpu_status.md](gpu_status.md)."
    )
    return [
        "## Members trained as one",
        "",
        f"    OMP_NUM_THREADS=1 {' '.join(['python', *command[1:]])}",
        "",
        *lines,
        "",
        said,
        "",
    ]


def crps() -> list[str]:
    """Return the time of the fair CRPS beside that of another library."""
    command = [sys.executable, "-m", "benchmarks.crps"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    said = "Eight times as fast as `scores`, by the means, and less than two blocks of memory are to be reached."
    lines = done.stdout.splitlines()[:-1]  # without the JSON
    return ["## CRPS of an ensemble", "", "    python -m benchmarks.crps", "", *lines, "", said, ""]


def _best(run_: RunFolder, metric: str) -> str:
    """Return the model that did best on the validation split."""
    rows = scores_of(run_, "validation")
    values: pd.Series = rows[rows["metric"] == metric].set_index("model")["value"]
    return str(values.idxmin())


Section = Callable[[Path, Path], list[str]]
SECTIONS: Mapping[str, Section] = {
    "quickstart": lambda out, data: quickstart(out),
    "error-bars": lambda out, data: methods(out),
    "iberia-tas": iberia_tas,
    "iberia-pr": iberia_pr,
    "iberia-stations": iberia_stations,
    "hadcm3-sr": hadcm3,
    "imperfect": lambda out, data: imperfect(out),
    "cordex": lambda out, data: cordex(out),
    "nino34": nino34,
    "salmon-flow": salmon_flow,
    "us-stations": us_stations,
    "camels": camels,
    "cloud-masks": cloud_masks,
    "storms": lambda out, data: storms(out),
    "indices": lambda out, data: indices(),
    "stacked": lambda out, data: stacked(),
    "crps": lambda out, data: crps(),
}
HEAD = """# Results

Made by `make figures DATA=MIRROR`, which runs the commands below; do not edit by hand.

"""
MARK = "<!-- {} -->"  # before each section, so that one can be made anew without the others


def main() -> None:
    """Write docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="local mirror with the files of the experiments")
    parser.add_argument("--runs", type=Path, help="folder that keeps the runs; by default they are thrown away")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), help="make these sections, keep the others")
    asked = parser.parse_args()
    data = asked.data.resolve()
    for name in NEEDED:
        if not (data / name).is_dir():
            sys.exit(f"expected a mirror with the folder {name}, got {data}: the figures cannot be made.")
    path = ROOT / "docs/results.md"
    done = sections_of(path.read_text(encoding="utf-8")) if asked.only else {}
    with tempfile.TemporaryDirectory() as folder:
        out = (asked.runs or Path(folder)).resolve()
        for name in asked.only or SECTIONS:
            done[name] = "\n".join(SECTIONS[name](out, data)).strip()
    ordered = [f"{MARK.format(name)}\n\n{done[name]}\n" for name in SECTIONS if name in done]
    path.write_text(HEAD + "\n".join(ordered), encoding="utf-8")


def sections_of(text: str) -> dict[str, str]:
    """Return the sections of a page that :func:`main` wrote, by name.

    Examples
    --------
    >>> sections_of("# Results\\n\\n<!-- a -->\\n\\n## A\\n\\n<!-- b -->\\n\\n## B\\n")
    {'a': '## A', 'b': '## B'}
    """
    parts = re.split(r"<!-- ([\w-]+) -->", text)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


if __name__ == "__main__":
    main()
