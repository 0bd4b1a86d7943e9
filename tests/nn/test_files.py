"""Files: what is saved comes back bit by bit, and an error loses nothing."""

import json
import os
import re
import struct
import sys

import numpy as np
import pytest

import autograd as ag
import nn

pytestmark = pytest.mark.needs("safetensors")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def _decoded(path):
    """The arrays of a safetensors file, read by the format's description: header length, JSON header, bytes."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    types = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I8": "i1", "I32": "<i4", "I64": "<i8", "U8": "u1", "BOOL": "?",
             "C64": "<c8"}
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            raw = data[8 + length + start : 8 + length + end]
            arrays[name] = np.frombuffer(raw, types[entry["dtype"]]).reshape(entry["shape"])
    return arrays, header.get("__metadata__")


_ODD_ARRAYS = {
    "transposed": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    "every other": np.arange(10.0)[::2],
    "backwards": np.arange(5)[::-1],
    "a column": np.arange(12, dtype=np.float32).reshape(3, 4)[:, 1:2],
    "in Fortran's order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "broadcast": np.broadcast_to(np.float32(7), (2, 3)),
    "big endian": np.arange(4, dtype=">f4"),
    "no axes": np.array(3.5, np.float64),
    "empty": np.zeros((0, 3), np.float32),
    "half": np.array([1.5, -2.0], np.float16),
    "bool": np.array([True, False]),
    "int8": np.array([-128, 127], np.int8),
    "uint8": np.array([0, 255], np.uint8),
    "int32": np.array([[-5]], np.int32),
    "int64": np.array([2**62]),
    "complex": np.array([1 + 2j], np.complex64),
}


@pytest.mark.parametrize("name", _ODD_ARRAYS)
def test_arrays_of_every_kind_and_stride_come_back(name, path):
    array = _ODD_ARRAYS[name]
    nn.save({name: array}, path)
    in_file = _decoded(path)[0][name]
    (back,) = nn.read_state(path)[0].values()
    for found in (in_file, back):
        assert found.shape == array.shape
        assert found.dtype == array.dtype.newbyteorder("=")
        assert found.tolist() == array.tolist()


def test_what_is_read_is_writable_and_apart_from_the_file(path):
    nn.save({"w": np.zeros(3)}, path)
    state, _ = nn.read_state(path)
    state["w"] += 1
    assert nn.read_state(path)[0]["w"].tolist() == [0, 0, 0]


def test_a_model_comes_back(path):
    def build(seed):
        return nn.Sequential(nn.Conv2d(1, 2, 3, rng=seed), nn.BatchNorm2d(2), nn.Flatten(), nn.Dense(8, 3, rng=seed))

    model, twin = build(0), build(1)
    x = np.random.default_rng(0).normal(size=(5, 4, 4, 1)).astype(np.float32)
    model(x)  # moves the running averages
    nn.save(model, path)
    weight = twin[0].weight
    assert nn.load(twin, path) is twin
    assert twin[0].weight is weight
    assert np.array_equal(twin.eval()(x).data, model.eval()(x).data)


def test_tied_weights_are_written_once_and_stay_tied(path):
    def build():
        model = nn.Sequential(nn.Dense(3, 3), nn.Dense(3, 3))
        model[1].weight = model[0].weight
        return model

    model, twin = build(), build()
    nn.save(model, path)
    assert sorted(_decoded(path)[0]) == ["0.bias", "0.weight", "1.bias"]
    nn.load(twin, path)
    assert twin[1].weight is twin[0].weight
    assert np.array_equal(twin[1].weight.data, model[0].weight.data)


def test_a_weight_bound_to_a_transposed_array_is_written_right(path):
    model = nn.Dense(3, 2)
    model.weight.data = np.arange(6, dtype=np.float32).reshape(2, 3).T
    nn.save(model, path)
    assert _decoded(path)[0]["weight"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_tensors_in_a_mapping_are_saved_as_their_arrays(path):
    nn.save({"w": ag.Tensor([1.0, 2.0], requires_grad=True)}, path)
    assert nn.read_state(path)[0]["w"].tolist() == [1, 2]


def test_metadata_is_kept(path):
    nn.save({"w": np.zeros(1)}, path, metadata={"classes": "cat dog", "ä": "ö"})
    assert _decoded(path)[1] == {"classes": "cat dog", "ä": "ö"}
    assert nn.read_state(path)[1] == {"classes": "cat dog", "ä": "ö"}
    nn.save({"w": np.zeros(1)}, path)
    assert nn.read_state(path)[1] == {}


# ---------------------------------------------------------------------- writing safely


def test_a_file_is_replaced_and_nothing_else_is_left_in_the_folder(path):
    nn.save({"w": np.zeros(1000)}, path)
    nn.save({"w": np.ones(2)}, str(path))
    assert nn.read_state(path)[0]["w"].tolist() == [1, 1]
    assert os.listdir(path.parent) == [path.name]


def test_an_error_while_writing_leaves_the_old_file_and_no_other(path, monkeypatch):
    nn.save({"w": np.zeros(3)}, path)
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        nn.save({"w": np.ones(3)}, path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_value_that_cannot_be_saved_leaves_the_old_file(path):
    nn.save({"w": np.zeros(3)}, path)
    with pytest.raises(TypeError, match=r"nn\.save: v is complex128, which safetensors cannot hold; it holds float16"):
        nn.save({"w": np.ones(3), "v": np.ones(3, complex)}, path)
    assert nn.read_state(path)[0]["w"].tolist() == [0, 0, 0]


def test_a_link_stays_a_link(path, tmp_path):
    real = tmp_path / "elsewhere" / "real.safetensors"
    real.parent.mkdir()
    path.symlink_to(real)
    nn.save({"w": np.ones(1)}, path)
    assert path.is_symlink()
    assert nn.read_state(real)[0]["w"].tolist() == [1]


def test_the_file_has_the_usual_permissions(path):
    nn.save({"w": np.zeros(1)}, path)
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


# ---------------------------------------------------------------------- bad input


def test_saving_what_cannot_be_saved(path, tmp_path):
    expected = f"nn.save: the folder {tmp_path / 'no'} does not exist; make it first"
    with pytest.raises(FileNotFoundError, match=re.escape(expected)):
        nn.save({}, tmp_path / "no" / "model.safetensors")
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file in it"):
        nn.save({}, tmp_path)
    with pytest.raises(TypeError, match=r"nn\.save: expected a Module or a mapping from names to arrays, got list"):
        nn.save([np.zeros(1)], path)
    with pytest.raises(TypeError, match=r"nn\.save: names must be strings, got 3"):
        nn.save({3: np.zeros(1)}, path)
    with pytest.raises(TypeError, match=r"nn\.save: w is object"):
        nn.save({"w": np.array([None])}, path)
    with pytest.raises(TypeError, match=r"nn\.save: metadata must be strings by name, got 'epoch': 7"):
        nn.save({}, path, metadata={"epoch": 7})
    assert not path.exists()


def test_loading_what_is_not_there(path, tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"nn.load: {path} does not exist")):
        nn.load(nn.Dense(1, 1), path)
    with pytest.raises(IsADirectoryError, match=r"nn\.read_state: .* is a folder"):
        nn.read_state(tmp_path)
    with pytest.raises(TypeError, match=r"nn\.load: expected a Module to fill, got \w+; nn\.read_state\(path\) gives"):
        nn.load(path, path)


@pytest.mark.parametrize("damage", [
    lambda data: b"",
    lambda data: b"PK\x03\x04 not what you think",
    lambda data: data[:20],
    lambda data: data[:-1],
    lambda data: data.replace(b'"F32"', b'"Q99"'),
], ids=["empty", "another format", "cut in the header", "cut in the data", "an unknown dtype"])
def test_a_damaged_file_says_so_and_changes_nothing(damage, path):
    model = nn.Dense(3, 2, rng=0)
    nn.save(nn.Dense(3, 2, rng=1), path)
    path.write_bytes(damage(path.read_bytes()))
    before = model.state_dict()
    expected = f"nn.load: {path} is no safetensors file, is damaged, or holds numbers that NumPy does not have"
    with pytest.raises(ValueError, match=re.escape(expected)):
        nn.load(model, path)
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


def test_numbers_that_numpy_does_not_have_are_named_as_a_cause(path):
    header = b'{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(ValueError, match="or holds numbers that NumPy does not have"):
        nn.read_state(path)


def test_a_file_of_another_model_lists_all_that_does_not_fit(path):
    nn.save(nn.Dense(3, 2), path)
    with pytest.raises(ValueError, match=re.escape(
        f"nn.load: {path}: Sequential.load_state_dict: the state does not fit, and nothing was loaded:\n"
        "  missing: 0.weight (3, 2) float32\n  missing: 0.bias (2,) float32\n"
    ) + r"  unexpected: \w+ .*\n  unexpected: \w+ "):
        nn.load(nn.Sequential(nn.Dense(3, 2)), path)


def test_without_the_package_the_error_says_how_to_get_it(path, monkeypatch):
    class NotInstalled:
        def find_spec(self, name, path, target=None):
            if name == "safetensors":
                raise ModuleNotFoundError("No module named 'safetensors'", name="safetensors")

    for name in [name for name in sys.modules if name.split(".")[0] == "safetensors"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NotInstalled(), *sys.meta_path])
    for what, call in {"nn.save": lambda: nn.save({}, path), "nn.read_state": lambda: nn.read_state(path)}.items():
        expected = f"{what} needs the package safetensors: pip install 'im2grad[train]'"
        with pytest.raises(ImportError, match=re.escape(expected)):
            call()
