"""What MkDocs is told beside mkdocs.yml: pages of the top folder, and files that pages link to, belong to the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"index.md": "README.md", "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
_UP = re.compile(r"\]\((?:\.\./)([^)#\s]+)(#[^)\s]*)?\)")
_IN = re.compile(r"\]\(docs/([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the top folder, and every file outside of docs/ that a page links to."""
    from mkdocs.structure.files import File

    for name, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=_IN.sub(r"](\1)", text)))
    linked = {
        found[0] for page in files.documentation_pages() for found in _UP.findall(page.content_string) if found[0]
    }
    for name in sorted(linked):
        if (ROOT / name).is_file():  # what is not there stays a link that leads nowhere, and ends the build
            files.append(File.generated(config, f"files/{name}", content=(ROOT / name).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links out of docs/ to the copies."""
    return _UP.sub(lambda found: f"](files/{found[1]}{found[2] or ''})", markdown)
