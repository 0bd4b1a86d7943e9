"""docs/README.md and the tutorial's page: every link leads somewhere, and every page is in the index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["README.md", "tutorial/README.md"])
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (DOCS / page).read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (DOCS / page).parent.joinpath(link).exists()] == []


def test_the_index_names_every_page():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path != DOCS / "README.md"]
    assert [page for page in pages if f"({page})" not in index] == []
    assert "docs/reference.py" in index


def test_the_tutorials_page_names_every_notebook():
    text = (DOCS / "tutorial" / "README.md").read_text(encoding="utf-8")
    notebooks = [path.name for path in (DOCS / "tutorial").glob("*.ipynb")]
    assert len(notebooks) == 6
    assert [name for name in notebooks if f"({name})" not in text] == []
