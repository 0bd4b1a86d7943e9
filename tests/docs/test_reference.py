"""The API reference as docs/reference.py builds it: every public name, its docstring, no broken link."""

from __future__ import annotations

import html
import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

import autograd as ag

ROOT = Path(__file__).parents[2]
PAGES = {"autograd", "nn", "nn.functional", "nn.init", "nn.inspection", "nn.models", "nn.optim", "nn.plot", "datasets"}
NAMES = [(page, name) for page in sorted(PAGES) for name in importlib.import_module(page).__all__
         if not isinstance(getattr(importlib.import_module(page), name), ModuleType)]
pytestmark = pytest.mark.needs("pdoc")


class Page(HTMLParser):
    """Anchors, links, and the text within each element that has an anchor of its own."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.ids.add(attrs["id"])
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
        for name in ("src", "href"):
            if tag in ("img", "script", "link") and name in attrs:
                self.links.append(attrs[name])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("reference")
    done = subprocess.run([sys.executable, "-W", "error", ROOT / "docs" / "reference.py", out], cwd=ROOT,
                          env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out


def page_of(folder, module):
    return (folder / f"{module.replace('.', '/')}.html").read_text(encoding="utf-8")


def section(text, name):
    """What stands under a name, as plain text."""
    [found] = re.findall(rf'<section id="{name}">(.*?)</section>', text, re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", found)).split())


def first_line(value):
    return " ".join(value.__doc__.strip().splitlines()[0].split())


def test_it_has_these_pages_and_every_public_module_is_one_of_them(folder):
    pages = {path.relative_to(folder).with_suffix("").as_posix().replace("/", ".") for path in folder.rglob("*.html")}
    assert pages == PAGES | {"index"}
    public = [f"{page}.{name}" for page in ("autograd", "nn", "datasets")
              for name in importlib.import_module(page).__all__
              if isinstance(getattr(importlib.import_module(page), name), ModuleType)]
    assert set(public) <= PAGES


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{module}.{name}" for module, name in NAMES])
def test_each_public_name_has_an_anchor_and_its_docstring(folder, module, name):
    value = getattr(importlib.import_module(module), name)
    assert value.__doc__, f"{module}.{name} has no docstring"
    shown = section(page_of(folder, module), name)
    plain = re.sub(r"[`\\]", "", first_line(value))
    assert plain in shown.replace("`", "")


def test_an_op_is_shown_as_a_function_with_its_arguments_and_its_example(folder):
    assert isinstance(ag.conv2d, ag.Op)
    shown = section(page_of(folder, "autograd"), "conv2d")
    assert re.search(r"def conv2d\( ?x, w, b=None, stride=1, padding=0, dilation=1, groups=1, method='auto' ?\)", shown)
    assert ">>> x = ag.Tensor(np.ones((1, 4, 4, 1)))" in shown
    assert "autograd/ops/conv.py:" in shown


def test_what_only_the_engine_asks_of_a_forward_is_not_shown(folder):
    signatures = re.findall(r'<span class="signature.*?\n', page_of(folder, "autograd"))
    assert len(signatures) > 100
    assert [signature for signature in signatures if "need_aux" in signature] == []


def test_annotations_stand_as_they_are_written(folder):
    shown = section(page_of(folder, "autograd"), "Tensor")
    assert "dtype: DTypeLike | None" in shown
    assert "Union[" not in shown


def test_an_attribute_that_is_called_like_a_function_does_not_lead_to_it(folder):
    text = page_of(folder, "autograd")
    assert "`.grad`" in ag.Tensor.__doc__
    assert "<code>.grad</code>" in html.unescape(text)
    assert '<a href="#grad">.grad' not in text


def test_a_class_shows_how_it_is_made_and_its_documented_methods(folder):
    page = Page(page_of(folder, "nn"))
    assert {"Conv2d.__init__", "Module.parameters", "Module.state_dict"} <= page.ids
    assert "in_channels: int, out_channels: int" in section(page_of(folder, "nn"), "Conv2d")


def test_the_columns_of_a_docstring_become_a_table(folder):
    text = page_of(folder, "autograd")
    assert '<td><code>rtol, atol</code></td>' in text


def test_no_link_within_it_is_broken_and_none_needs_the_network(folder):
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if link.startswith(("data:", "https://pdoc.dev")):
                continue
            target, _, anchor = link.partition("#")
            file = (path.parent / target).resolve() if target else path
            if "://" in link or not file.exists() or (anchor and file in pages and anchor not in pages[file].ids):
                broken.append(f"{path.name}: {link}")
    assert broken == []
    assert sum(len(page.links) for page in pages.values()) > 500


def test_the_index_names_every_page(folder):
    links = Page((folder / "index.html").read_text(encoding="utf-8")).links
    assert {f"{page.replace('.', '/')}.html" for page in PAGES} <= set(links)
