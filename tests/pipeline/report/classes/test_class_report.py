"""The whole report of a segmentation: what it says, shows and leaves out."""

import re
from html.parser import HTMLParser

import pytest

from pipeline.report.render import render

EIGHT = ("clear", "cloud", "shadow", "haze", "snow", "water", "smoke", "dust")
LONG = "a_class_with_a_name_that_somebody_thought_should_say_everything_about_it"
ODD = {
    "one model": {"models": ("class_unet",), "missing": 0.3},
    "one baseline": {"models": ("pixel_forest",), "tiles": False, "made": True},
    "two baselines, no intervals": {"models": ("class_frequencies", "pixel_forest"), "intervals": False},
    "two classes, no baseline": {"models": ("class_unet", "cgnet"), "classes": ("calm", "storm"), "tiles": False},
    "eight classes": {"classes": EIGHT, "tiles": False, "days": 20},
    "long names": {"classes": ("clear", LONG, f"{LONG}_2")},
    "a class that is not there": {"absent": True, "predictions": False, "tiles": False},
    "scores alone": {"predictions": False, "diagnostics": False},
    "no diagnostics, no validation": {"diagnostics": False, "validation": False, "tiles": False},
    "names like markup": {"classes": ("clear", "</script><img src=x onerror=alert(1)>", '"><svg onload=alert(2)>')},
    "one day": {"tiles": False, "days": 1},
}


class Page(HTMLParser):
    """Tags with their attributes, and the text of every section."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.blocks, self.key = [], {}, {}, ""
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open += [] if tag in {"meta", "img", "source", "br"} else [tag]
        if tag == "section":
            self.key = dict(attrs)["id"]
        if tag in {"figure", "li", "table"} and self.key:
            self.blocks[self.key] = self.blocks.get(self.key, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text[self.key] = self.text.get(self.key, "") + re.sub(r"\s+", " ", data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text.values()))


def _page(run):
    path = render(run)
    assert path.stat().st_size < 5e6
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("parts", ODD.values(), ids=ODD)
def test_odd_runs_have_a_whole_report(make_class_run, parts):
    page = _page(make_class_run(**parts))
    assert page.open == []
    assert not re.search(r"\bnan\b|\bNone\b|\bNaT\b|RMSE|rmse|CRPS", page.words)
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for attrs in page.all("img"):
        assert re.search(r"\.$", attrs["alt"])
        assert not re.search(r"\bnan\b|\bNone\b", attrs["alt"])
    for section in page.all("section"):
        assert page.blocks.get(section["id"], 0) or section["id"] == "verdict", section


def test_sections_stand_in_their_order(make_class_run):
    page = _page(make_class_run())
    order = ["verdict", "skill", "where", "extremes", "trust", "learned", "limits", "provenance"]
    assert [attrs["id"] for attrs in page.all("section")] == order
    bare = _page(make_class_run(predictions=False, diagnostics=False))
    assert [attrs["id"] for attrs in bare.all("section")] == ["verdict", "skill", "extremes", "learned", "provenance"]


def test_first_screen_has_bars_a_map_and_a_curve(make_class_run):
    page = _page(make_class_run())
    shown = [attrs["alt"] for attrs in page.all("img")][:3]
    assert shown[0].startswith("class unet has the highest mean IoU, 0.")
    assert "best baseline, pixel forest, is marked" in shown[0]
    assert re.match(r"Classes on rows \d+ to \d+, columns \d+ to \d+ of (left|right): mean IoU 0\.\d\d; of ", shown[1])
    assert re.match(r"The most likely class of class unet has \d\d\.\d\s% on average and is right", shown[2])


def test_the_curve_is_of_precision_where_reliability_is_not_known(make_class_run):
    import xarray as xr

    run = make_class_run()
    path = run / "diagnostics" / "class_unet.nc"
    data = xr.load_dataset(path)
    data.drop_vars([name for name in data if "confidence" in name or "reliability" in name]).to_netcdf(path)
    shown = [attrs["alt"] for attrs in _page(run).all("img")][2]
    assert re.match(r"Average precision of class unet: clear 0\.\d\d, cloud 0\.\d\d and shadow 0\.\d\d\.", shown)


def test_what_is_shown_of_tiles(make_class_run):
    page = _page(make_class_run())
    assert "36 tiles, columns 80 to 119 of 2 images" in page.text["verdict"]
    assert "fitted on 90 tiles of columns 0 to 29, chosen on 36 tiles of columns 40 to 79" in page.text["learned"]
    assert "flip longitude (probability 0.25)" in page.text["learned"]
    assert "The tiles come from 2 images" in page.text["limits"]
    assert "Between the splits lie 10 pixels" in page.text["limits"]
    ids = {attrs["id"] for attrs in page.all("figure") if "id" in attrs}
    assert {"samples-mask", "images-mask", "confusion-mask", "precision-recall-mask", "objects-mask"} <= ids
    assert {
        "by-class-mask-test",
        "iou-mask-test",
        "iou-mask-first",
        "by-test-set-mask",
        "reliability-mask",
        "classes-mask",
    } <= ids
    assert "accuracy-mask" not in ids  # a pixel of a tile is no place


def test_what_is_shown_of_days(make_class_run):
    page = _page(make_class_run(tiles=False))
    assert "60 January to March days, 2002-01-01 to 2002-03-01" in page.text["verdict"]
    ids = {attrs["id"] for attrs in page.all("figure") if "id" in attrs}
    assert {"samples-mask", "accuracy-mask", "by-season-mask-test"} <= ids
    assert "images-mask" not in ids
    assert re.search(r"of the (4|5|6)\d days that hold all 3 classes", page.text["where"])


def test_the_same_run_gives_the_same_bytes(make_class_run, painted):
    run = make_class_run(tiles=False)
    assert render(run).read_bytes() == render(run).read_bytes()


def test_markdown_has_the_same_pictures(make_class_run, painted):
    run = make_class_run()
    text = render(run, "md").read_text(encoding="utf-8")
    files = re.findall(r"!\[[^\n]*?\]\((figures/[^)]+)\)", text)
    assert len(files) == len(_page(run).all("img"))
    assert all((run / file).stat().st_size > 300 for file in files)
