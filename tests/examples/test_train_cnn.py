"""The main job, on the digits that ship with the project, in one short epoch."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

import datasets
import nn
from examples import train_cnn

PICTURES = {"confusion_matrix.png", "feature_maps.png", "graph.png", "history.png", "kernels.png", "predictions.png"}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, what was printed, accuracy) of one epoch."""
    out = tmp_path_factory.mktemp("digits") / "new" / "folder"
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *parts: lines.append(" ".join(map(str, parts))))
        accuracy = train_cnn.main(["--epochs", "1", "--batch-size", "100", "--out", str(out)])
    return out, "\n".join(lines), accuracy


needs_extras = pytest.mark.needs("matplotlib", "graphviz", "pygraphviz", "safetensors", "tqdm")


@needs_extras
def test_it_prints_the_summary_first_and_the_accuracy_at_the_end(run):
    out, printed, accuracy = run
    assert printed.startswith("layer ")
    assert "20,490" in printed
    *_, verdict, files = printed.splitlines()
    assert re.fullmatch(r"test accuracy [01]\.\d{4}", verdict)
    assert float(verdict.split()[-1]) == pytest.approx(accuracy, abs=5e-5)
    assert files.startswith(f"files in {out}: ")


@needs_extras
def test_one_epoch_reads_most_digits(run):
    assert run[2] > 0.8


@needs_extras
def test_all_pictures_are_written(run):
    out, _, _ = run
    assert {path.name for path in out.iterdir()} == PICTURES | {"graph.svg", "model.safetensors"}
    for name in PICTURES:
        assert (out / name).read_bytes().startswith(PNG), name
    graph = (out / "graph.svg").read_text()
    for label in ("conv2d", "max_pool2d", "0.weight", "(1, 28, 28, 1) float32", "image"):
        assert label in graph


@needs_extras
def test_the_saved_model_has_the_accuracy_that_was_printed(run):
    out, _, accuracy = run
    model = nn.models.small()
    nn.load(model, out / "model.safetensors")
    test = datasets.load("mnist-small", split="test")
    logits = nn.predict(model, test.images)
    assert np.mean(logits.argmax(axis=1) == test.labels) == pytest.approx(accuracy)


@needs_extras
def test_a_folder_that_cannot_be_written_is_found_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(train_cnn, "load", lambda *args: pytest.fail("went on to load the data"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"train_cnn: cannot write to --out .*file.*choose another folder"):
        train_cnn.main(["--out", str(tmp_path / "file" / "below")])


@needs_extras
def test_a_dataset_that_is_not_there_ends_with_its_missing_files(tmp_path):
    with pytest.raises(SystemExit, match=r"train_cnn: .*train-images"):
        train_cnn.main(["--dataset", "mnist", "--root", str(tmp_path), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize("option", [["--epochs", "0"], ["--batch-size", "-1"], ["--lr", "0"], ["--lr", "nan"],
                                    ["--lr", "fast"], ["--epochs", "x"],
                                    ["--seed", "-1"],
                                    ["--model", "huge"], ["--dataset", "faces"]])
def test_bad_options_are_refused_by_name(option, capsys):
    with pytest.raises(SystemExit):
        train_cnn.main(option)
    assert f"argument {option[0]}" in capsys.readouterr().err


@needs_extras
@pytest.mark.parametrize("name", ["lenet", "cifar"])
def test_the_other_models_and_datasets_have_all_their_pictures(name, tmp_path):
    shape = (32, 32, 3) if name == "cifar" else (28, 28, 1)
    rng = np.random.default_rng(0)
    data = datasets.Dataset(rng.integers(256, size=(8, *shape), dtype=np.uint8), np.arange(8) % 10,
                            tuple("abcdefghij"), "made up", "test")
    model = train_cnn.MODELS[name](shape, 10, rng=0)
    history = nn.fit(model, datasets.DataLoader(data, batch_size=8), epochs=1)
    train_cnn.write_pictures(model, history, data, tmp_path)
    for name in PICTURES:
        assert (tmp_path / name).read_bytes().startswith(PNG), name


@needs_extras
def test_a_training_interrupted_in_its_first_epoch_keeps_the_model_and_the_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train_cnn, "train", lambda model, data, options: nn.History())
    assert train_cnn.main(["--out", str(tmp_path)]) < 0.5
    written = {path.name for path in tmp_path.iterdir()}
    assert written == (PICTURES - {"history.png"}) | {"graph.svg", "model.safetensors"}
    assert "test accuracy 0." in capsys.readouterr().out


def test_a_missing_extra_is_named_before_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setattr(train_cnn, "load", lambda *args: pytest.fail("went on to load the data"))
    with pytest.raises(SystemExit, match=r"train_cnn needs the package safetensors: pip install 'im2grad\[plot\]'"):
        train_cnn.main(["--out", str(tmp_path)])


@needs_extras
def test_a_folder_in_the_place_of_the_model_is_found_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(train_cnn, "load", lambda *args: pytest.fail("went on to load the data"))
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(SystemExit, match=r"cannot write to --out .*: model\.safetensors in it is a folder"):
        train_cnn.main(["--out", str(tmp_path)])
