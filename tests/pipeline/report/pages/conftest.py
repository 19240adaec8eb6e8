"""Pages as what a browser would read of them."""

import re
from html.parser import HTMLParser

import pytest

VOID = {"meta", "img", "source", "br", "link", "input"}


class Page(HTMLParser):
    """Tags with their attributes, text, and whether every tag was closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open, self.faults = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def words(self):
        return re.sub(r"\s+", " ", "".join(self.text))


@pytest.fixture(scope="session")
def read_page():
    """Return the reader of HTML text."""
    return Page
