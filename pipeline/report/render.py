"""Writes the report of a run: one HTML file that opens from disk, or Markdown with its figures beside it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import ConfigError
from pipeline.files import write_atomic
from pipeline.report import markdown, page_size
from pipeline.report.load import load_run
from pipeline.report.sections import Section, contents, verdict
from pipeline.report.study import Study, study

FORMATS = ("html", "md")
_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
DARK_MEDIA = "screen and (prefers-color-scheme: dark)"


def render(run: Path, format: Literal["html", "md"] = "html") -> Path:
    """Write the report of the run folder ``run`` into it.

    Parameters
    ----------
    run : Path
        A run folder whose scores are written.
    format : {"html", "md"}
        ``html``: ``report.html``, one file that asks the network for nothing. ``md``: ``report.md``
        with its figures in ``figures/``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigError
        If ``format`` is neither.
    RunFolderError
        If the folder is no run, or one without scores of a test set.
    """
    if format not in FORMATS:
        raise ConfigError(f"expected a format of {' or '.join(FORMATS)}, got {format!r}.")
    found = study(load_run(run))
    if format == "md":
        return markdown.write(found)
    path = Path(run) / "report.html"
    with write_atomic(path) as temporary:
        temporary.write_text(html(found), encoding="utf-8")
    return path


def html(found: Study) -> str:
    """Return the report as one HTML page."""
    from markupsafe import Markup

    from pipeline import __version__

    name = found.run.path.resolve().name
    first, page = verdict.build(found), template("report.html.j2")

    def write(sections: Sequence[Section]) -> str:
        named = [(figure.name, figure.pictures) for part in sections for figure in page_size.figures(part.blocks)]
        plots = page_size.plots([("verdict", first.pictures), *named])
        styles, scripts = [package_file("report.css")], [package_file("page.js"), package_file("report.js")]
        if plots:
            styles.append(package_file("uPlot.min.css"))
            scripts += [package_file("uPlot.iife.min.js"), package_file("plots.js")]
        text = page.render(
            title=f"{found.run.experiment.get('name') or name}: report",
            run=name,
            version=__version__,
            csp=policy(styles, scripts),
            styles=[Markup(style) for style in styles],  # noqa: S704  (our own files, no data in them)
            scripts=[Markup(script) for script in scripts],  # noqa: S704
            plots=Markup(plots),  # noqa: S704  (JSON in which no "<" is left)
            verdict=first,
            sections=sections,
        )
        return str(text)

    return page_size.fitting(contents.sections(found), write)


def environment() -> Any:
    """Return the Jinja environment of our pages: templates of this package, everything escaped, no unknown names."""
    import jinja2

    made = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=False,
        loader=jinja2.FunctionLoader(package_file),
    )
    made.globals["dark_media"] = DARK_MEDIA
    made.filters["data_uri"] = data_uri
    made.filters["words"] = words
    made.filters["kind"] = lambda block: type(block).__name__
    return made


def template(name: str) -> Any:
    """Return a template of this package."""
    return environment().get_template(name)


def policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """Return a content security policy that lets in nothing but this page's own styles, scripts and images."""
    own = (" ".join(f"'{_digest(text)}'" for text in texts) for texts in (styles, scripts))
    return (
        "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'"
    ).format(*own)


def words(text: str) -> Any:
    """Return text as HTML whose dates do not break over lines.

    Examples
    --------
    >>> str(words("a < b on 1997-12-01"))
    'a &lt; b on <span class="date">1997-12-01</span>'
    """
    from markupsafe import Markup, escape

    return Markup(_DATE.sub(r'<span class="date">\g<0></span>', str(escape(text))))  # noqa: S704  (escaped before)


def data_uri(content: bytes, mime: str) -> str:
    """Return ``content`` as a ``data:`` URI."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def package_file(name: str) -> str:
    """Return a template, style sheet or script of this package."""
    source: Any = resources.files("pipeline.report") / "templates" / name
    return str(source.read_text(encoding="utf-8"))
