"""What single sections say: explanations of many models, what was left out of the data, where the files are from."""

import json

import pandas as pd
import pytest
import xarray as xr

from pipeline.report.load import load_run
from pipeline.report.prepare_facts import prepare_facts
from pipeline.report.render import render
from pipeline.report.sections import cell, drivers, learned, origin
from pipeline.report.study import study
from pipeline.run_folder import STAGES

MADE = {"dataset": "made", "path": "", "sha256": "", "how": "synthetic", "bytes": 0}
FILE = {"dataset": "real", "path": "a.nc", "sha256": "ab" * 32, "how": "cache", "bytes": 9}
OWN = {**FILE, "path": "b.nc", "sha256": ""}


@pytest.mark.parametrize(
    ("data", "end"),
    [
        ([MADE, MADE], ", from made data"),
        ([FILE], ", from 1 file with recorded digests"),
        ([FILE, FILE, MADE], ", from 2 files with recorded digests and made data"),
        ([FILE, OWN], ", from 1 file with recorded digests and 1 file without a digest"),
        ([], ""),
    ],
)
def test_provenance_counts_what_has_a_digest(make_run, data, end):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False, provenance={"data": data})
    section = origin.build(study(load_run(run)))
    assert section.lead.endswith(f"with seed {study(load_run(run)).run.experiment['seed']}{end}.")


HERE = {"kind": "in this process", "workers": 1, "threads_a_worker": 2, "scheduler": None}
LOCAL = {"kind": "LocalCluster", "workers": 2, "threads_a_worker": 1, "scheduler": None}
REACHED = {"kind": "Dask scheduler", "workers": 6, "threads_a_worker": None, "scheduler": "tcp://head:8786"}


@pytest.mark.parametrize(
    ("cluster", "said", "rows"),
    [
        (HERE, " on cpu with seed", {"kind": "in this process", "workers": "1", "threads a worker": "2"}),
        (
            LOCAL,
            " on cpu by 2 workers of a LocalCluster with seed",
            {"kind": "LocalCluster", "workers": "2", "threads a worker": "1"},
        ),
        (
            REACHED,
            " on cpu by 6 workers of the Dask scheduler at tcp://head:8786 with seed",
            {"kind": "Dask scheduler", "workers": "6", "scheduler": "tcp://head:8786"},
        ),
    ],
)
def test_provenance_says_what_the_tasks_went_to(make_run, cluster, said, rows):
    provenance = {"device": {"backend": "cpu"}, "cluster": cluster, "data": []}
    run = make_run(models=("ridge", "unet"), years=1, attributions=False, provenance=provenance)
    section = origin.build(study(load_run(run)))
    assert said in section.lead
    table = next(b for b in section.blocks if getattr(b, "name", "") == "versions")
    found = {row[0].text: row[1].text for row in table.rows}
    assert {name: text for name, text in found.items() if name.startswith("cluster")} == {
        f"cluster: {name}": text for name, text in rows.items()
    }


def test_made_data_are_called_so_in_the_list_of_files(make_run):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False, provenance={"data": [MADE, FILE]})
    table = next(b for b in origin.build(study(load_run(run))).blocks if getattr(b, "name", "") == "files")
    assert [cell.text for cell in table.rows[0]] == ["made", "made from a seed", "synthetic", "–", "–"]


def test_stages_stand_in_the_order_of_the_pipeline(make_run):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False)
    for path in (run / "stages").glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "started": "2026-01-02T03:00:00+00:00"}))
    (run / "stages" / "zebra.json").write_text(json.dumps({"stage": "zebra", "seconds": 1.0, "peak_memory_mib": 1.0}))
    names = [stage.name for stage in load_run(run).stages]
    assert names == [*(name for name in STAGES if name in names), "zebra"]
    assert names[:3] == ["ingest", "prepare", "fit"]


PREPARED = {
    "splits": {
        "train": {"steps": 1173, "samples": 1160, "dropped": {"missing lag": 12, "missing predictor": 1}},
        "validation": {"steps": 90, "samples": 90, "dropped": {}},
        "test": {"steps": 451, "samples": 445, "dropped": {"no truth": 6}},
        "warm": {"steps": 9, "samples": 9, "dropped": {}, "truth": False},
    },
    "matched_by": "date",
    "months": [12, 1, 2],
    "notes": ["The climatology has 1 of 2 harmonics: the train days see too little."],
    "channels": [
        {"name": "tas", "constant_cells": 0, "cells_without_data": 0},
        {"name": "pr", "constant_cells": 1, "cells_without_data": 3},
    ],
}  # fmt: skip
SAID = (
    "Of the steps of train, 13 of 1,173 are left out: 12 lack an earlier step that the inputs need, 1 lacks a predictor.",
    "Of the steps of test, 6 of 451 are left out: they have no truth.",
    "The test set warm has no truth: it is predicted and not scored.",
    "pr: 3 cells without data, 1 cell that never varies.",
    "The climatology has 1 of 2 harmonics: the train days see too little.",
)


def test_what_was_left_out_is_said_and_why():
    assert prepare_facts(PREPARED) == SAID
    assert prepare_facts({}) == ()
    unknown = {"splits": {"train": {"steps": 9, "samples": 7, "dropped": {"made up": 2}}}}
    assert prepare_facts(unknown) == ("Of the steps of train, 2 of 9 are left out: 2 made up.",)


def test_notes_and_repairs_stand_under_data(make_run):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False)
    path = run / "stages" / "prepare.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "summary": {**record["summary"], **PREPARED}}))
    blocks = learned.build(study(load_run(run))).blocks
    kinds = [getattr(block, "text", None) or getattr(block, "items", None) or block.name for block in blocks]
    place = kinds.index("Data")
    assert kinds[place : place + 6] == [
        "Data", "data", SAID, "Repairs on reading", ("iberia-ncep: pr: kg m-2 s-1 to mm d-1",), "Learning curves",
    ]  # fmt: skip


def test_test_sets_with_own_data_stand_on_rows_of_their_own(make_run):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False)
    path = run / "stages" / "prepare.json"
    record = json.loads(path.read_text())
    own = {"span": ["1960-01-01", "2001-02-30"], "first": "1960-01-01", "last": "2001-02-30", "own_data": True}
    splits = record["summary"].get("splits", {}) | {"warm": own | {"samples": 7200, "calendar": "360_day"}}
    path.write_text(json.dumps({**record, "summary": {**record["summary"], "splits": splits}}))
    section = learned.build(study(load_run(run)))
    figure = section.blocks[0]
    assert "warm 1960-01-01 to 2001-02-30." in figure.caption
    assert figure.caption.endswith(" warm has data of its own.")
    drawing = figure.pictures[0].light.decode()
    assert "warm, 7,200 samples" in drawing
    assert figure.pictures[0].height > 92  # a second row


def test_a_long_table_is_folded(make_run):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False)
    path = run / "work" / "ingest" / "summary.json"
    name, facts = next(iter(json.loads(path.read_text())["datasets"].items()))
    for count, folded in ((40, False), (41, True)):
        many = {name: {**facts, "variables": [{**facts["variables"][0], "name": f"v{k}"} for k in range(count)]}}
        path.write_text(json.dumps({"datasets": many}))
        page = render(run).read_text(encoding="utf-8")
        assert (f"<details><summary>{count} rows</summary>" in page) == folded
        assert page.count("<details") == page.count("</details>")


def test_a_series_is_of_the_dates_of_its_calendar(make_run):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False)
    found = study(load_run(run))
    test = xr.load_dataset(run / "predictions" / f"{found.headline}.nc").isel(time=slice(0, 60))
    test["time"] = xr.date_range("2001-01-01", periods=60, calendar="360_day", use_cftime=True)
    figure = cell.series(found, test, "tas", cell.Cell(9, 14, 40.0, -3.0, "a cell", "RMSE"))
    assert ", 2001-01-01 to 2001-02-30;" in figure.caption


def test_no_interval_is_printed_that_is_not_known(make_run):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False, intervals=False)
    scores = pd.read_csv(run / "scores.csv")
    assert scores["low"].isna().all()
    found = study(load_run(run))
    texts = [drivers, learned, origin]
    shown = " ".join(str(section.build(found)) for section in texts)
    assert "nan to" not in shown
    assert "– to" not in shown


@pytest.mark.parametrize("box", [(0.0, 6.0, 40.0, 44.0), (-10.0, 4.5, 35.0, 44.5), (0.0, 0.5, 10.0, 10.4)])
def test_tick_labels_of_a_small_map_do_not_touch(box):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    from pipeline.report import coast, palette
    from pipeline.report.figures import maps

    figure = Canvas(figsize=(2.4, 1.9), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.2, 0.2, 0.7, 0.75))
    maps._frame(axes, coast.Box(*box), palette.LIGHT)
    figure.canvas.draw()
    labels = [label for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()]
    places = [label.get_window_extent().padded(1) for label in labels]
    assert len(places) >= 4
    assert not [(a, b) for i, a in enumerate(places) for b in places[:i] if a.overlaps(b)]


def test_caption_of_the_data_names_repairs_only_where_there_are_some(whole_run):
    from pipeline.report.data_facts import datasets, table

    ncep, eobs = datasets(load_run(whole_run).ingest)
    assert table((ncep, eobs)).caption == "What was read, after the repairs named below."
    assert table((eobs,)).caption == "What was read."
