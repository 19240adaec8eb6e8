"""Pages of the report without the time that painting their maps takes."""

from pathlib import Path

import pytest

PAGES = Path(__file__).parent / "report"


@pytest.fixture(scope="module", autouse=True)
def blank(request):
    """Maps are laid out and not painted: a third of a page's time, and tests of words cannot tell.

    A module of tests that look at maps says ``PAINTED = True``.
    """
    if not request.path.is_relative_to(PAGES) or getattr(request.module, "PAINTED", False):
        yield
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    def dot(canvas, into, **options):
        Image.new("RGBA", (1, 1)).save(into, format="webp", lossless=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FigureCanvasAgg, "painted", FigureCanvasAgg.print_webp, raising=False)
        patch.setattr(FigureCanvasAgg, "print_webp", dot)
        yield


@pytest.fixture
def painted(blank, monkeypatch):
    """Maps are painted, whatever the module does."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    monkeypatch.setattr(FigureCanvasAgg, "print_webp", FigureCanvasAgg.painted)
