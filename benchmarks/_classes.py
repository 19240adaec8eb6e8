"""Figures of the segmentations: cloud masks of two sensors, and what each loss does to rare classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._tables import Goal, beside, goals, run, scores_of, seconds, table
from pipeline.run_folder import RunFolder

CLOUDS = (("iou", "mean IoU"), ("kappa", "kappa"), ("accuracy", "accuracy"), ("log_loss", "log loss"))
NETWORKS = ("class_unet", "class_unet+deep_ensemble")


def cloud_masks(out: Path, data: Path) -> list[str]:
    """Return the scores over both sensors and for each, and from one sensor to the other."""
    run_ = run("cloud-masks", out, "--data", str(data))
    best = _best(run_)
    forest = _value(run_, "pixel_forest", "kappa", "both")
    unet = max((name for name in NETWORKS if (run_ / f"models/{name}").is_dir()),
               key=lambda name: _value(run_, name, "iou", "validation"))  # fmt: skip
    wanted = (Goal(best, "kappa", 0.87, np.inf, split="both"), Goal(unet, "kappa", forest, np.inf, split="both"))
    said = (
        f"Best on the validation split by its mean IoU: {best}. The UNet is to be no worse than pixel_forest. Parts of "
        "two images are too few for intervals."
    )
    body = [*table(run_, CLOUDS, by="iou", split="both", ascending=False), "", said, "", *goals(run_, wanted), "",
            *_by_sensor(run_, ("landsat5", "sentinel2")), ""]  # fmt: skip
    parts = ["## cloud-masks", "", "    finescale run cloud-masks --data MIRROR", "", *body, seconds(run_), ""]
    return parts + _transfer(out, data)


def _transfer(out: Path, data: Path) -> list[str]:
    """Return what is left of the skill on the sensor that was not learned from."""
    found: dict[str, pd.Series] = {}
    commands = []
    for learned, asked in _PAIRS:
        images = (
            f"split.images={{train: [cloud-masks-{learned}], validation: [cloud-masks-{learned}], "
            f"{asked}: [cloud-masks-{asked}]}}"
        )
        words = ("--set", images, "--set", f"split.test={{{asked}: [410, 511]}}", "--set", "uncertainty=[]")
        run_ = run("cloud-masks", out / learned, "--data", str(data), *words)
        commands.append(
            "    finescale run cloud-masks --data MIRROR " + " ".join(f"'{w}'" if " " in w else w for w in words)
        )
        rows = scores_of(run_, asked)
        found[f"{learned} to {asked}"] = rows[rows["metric"] == "kappa"].set_index("model")["value"]
    said = "One sensor to the other, as it is: learned and chosen on one, tested on the same columns of the other."
    return ["### From one sensor to the other", "", *commands, "", *beside("kappa", found), "", said, ""]


_PAIRS = (("landsat5", "sentinel2"), ("sentinel2", "landsat5"))


def storms(out: Path) -> list[str]:
    """Return IoU, precision and recall by class for every loss of the same network."""
    run_ = run("storms", out)
    scores = pd.read_csv(run_ / "scores.csv")
    test = scores[scores["split"] == "test"].set_index(["model", "metric", "group"])["value"]
    classes = ("tropical_cyclone", "atmospheric_river")
    heads = ["mean IoU", *(f"{metric}, {name}" for name in classes for metric in ("iou", "precision", "recall"))]
    lines = ["| model | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    overall = test.xs("iou", level="metric").xs("all", level="group").sort_values(ascending=False)
    for model, value in overall.items():
        parts = [value, *(test.get((model, metric, f"class={name}"), np.nan) for name in classes
                          for metric in ("iou", "precision", "recall"))]  # fmt: skip
        lines.append(f"| {model} | " + " | ".join("" if np.isnan(part) else f"{part:.3f}" for part in parts) + " |")
    said = (
        "plain, inverse, inverse_sqrt: cross-entropy without weights, by the inverse of a class's share and by its "
        "root; mixed: half cross-entropy by the root, half Dice. One seed each, on made data: differences of a few "
        "hundredths are chance."
    )
    return ["## storms", "", "    finescale run storms", "", *lines, "", said, "", seconds(run_), ""]


def _best(run_: RunFolder) -> str:
    """Return the model with the highest mean IoU on the validation split."""
    rows = scores_of(run_, "validation")
    values: pd.Series = rows[rows["metric"] == "iou"].set_index("model")["value"]
    return str(values.idxmax())


def _value(run_: RunFolder, model: str, metric: str, split: str) -> float:
    rows = scores_of(run_, split)
    return float(rows[(rows["model"] == model) & (rows["metric"] == metric)]["value"].iloc[0])


def _by_sensor(run_: RunFolder, splits: tuple[str, ...]) -> list[str]:
    found = {split: scores_of(run_, split) for split in splits}
    lines = ["| kappa | " + " | ".join(splits) + " |", "|---" * (len(splits) + 1) + "|"]
    values = {split: rows[rows["metric"] == "kappa"].set_index("model")["value"] for split, rows in found.items()}
    order = values[splits[0]].sort_values(ascending=False).index
    rows = [" | ".join([model, *(f"{values[split][model]:.3f}" for split in splits)]) for model in order]
    return [*lines, *(f"| {row} |" for row in rows)]
