"""MNIST and Fashion-MNIST: IDX files, however spelt and packed, and every way to be damaged."""

import gzip
import re
import tracemalloc

import numpy as np
import pytest

import datasets

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def _header(dtype, *lengths):
    """An IDX header byte by byte: 0, 0, dtype, number of axes, and each length, largest byte first."""
    out = [0, 0, dtype, len(lengths)]
    for length in lengths:
        out += [length >> 24 & 255, length >> 16 & 255, length >> 8 & 255, length & 255]
    return bytes(out)


def _pixel(image, row, column):
    return (image * 31 + row * 7 + column) % 256


def _images_file(n=5):
    data = [_pixel(i, r, c) for i in range(n) for r in range(28) for c in range(28)]
    return _header(8, n, 28, 28) + bytes(data)


def _labels_file(labels=(3, 1, 4, 1, 9)):
    return _header(8, len(labels)) + bytes(labels)


@pytest.fixture
def root(tmp_path):
    (tmp_path / IMAGES).write_bytes(_images_file())
    (tmp_path / LABELS).write_bytes(_labels_file())
    return tmp_path


def _check(loaded):
    assert loaded.images.shape == (5, 28, 28, 1)
    assert loaded.images.dtype == np.uint8
    assert loaded.labels.dtype == np.int64
    assert loaded.labels.tolist() == [3, 1, 4, 1, 9]
    for i, row, column in [(0, 0, 0), (0, 0, 27), (2, 13, 5), (4, 27, 27)]:
        assert loaded.images[i, row, column, 0] == _pixel(i, row, column)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_every_pixel_and_label_comes_where_it_belongs(name, root):
    loaded = datasets.load(name, "train", root=root)
    _check(loaded)
    assert (loaded.name, loaded.split, len(loaded.classes)) == (name, "train", 10)


def test_the_classes_have_their_names(root):
    assert datasets.load("mnist", "train", root=root).classes[7] == "7"
    assert datasets.load("fashion-mnist", "train", root=root).classes[9] == "Ankle boot"


def test_the_test_split_has_files_of_its_own(root):
    (root / "t10k-images-idx3-ubyte").write_bytes(_images_file(2))
    (root / "t10k-labels-idx1-ubyte").write_bytes(_labels_file((8, 0)))
    assert datasets.load("mnist", "test", root=root).labels.tolist() == [8, 0]
    assert len(datasets.load("mnist", "train", root=root)) == 5


@pytest.mark.parametrize("dash", ["-", "."])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_files_may_be_gzipped_and_spelt_with_a_dot(dash, ending, tmp_path):
    pack = gzip.compress if ending else bytes
    (tmp_path / f"train-images{dash}idx3-ubyte{ending}").write_bytes(pack(_images_file()))
    (tmp_path / f"train-labels{dash}idx1-ubyte{ending}").write_bytes(pack(_labels_file()))
    _check(datasets.load("mnist", "train", root=str(tmp_path)))


def test_the_content_says_whether_a_file_is_gzipped_and_not_its_name(tmp_path):
    (tmp_path / (IMAGES + ".gz")).write_bytes(_images_file())  # a browser unpacked it and kept the name
    (tmp_path / LABELS).write_bytes(gzip.compress(_labels_file()))
    _check(datasets.load("mnist", "train", root=tmp_path))


def test_the_arrays_can_be_written_to(root):
    loaded = datasets.load("mnist", "train", root=root)
    loaded.images[0] = 9
    loaded.labels[0] = 9
    assert loaded.images[0].min() == 9


def test_all_missing_files_are_listed_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}': {IMAGES}, {LABELS}[.] .*Y. LeCun"):
        datasets.load("mnist", "train", root=tmp_path)


def test_only_what_is_missing_is_listed(root):
    (root / LABELS).unlink()
    with pytest.raises(FileNotFoundError, match=f"': {LABELS}[.] "):
        datasets.load("mnist", "train", root=root)


def test_a_folder_with_the_name_of_a_file_is_no_file(root):
    (root / LABELS).unlink()
    (root / LABELS).mkdir()
    with pytest.raises(FileNotFoundError, match=LABELS):
        datasets.load("mnist", "train", root=root)


PACKED_LABELS = gzip.compress(_labels_file(), mtime=0)  # the time would be part of a test's name, and differ by process


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (IMAGES, b"", "is no IDX file: it starts with nothing where"),
        (IMAGES, b"\0", "is no IDX file: it starts with 00 where"),
        (IMAGES, b"<html>not found</html>", "is no IDX file: it starts with 3c 68 74 6d where"),
        (LABELS, _header(0x0D, 5) + bytes(20), "holds float32 (code 0x0d) where unsigned bytes"),
        (LABELS, _header(0x42, 5) + bytes(5), "holds an unknown dtype (code 0x42)"),
        (IMAGES, _labels_file(), "holds an array with 1 axes where 3 are expected (images, rows, columns)"),
        (LABELS, _images_file(), "holds an array with 3 axes where 1 are expected (labels); were"),
        (IMAGES, _images_file()[:11], "is damaged: it ends within its header, after 11 bytes"),
        (
            IMAGES,
            _images_file()[:-1],
            "promises 3920 bytes of data, shape (5, 28, 28), but there are only 3919",
        ),
        (IMAGES, _images_file()[:16], "shape (5, 28, 28), but there are only 0"),
        (
            IMAGES,
            _images_file() + b"\0",
            "promises 3920 bytes of data, shape (5, 28, 28), but there are more",
        ),
        (IMAGES, _header(8, 0, 28, 28), "holds no images"),
        (LABELS, _header(8, 0), "holds no labels"),
        (IMAGES, _header(8, 5, 32, 32) + bytes(5 * 32 * 32), "holds images of 32x32 pixels, but mnist"),
        (LABELS, _labels_file((3, 1, 4, 10, 9)), "is damaged: label 10 of image 3 is not in 0..9"),
        (LABELS, PACKED_LABELS[:-3], "is damaged: it cannot be unpacked"),
        (LABELS, PACKED_LABELS[:12], "is damaged: it cannot be unpacked"),
        (LABELS, PACKED_LABELS[:10] + b"\xff" * 20, "is damaged: it cannot be unpacked"),
        (LABELS, b"\x1f\x8b and no gzip", "is damaged: it cannot be unpacked"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(file, content, message, root):
    (root / file).write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"load: {root / file} ")) as error:
        datasets.load("mnist", "train", root=root)
    assert message in str(error.value)


def test_a_flipped_bit_in_a_gzipped_file_is_found(root):
    packed = bytearray(gzip.compress(_images_file(), compresslevel=0))  # stored, so the bit is a pixel's
    packed[len(packed) // 2] ^= 1
    (root / IMAGES).write_bytes(packed)
    with pytest.raises(ValueError, match=f"{IMAGES} is damaged: it cannot be unpacked .*CRC"):
        datasets.load("mnist", "train", root=root)


def test_images_and_labels_must_be_equally_many(root):
    (root / LABELS).write_bytes(_labels_file((1, 2, 3)))
    with pytest.raises(ValueError, match=f"{IMAGES} holds 5 images but .*{LABELS} holds 3 labels"):
        datasets.load("mnist", "train", root=root)


def _peak_memory_of_a_failing_load(root):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="promises") as error:
            datasets.load("mnist", "train", root=root)
        return tracemalloc.get_traced_memory()[1], str(error.value)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_no_memory_is_taken_on_a_headers_word(pack, root):
    """The header promises 3.4 terabytes; 100 bytes follow."""
    (root / IMAGES).write_bytes(pack(_header(8, 2**32 - 1, 28, 28) + bytes(100)))
    peak, message = _peak_memory_of_a_failing_load(root)
    assert "promises 3367254359280 bytes" in message
    assert "only 100" in message
    assert peak < 8e6


def test_a_gzip_file_that_swells_is_read_no_further_than_its_header_says(root):
    (root / IMAGES).write_bytes(gzip.compress(_header(8, 5, 28, 28) + bytes(50_000_000), compresslevel=1))
    peak, message = _peak_memory_of_a_failing_load(root)
    assert "there are more" in message
    assert peak < 8e6
