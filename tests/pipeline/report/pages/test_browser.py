"""Pages in a browser: nothing is asked of the network, nothing overflows, keys do what the mouse does."""

import json

import pytest

from pipeline.report.index import write_index
from pipeline.report.render import render
from tests.browser import FLAGS, chromium

A4_HEIGHT = 1017  # pixels between the margins


@pytest.fixture(scope="module")
def browser():
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        started = tool.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(whole_run):
    return render(whole_run)


@pytest.fixture
def visit(browser):
    """Return a function that opens a file and returns the page; said and asked for is checked at the end."""
    opened, said, asked = [], [], []

    def visit(path, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{path}")
        opened.append(context)
        return page

    yield visit
    for context in opened:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == len(opened)


def _open_all(page):
    page.eval_on_selector_all("details", "all => all.forEach((one) => { one.open = true; })")
    page.eval_on_selector_all(".explore", "all => all.forEach((one) => one.click())")
    page.wait_for_timeout(100)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_nothing_overflows(visit, report, width, scheme):
    page = visit(report, width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    _open_all(page)
    assert page.locator(".uplot canvas").count() >= 4
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_tables_are_sorted_by_keyboard(visit, report):
    page = visit(report)
    head = page.locator("#scores-tas-test thead th").nth(1)
    head.locator(".head").focus()
    keys = "cells => cells.map((cell) => Number(cell.dataset.key))"
    for press, way in (("Enter", "ascending"), (" ", "descending")):
        page.keyboard.press(press)
        assert head.get_attribute("aria-sort") == way
        values = page.eval_on_selector_all("#scores-tas-test tbody td:nth-child(2)", keys)
        assert values == sorted(values, reverse=way == "descending")


def test_theme_can_be_chosen_and_pictures_follow(visit, report):
    page = visit(report, color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(ground) != light
    assert page.locator("picture source").first.get_attribute("media") == "screen"
    page.locator("#theme").click()
    assert page.evaluate(ground) == light


def test_a_plot_is_read_and_zoomed_by_keyboard(visit, report):
    page = visit(report)
    panel = page.locator("#series-tas .panel")
    panel.locator(".explore").click()
    plot = panel.get_by_role("application")
    plot.focus()
    page.keyboard.press("ArrowRight")
    first = panel.locator("[aria-live]").text_content()
    assert first[:10].count("-") == 2
    assert "truth " in first
    assert "90 % band" in first.replace("\u00a0", " ")
    page.keyboard.press("Shift+ArrowRight")
    later = panel.locator("[aria-live]").text_content()
    assert later > first
    assert later[:10] in panel.locator(".readout").text_content()
    page.keyboard.press("+")
    assert panel.locator(".whole").is_visible()
    page.keyboard.press("Escape")
    assert panel.locator(".whole").is_hidden()
    panel.locator(".explore").click()
    assert panel.locator("img").is_visible()
    assert panel.locator("canvas").count() == 0


def test_a_plot_is_zoomed_by_dragging_and_back_by_a_double_click(visit, report):
    page = visit(report)
    panel = page.locator("#series-tas .panel")
    panel.locator(".explore").click()
    box = panel.locator(".u-over").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 100, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, middle, steps=5)
    page.mouse.up()
    assert panel.locator(".whole").is_visible()
    page.mouse.dblclick(box["x"] + 200, middle)
    assert panel.locator(".whole").is_hidden()
    page.mouse.move(box["x"] + 250, middle)
    assert "truth" in panel.locator(".readout").text_content()


def test_days_are_shown_one_by_one_and_all_at_once_and_on_paper(visit, report):
    page = visit(report)
    days = page.locator("figure[data-steps='days-tas']")
    shown = "all => all.map((one) => one.offsetHeight > 0)"
    assert days.evaluate_all(shown) == [True, False, False, False]
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert days.evaluate_all(shown) == [False, True, False, False]
    assert slider.get_attribute("aria-valuetext") == days.nth(1).get_attribute("data-step")
    page.get_by_role("button", name="Show all").click()
    assert all(days.evaluate_all(shown))
    page.get_by_role("button", name="Show one").click()
    page.emulate_media(media="print")
    assert all(days.evaluate_all(shown))


def test_without_scripts_all_figures_and_tables_are_there(visit, report):
    page = visit(report, java_script_enabled=False)
    pictures = page.locator("main picture")
    assert pictures.count() > 20
    assert all(box["width"] > 100 for box in (pictures.nth(k).bounding_box() for k in range(3)))
    assert page.locator("figure[data-steps]").count() == 4
    assert page.locator("figure[data-steps]").nth(3).is_visible()
    assert page.locator("#theme").is_hidden()
    assert page.locator("#scores-tas-test tbody tr").count() > 3


def test_focus_can_be_seen(visit, report):
    page = visit(report)
    page.locator("#series-tas .explore").click()
    outlines = []
    for selector in (".contents a", "#theme", ".head", ".download", ".zoomable", ".explore", ".plot", ".stepper input"):
        page.locator(selector).first.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")  # by keyboard, so that the browser shows it
        outlines.append(
            page.evaluate("(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle; })()")
        )
    assert set(outlines) == {"solid"}


def test_no_figure_is_higher_than_a_sheet_of_paper(visit, report):
    page = visit(report, 718)  # of A4 between its margins
    page.emulate_media(media="print")
    sizes = page.eval_on_selector_all(
        ".panel",
        "all => all.map((one) => { const box = one.getBoundingClientRect(); return [box.width, box.height]; })",
    )
    assert sizes
    assert all(height < A4_HEIGHT and width <= 719 for width, height in sizes)
    assert len(page.pdf(format="A4")) > 50_000


def test_runs_are_found_by_words_state_and_experiment(visit, tmp_path):
    for name, experiment in (
        ("quickstart-20260101T000000Z-aaaaaa", "quickstart"),
        ("nino34-20260201T000000Z-bbbbbb", "nino34"),
    ):
        (tmp_path / name / "stages").mkdir(parents=True)
        (tmp_path / name / "experiment.yaml").write_text(f"name: {experiment}\ntask: series\n")
    (tmp_path / name / "stages/fit.unfinished").write_text(json.dumps({"error": "no memory"}))
    page = visit(write_index(tmp_path), 360)
    rows = page.locator("#runs tbody tr")
    visible = "all => all.filter((one) => one.offsetHeight > 0).length"
    assert rows.evaluate_all(visible) == 2
    page.fill("#find", "MEMORY fit")
    assert rows.evaluate_all(visible) == 1
    assert page.locator("#count").text_content() == "1 of 2 runs"
    page.fill("#find", "")
    page.select_option("#experiment", "quickstart")
    assert rows.evaluate_all(visible) == 1
    page.select_option("#state", "failed")
    assert rows.evaluate_all(visible) == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
