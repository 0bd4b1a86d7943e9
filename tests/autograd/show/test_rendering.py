"""Pictures come out as files and in notebooks, with Graphviz's `dot` and without it."""

import io
import json
import os
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import autograd as ag
from autograd.show import draw
from autograd.show.rendering import digraph_class

pytestmark = pytest.mark.needs("graphviz")
STARTS = {"svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-"}


@pytest.fixture
def picture():
    a = ag.Scalar(2.0)
    return draw(a * a, names={"a": a})


@pytest.fixture
def no_dot(monkeypatch, tmp_path):
    """A PATH on which there is no dot, whatever this machine has."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))


FAKE_DOT = f"""#!{sys.executable}
import json, pathlib, sys
options = sys.argv[1:]
here = pathlib.Path(__file__).parent
(here / "called.json").write_text(json.dumps(options))
if "-o" in options:
    source = pathlib.Path(options[-1]).read_text()
    pathlib.Path(options[options.index("-o") + 1]).write_text("drawn by dot: " + source)
else:
    print("drawn by dot: " + sys.stdin.read(), end="")
"""


@pytest.fixture
def fake_dot(monkeypatch, tmp_path):
    """A PATH with a `dot` that only says what it was called with and what it was given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    dot = folder / "dot"
    dot.write_text(FAKE_DOT)
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return lambda: json.loads((folder / "called.json").read_text())


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_it_is_a_graphviz_digraph(picture):
    import graphviz

    assert isinstance(picture, graphviz.Digraph)
    assert type(picture) is digraph_class()
    assert type(picture.copy()) is digraph_class()
    assert picture.copy().source == picture.source


@pytest.mark.needs("pygraphviz")
@pytest.mark.usefixtures("no_dot")
class TestWithoutDot:
    @pytest.mark.parametrize("format", STARTS)
    def test_pipe_gives_the_bytes_of_a_real_picture(self, picture, format):
        drawn = picture.pipe(format=format)
        assert drawn.startswith(STARTS[format])
        assert len(drawn) > 1000

    def test_the_svg_says_what_the_graph_says(self, picture):
        svg = picture.pipe(format="svg", encoding="utf-8")
        drawn = ["a", "value 2", "gradient not computed", "*", "value 4", "gradient not computed"]
        legend = ["parameter", "output", "op"]
        assert sorted(text.strip("\xa0 ") for text in texts(svg)) == sorted(drawn + legend)

    @pytest.mark.needs("matplotlib")
    def test_the_png_has_the_colours_of_the_boxes(self, picture):
        from matplotlib.image import imread

        pixels = (imread(io.BytesIO(picture.pipe(format="png")))[..., :3] * 255).round().astype(int)
        for colour in ([0xD9, 0xEA, 0xD3], [0xCF, 0xE2, 0xF3], [0xFF, 0xF2, 0xCC]):  # leaf, op, output
            assert (pixels == colour).all(axis=-1).mean() > 0.02

    @pytest.mark.parametrize("format", STARTS)
    def test_render_writes_the_outfile_and_cleanup_takes_the_source_away(self, picture, tmp_path, format):
        path = picture.render(outfile=tmp_path / f"graph.{format}", cleanup=True)
        assert path == str(tmp_path / f"graph.{format}")
        assert Path(path).read_bytes().startswith(STARTS[format])
        assert {p.name for p in tmp_path.iterdir()} == {"empty", f"graph.{format}"}

    def test_render_leaves_the_source_beside_the_picture(self, picture, tmp_path):
        picture.render(outfile=tmp_path / "graph.svg")
        assert (tmp_path / "graph.gv").read_text(encoding="utf-8") == picture.source

    def test_render_by_the_name_of_the_source(self, picture, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        path = picture.render("graph.gv", directory="pictures", format="png")
        assert path == os.path.join("pictures", "graph.gv.png")
        assert Path("pictures/graph.gv.png").read_bytes().startswith(STARTS["png"])
        assert Path("pictures/graph.gv").read_text(encoding="utf-8") == picture.source

    def test_view_opens_the_file_that_was_rendered(self, picture, tmp_path, monkeypatch):
        opened = []
        monkeypatch.setattr("graphviz.view", opened.append)
        path = picture.render(outfile=tmp_path / "graph.svg", view=True)
        assert opened == [path]

    def test_a_notebook_shows_svg(self, picture):
        bundle = picture._repr_mimebundle_()
        assert bundle.keys() == {"image/svg+xml"}
        assert {"a", "value 2"} <= set(texts(bundle["image/svg+xml"]))

    def test_a_notebook_that_asks_for_png_gets_it(self, picture):
        bundle = picture._repr_mimebundle_(include=["image/png"])
        assert bundle["image/png"].startswith(STARTS["png"])

    def test_a_title_tells_scope_and_what_the_op_does(self):
        x = ag.Tensor([1.0], requires_grad=True)
        with ag.scope("net/encoder"):
            y = ag.tanh(x)
        root = ET.fromstring(draw(y, names={"x": x}).pipe(format="svg", encoding="utf-8"))
        titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
        about = ag.tanh.__doc__.strip().splitlines()[0]
        line = ag.tanh.forward.__code__.co_firstlineno
        assert f"tanh\n{about}\nnet/encoder\nautograd.ops.elementwise, line {line}" in titles
        assert "net/encoder\n1 op" in titles
        assert not list(root.iter("{http://www.w3.org/2000/svg}a"))  # a link leads nowhere

    def test_lines_of_a_box_are_anchored_in_its_middle(self, picture):
        root = ET.fromstring(picture.pipe(format="svg", encoding="utf-8"))
        nodes = [group for group in root.iter("{http://www.w3.org/2000/svg}g") if group.get("class") == "node"]
        for node in nodes:
            [outline, *_] = [part for part in node if part.tag.endswith(("polygon", "path"))]
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", outline.get("points") or outline.get("d"))][::2]
            for text in node.iter("{http://www.w3.org/2000/svg}text"):
                assert text.get("text-anchor") == "middle"
                assert float(text.get("x")) == pytest.approx((min(numbers) + max(numbers)) / 2, abs=0.01)
        assert len(nodes) == 3

    def test_html_is_one_file_with_the_picture_and_nothing_from_elsewhere(self, picture, tmp_path):
        path = picture.render(outfile=tmp_path / "graph.html", cleanup=True)
        assert {p.name for p in tmp_path.iterdir()} == {"empty", "graph.html"}
        page = Path(path).read_text(encoding="utf-8")
        assert page.startswith("<!DOCTYPE html>")
        svg = page[page.index("<svg"):page.index("</svg>") + 6]
        assert "value 2" in [text.replace("\xa0", " ") for text in texts(svg)]
        assert set(re.findall(r"https?://[^\"'\s)]+", page)) <= {
            "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # the names of languages, which none asks for
        assert "$" not in re.sub(r"\$\{", "", page)  # nothing of the template is left

    def test_dot_is_the_source(self, picture, tmp_path):
        path = picture.render(outfile=tmp_path / "graph.dot", cleanup=True)
        assert Path(path).read_text(encoding="utf-8") == picture.source
        assert picture.pipe("dot", encoding="utf-8") == picture.source

    def test_a_notebook_that_shows_html_or_svg_gets_the_picture(self, picture):
        assert picture._repr_svg_().startswith("<?xml")
        shown = picture._repr_html_()
        assert shown.startswith('<div style="overflow: auto')
        assert {"a", "value 2"} <= {text.replace("\xa0", " ") for text in texts(shown[shown.index("<svg"):-6])}

    def test_a_file_that_cannot_be_written_leaves_the_old_one(self, picture, tmp_path, monkeypatch):
        (tmp_path / "graph.svg").write_text("precious")
        monkeypatch.setattr(os, "replace", lambda draft, path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            picture.render(outfile=tmp_path / "graph.svg")
        assert (tmp_path / "graph.svg").read_text() == "precious"

    def test_an_unknown_format_is_named_and_nothing_is_written(self, picture, tmp_path):
        with pytest.raises(ValueError, match=r"draw: .*cannot make the format 'xyz' with the engine 'dot'; svg, png"):
            picture.render(outfile=tmp_path / "graph.xyz")
        assert {p.name for p in tmp_path.iterdir()} == {"empty"}

    def test_what_only_dot_can_do_is_refused_and_not_ignored(self, picture, tmp_path):
        (tmp_path / "graph.svg").write_text("precious")
        with pytest.raises(ValueError, match="draw: raise_if_result_exists: only Graphviz's `dot` can do that"):
            picture.render(outfile=tmp_path / "graph.svg", raise_if_result_exists=True)
        assert (tmp_path / "graph.svg").read_text() == "precious"

    def test_with_no_graphviz_at_all_both_ways_are_named(self, picture, monkeypatch):
        monkeypatch.setitem(sys.modules, "pygraphviz", None)  # as if it were not installed
        message = r"Graphviz's `dot` is not on the PATH needs the package pygraphviz: pip install 'im2grad\[plot\]'"
        with pytest.raises(ImportError, match=message):
            picture.pipe(format="svg")


class TestWithDot:
    def test_pipe_hands_the_source_to_dot(self, picture, fake_dot):
        assert picture.pipe(format="svg", encoding="utf-8") == f"drawn by dot: {picture.source}"
        assert fake_dot() == ["-Kdot", "-Tsvg"]

    def test_html_holds_what_dot_has_drawn(self, picture, fake_dot, tmp_path):
        path = picture.render(outfile=tmp_path / "graph.html", cleanup=True)
        assert "drawn by dot: digraph" in Path(path).read_text(encoding="utf-8")
        assert "drawn by dot: digraph" in picture._repr_html_()
        assert fake_dot() == ["-Kdot", "-Tsvg"]

    def test_render_has_dot_write_the_file(self, picture, fake_dot, tmp_path):
        path = picture.render(outfile=tmp_path / "graph.pdf", cleanup=True)
        assert Path(path).read_text() == f"drawn by dot: {picture.source}"
        assert fake_dot()[:2] == ["-Kdot", "-Tpdf"]

    def test_a_notebook_is_served_by_dot(self, picture, fake_dot):
        assert picture._repr_mimebundle_()["image/svg+xml"].startswith("drawn by dot: ")
        assert fake_dot() == ["-Kdot", "-Tsvg"]

    def test_pygraphviz_is_not_needed(self, picture, fake_dot, monkeypatch):
        monkeypatch.setitem(sys.modules, "pygraphviz", None)
        assert picture.pipe(format="png").startswith(b"drawn by dot: ")


def test_without_the_package_graphviz_draw_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    digraph_class.cache_clear()
    with pytest.raises(ImportError, match=r"ag\.draw needs the package graphviz: pip install 'im2grad\[plot\]'"):
        draw(ag.Scalar(1.0))
