"""Every picture of nn.plot for a trained model, at its smallest."""

from __future__ import annotations

import re

import numpy as np
import pytest

import datasets
import nn
from examples import look_inside

pytestmark = pytest.mark.needs("matplotlib", "safetensors")

PNG = b"\x89PNG\r\n\x1a\n"
ALWAYS = {"predictions", "confusion_matrix", "kernels", "feature_maps", "feature_maps_0", "saliency",
          "saliency_smoothgrad", "integrated_gradients", "grad_cam", "histograms"}


@pytest.fixture
def few_digits(monkeypatch):
    """300 digits to train on and 40 to look at, in place of all of them."""
    load = datasets.load
    monkeypatch.setattr(look_inside.datasets, "load", lambda name, split: load(name, split=split)[
        : 300 if split == "train" else 40])


def test_it_trains_and_tells_of_each_picture_what_to_see_and_the_model_can_be_looked_into_again(
        tmp_path, few_digits, capsys, monkeypatch):
    # that pictures can be drawn is seen in tests/nn/plot; here it would take most of the time, as would many filters
    excitation = nn.plot.activation_maximization
    monkeypatch.setattr(nn.plot, "activation_maximization", lambda *args, **settings: excitation(
        *args, **{**settings, "n": 2, "top": 1, "steps": 2}))
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path: path.write_bytes(PNG))
    out = tmp_path / "new" / "folder"
    written = look_inside.main(["--epochs", "1", "--out", str(out)])
    assert {path.stem for path in written} == ALWAYS | {"history", "excitation_8", "excitation_11"}
    first, *lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"40 digits that it has not seen: \d+\.\d% right", first)
    for path, line in zip(written, lines, strict=True):
        assert path.read_bytes().startswith(PNG)
        assert line.startswith(f"{path}: ")
        assert len(line) > len(f"{path}: ") + 10

    def fail(*args, **kwargs):
        pytest.fail("trained although a model was given")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn, "fit", fail)
        patch.setattr(look_inside, "pictures", lambda model, history, test, seed: iter(()))
        look_inside.main(["--model", str(out / "model.safetensors"), "--out", str(tmp_path)])
    assert capsys.readouterr().out.splitlines()[0] == first


def test_a_model_with_other_layers_says_what_network_is_for(tmp_path, few_digits):
    nn.save(nn.models.small(rng=0), tmp_path / "small.safetensors")
    with pytest.raises(SystemExit, match=r"look_inside: [\s\S]*missing: [\s\S]*\n--network says which layers"):
        look_inside.main(["--model", str(tmp_path / "small.safetensors"), "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"look_inside: nn\.load: .*none\.safetensors does not exist"):
        look_inside.main(["--model", str(tmp_path / "none.safetensors"), "--out", str(tmp_path)])


def test_a_model_of_train_cnn_can_be_looked_into(tmp_path, few_digits):
    model = nn.models.small(rng=0)
    nn.save(model, tmp_path / "small.safetensors")
    options = look_inside.parse(["--model", str(tmp_path / "small.safetensors"), "--network", "small"])
    train = look_inside.datasets.load("mnist-small", split="train")
    loaded, history = look_inside.trained(options, train, train)
    assert history is None
    assert all(np.array_equal(a.data, b.data) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))


def test_a_folder_that_cannot_be_written_is_found_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(look_inside, "trained", lambda *args: pytest.fail("went on to train"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"look_inside: cannot write to --out .*file.*choose another folder"):
        look_inside.main(["--out", str(tmp_path / "file" / "below")])


@pytest.mark.parametrize("option", [["--epochs", "0"], ["--images", "0"], ["--seed", "-1"], ["--network", "huge"]])
def test_bad_options_are_refused_by_name(option, capsys):
    with pytest.raises(SystemExit):
        look_inside.main(option)
    assert f"argument {option[0]}" in capsys.readouterr().err
