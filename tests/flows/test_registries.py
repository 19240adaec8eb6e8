"""The page of everything by name: whole, as the classes say it, and with the sources of what others thought of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.registries import SHELVES, registries, sources, summary

ROOT = Path(__file__).resolve().parents[2]
OURS = {"ablation", "flip_latitude", "flip_longitude", "longitude_shift", "patches", "deep_low", "threshold"}
ENTRIES = [(shelf, name) for shelf in SHELVES for name in shelf.registry.names()]


def test_the_page_is_what_the_classes_say():
    """Where this fails: finescale experiments names > docs/registry.md."""
    assert (ROOT / "docs/registry.md").read_text(encoding="utf-8") == registries()


def test_every_registry_of_the_product_is_on_it(registries):
    assert {id(shelf.registry) for shelf in SHELVES} <= {id(one) for one in registries}
    assert len(SHELVES) >= 10


@pytest.mark.parametrize(("shelf", "name"), ENTRIES, ids=lambda one: getattr(one, "title", one))
def test_an_entry_says_what_it_is_and_whose_it_is(shelf, name):
    kind = shelf.registry.get(name)
    assert len(summary(kind)) > 10
    if shelf.sourced and name not in OURS:
        assert sources(kind), f"{name}: name a DOI, an arXiv number or an address in its docstring"
    for one in sources(kind):
        assert re.fullmatch(r"doi:10\.\d{4,9}/\S+|arXiv:\d{4}\.\d{4,5}|https?://\S+", one), one


def test_sources_of_a_module_stand_in_for_those_of_a_class():
    from pipeline.metrics import METRICS

    assert sources(METRICS.get("rmse")) == ("doi:10.1016/C2017-0-03921-6",)
    assert sources(METRICS.get("crps_fair")) == ("doi:10.1002/qj.2270",)
    assert "doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2" in sources(METRICS.get("brier_r10_resolution"))
