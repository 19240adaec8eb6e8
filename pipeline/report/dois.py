"""DOIs in citations, as links: only those of a known form, and only to doi.org."""

from __future__ import annotations

import re
from urllib.parse import quote

_MENTION = re.compile(r"(?:doi:\s*|https?://(?:dx\.)?doi\.org/)(\S+)", re.IGNORECASE)
_FORM = re.compile(r"10\.\d{4,9}/[-._;()/:<>A-Za-z0-9]*[A-Za-z0-9]")


def links(citation: str) -> tuple[tuple[str, str], ...]:
    """Return every DOI that a citation names, each once, and its address; what is no DOI by its form is left out.

    Examples
    --------
    >>> links("A paper, doi:10.1002/joc.773; another (https://doi.org/10.5194/hess-21-5293-2017).")[0]
    ('10.1002/joc.773', 'https://doi.org/10.1002/joc.773')
    >>> links('doi:10.1/<script>, doi:10.1000/"x"')
    ()
    """
    found: dict[str, str] = {}
    for word in _MENTION.findall(citation):
        doi = word.rstrip(".,;")
        while doi.endswith(")") and doi.count(")") > doi.count("("):
            doi = doi[:-1].rstrip(".,;")
        if _FORM.fullmatch(doi):
            found.setdefault(doi, f"https://doi.org/{quote(doi, safe='/;()._-:')}")
    return tuple(found.items())
