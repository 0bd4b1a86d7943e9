"""examples/replay_backprop.py writes its three pages."""

import json
import re

import pytest

from examples import replay_backprop

pytestmark = pytest.mark.needs("graphviz", "pygraphviz")


def test_it_writes_the_three_pages_and_says_where(tmp_path, capsys):
    replay_backprop.main(["--out", str(tmp_path / "new")])
    pages = sorted((tmp_path / "new").iterdir())
    assert [page.name for page in pages] == ["cnn.html", "mlp.html", "neuron.html"]
    assert sorted(capsys.readouterr().out.split()) == [str(page) for page in pages]
    for page in pages:
        assert page.stat().st_size < 1_000_000
        data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)[1])
        assert data["title"] == "Backward pass of loss"
    labels = {value["label"] for value in json.loads(
        re.search(r'id="data">(.*?)</script>', pages[0].read_text("utf-8"), re.DOTALL)[1])["values"]}
    assert {"digit", "0.weight", "7.bias"} <= labels


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"replay_backprop: .*file"):
        replay_backprop.main(["--out", str(tmp_path / "file" / "below")])
