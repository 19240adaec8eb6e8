"""Figures: each a function from records to a :class:`Picture`, drawn at its size, light and dark."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.report.figures.behind import Data
from pipeline.report.figures.plot import Plot


@dataclass(frozen=True)
class Picture:
    """One panel, in both themes.

    Parameters
    ----------
    light, dark : bytes
        The image files.
    mime : {"image/svg+xml", "image/webp"}
        Their type.
    width, height : int
        Size on the page [px]; WebP images have twice as many pixels.
    alt : str
        The finding, for those who do not see it.
    title : str
        A few words above the panel.
    data : Data, optional
        The numbers that are drawn.
    plot : Plot, optional
        What a browser draws in its place, to zoom and to read values.
    """

    light: bytes
    dark: bytes
    mime: str
    width: int
    height: int
    alt: str
    title: str = ""
    data: Data | None = field(default=None, compare=False)
    plot: Plot | None = field(default=None, compare=False)

    @property
    def suffix(self) -> str:
        """File name suffix."""
        return ".svg" if self.mime == "image/svg+xml" else ".webp"
