"""The cards say what users of models and of data look for, as far as the run knows it."""

import re

import pytest

from pipeline.report import dois
from pipeline.report.load import load_run
from pipeline.report.render import render
from pipeline.report.sections import cards
from pipeline.report.study import study


@pytest.fixture(scope="module")
def found(whole_run):
    return study(load_run(whole_run))


def _facts(table):
    return {row[0].text: row[1].text for row in table.rows}


def test_a_model_card_has_the_headings_that_are_expected(found):
    card = dict(cards.model_card(found))
    for head in (
        "Model", "Kind", "Options", "Members", "Version", "Seeds", "Intended use", "Out of scope", "Predicts", "From",
        "Training data", "Chosen on", "Evaluation data", "Factors", "Result", "RMSE on test", "Error bars", "Limits",
        "Time and energy", "Terms",
    ):  # fmt: skip
        assert card[head] not in ("", None), head
    assert card["Version"] == "Finescale 0.1.0, commit 0123456789ab, fitted on 2026-01-02"
    assert card["Seeds"].startswith("1; ")
    assert "1982-12-01 to 1995-02-28" in card["Training data"]
    assert card["Time and energy"].endswith("energy was not measured")
    assert card["Terms"] == "learned from data under: non-commercial research; public domain"
    assert "months other than 12, 1, 2" in card["Out of scope"]


def test_each_dataset_has_a_card(found):
    tables = {table.caption: _facts(table) for table in cards.data_cards(found)}
    assert list(tables) == ["Data card of iberia-ncep.", "Data card of iberia-eobs."]
    coarse, fine = tables.values()
    assert coarse["Used for"] == "inputs"
    assert fine["Used for"] == "the truth"
    assert "1982-12-01 to 2002-02-28" in fine["Period and step"]
    assert "[K], 251 to 292" in coarse["Variables"]
    assert "kg m-2 s-1 to mm d-1" in coarse["Repairs on reading"]
    assert "40.1" in fine["Missing values"] or "40\u00a0%" in fine["Missing values"]
    assert fine["sha256"] == "ab" * 33 or set(fine["sha256"]) == {"a", "b"}
    assert fine["Where from"] == "1 file, 1,757,375 bytes, from: mirror"
    assert fine["Licence"] == "non-commercial research"


def test_a_run_that_knows_little_has_cards_without_gaps(make_run):
    run = make_run(attributions=False, diagnostics=False, predictions=False, history=False)
    for name in ("provenance.json", "work/ingest/summary.json"):
        (run / name).write_text("{}")
    for path in (run / "stages").glob("*.json"):
        path.unlink()
    bare = study(load_run(run))
    assert cards.data_cards(bare) == []
    card = dict(cards.model_card(bare))
    assert "Version" not in card
    assert card["Time and energy"].endswith("energy was not measured")
    assert not any(re.search(r"\bNone\b|\bnan\b", str(value)) for value in card.values())


def test_many_datasets_are_folded(make_run):
    run = make_run(
        attributions=False, diagnostics=False, predictions=False,
        provenance={"data": [{"dataset": f"data-{k}", "how": "synthetic"} for k in range(7)]},
    )  # fmt: skip
    blocks = cards.blocks(study(load_run(run)))
    assert [block.summary for block in blocks if hasattr(block, "summary")] == ["5 more datasets"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("doi:10.1002/joc.773; and doi:10.1002/joc.773.", ["https://doi.org/10.1002/joc.773"]),
        ("(https://doi.org/10.5194/hess-21-5293-2017)", ["https://doi.org/10.5194/hess-21-5293-2017"]),
        (
            "doi:10.1175/1520-0477(1996)077<0437:TNYRP>2.0.CO;2; Iturbide",
            ["https://doi.org/10.1175/1520-0477(1996)077%3C0437:TNYRP%3E2.0.CO;2"],
        ),
        ('doi:10.1000/a"onclick=x', []),
        ("doi:10.1/<script>", []),
        ("https://doi.org.evil.example/10.1000/a", []),
        ("doi:10.1000/../../x?y=1", []),
        ("javascript:10.1000/a", []),
        ("", []),
    ],
)
def test_dois_are_links_only_in_their_own_form(text, expected):
    assert [address for _, address in dois.links(text)] == expected


def test_a_citation_with_a_doi_has_a_link_in_both_formats(make_run):
    run = make_run(
        attributions=False, diagnostics=False, predictions=False,
        provenance={"data": [{"dataset": "a", "how": "mirror", "citation": "A paper, doi:10.1000/a(1)b"}]},
    )  # fmt: skip
    source = render(run).read_text(encoding="utf-8")
    assert '<a href="https://doi.org/10.1000/a(1)b" rel="noreferrer">10.1000/a(1)b</a>' in source
    assert "(https://doi.org/10.1000/a%281%29b)" in render(run, "md").read_text(encoding="utf-8")
