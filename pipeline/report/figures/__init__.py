"""Figures: each a function from records to a :class:`Picture`, drawn at its size, light and dark."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    light: bytes
    dark: bytes
    mime: str
    width: int
    height: int
    alt: str
    title: str = ""

    @property
    def suffix(self) -> str:
        """File name suffix."""
        return ".svg" if self.mime == "image/svg+xml" else ".webp"
