"""Random changes of images: each against a plain statement of what it is, all of them pure and repeatable."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from datasets import Compose, RandomAffine, RandomCrop, RandomFlip, RandomShift

ALL = [
    RandomShift(2),
    RandomFlip(),
    RandomCrop(6, padding=1),
    RandomAffine(30, scale=(0.8, 1.25)),
    Compose([RandomFlip(), RandomAffine(10), RandomShift(1)]),
]
sides = st.integers(1, 5)
sizes = st.tuples(st.integers(1, 6), st.integers(3, 9), st.integers(3, 9), st.integers(1, 4))


def _images(shape=(16, 8, 9, 3), dtype=np.float32):
    """Random floats from 0.5 to 1, so that no pixel looks like the zeros that are filled in."""
    return (0.5 + np.random.default_rng(1).random(shape) / 2).astype(dtype)


class Fixed(np.random.Generator):
    """A generator whose `uniform` gives the listed arrays in turn: a test can choose angles and factors."""

    def __init__(self, *draws):
        super().__init__(np.random.PCG64(0))
        self._draws = list(draws)

    def uniform(self, low=0.0, high=1.0, size=None):
        draw = np.asarray(self._draws.pop(0), float)
        assert draw.shape == (size,)
        return draw


@pytest.mark.parametrize("change", ALL, ids=repr)
class TestEveryChange:
    def test_gives_the_same_bits_for_the_same_generator_state(self, change):
        one, other = (change(_images(), np.random.default_rng(5)) for _ in range(2))
        assert np.array_equal(one, other)
        assert not np.array_equal(one, change(_images(), np.random.default_rng(6)))

    def test_leaves_its_input_alone_and_shares_no_memory_with_it(self, change):
        images = _images()
        images.flags.writeable = False
        out = change(images, np.random.default_rng(0))
        assert np.array_equal(images, _images())
        assert not np.shares_memory(out, images)
        assert out.flags.writeable

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_keeps_the_dtype_and_is_contiguous(self, change, dtype):
        out = change(_images(dtype=dtype), np.random.default_rng(0))
        assert out.dtype == dtype
        assert out.flags.c_contiguous

    def test_works_on_arrays_that_are_not_contiguous(self, change):
        images = _images((16, 3, 9, 8)).transpose(0, 3, 2, 1)
        out = change(images, np.random.default_rng(0))
        assert out.flags.c_contiguous
        assert np.array_equal(out, change(images.copy(order="C"), np.random.default_rng(0)))

    def test_stays_within_0_and_1_but_for_rounding(self, change):
        out = change(_images(), np.random.default_rng(0))
        assert out.min() >= 0
        assert out.max() <= 1 + 1e-6

    def test_takes_an_empty_batch(self, change):
        assert change(_images((0, 8, 9, 3)), np.random.default_rng(0)).shape[0] == 0

    @pytest.mark.parametrize(
        ("images", "error", "message"),
        [
            (np.zeros((2, 8, 8, 1), np.uint8), TypeError, "must be a NumPy array of floats, got uint8"),
            ([[1.0]], TypeError, "must be a NumPy array of floats, got list"),
            (np.zeros((8, 8, 1)), ValueError, r"must be \(N, height, .*, got shape \(8, 8, 1\)"),
        ],
    )
    def test_refuses_what_is_no_batch_of_floats(self, change, images, error, message):
        with pytest.raises(error, match=f"Random[A-Z][a-z]+: images {message}"):
            change(images, np.random.default_rng(0))

    def test_refuses_a_seed_in_place_of_a_generator(self, change):
        with pytest.raises(TypeError, match=r"rng must be a numpy Generator such as .*, got int"):
            change(_images(), 0)

    def test_has_a_repr_that_can_be_pasted_back(self, change):
        rebuilt = eval(repr(change))
        images = _images()
        assert np.array_equal(
            rebuilt(images, np.random.default_rng(3)), change(images, np.random.default_rng(3))
        )


def _moved(image, down, right):
    """One image moved pixel by pixel."""
    out = np.zeros_like(image)
    height, width, _ = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                out[row, column] = image[row - down, column - right]
    return out


@settings(deadline=None)
@given(shape=sizes, pixels=st.integers(0, 2), seed=st.integers(0, 99))
def test_a_shifted_image_is_the_image_moved_by_at_most_so_many_pixels(shape, pixels, seed):
    images = _images(shape)
    moves = [(down, right) for down in range(-pixels, pixels + 1) for right in range(-pixels, pixels + 1)]
    for image, out in zip(images, RandomShift(pixels)(images, np.random.default_rng(seed)), strict=True):
        assert sum(np.array_equal(out, _moved(image, *move)) for move in moves) == 1


def test_each_shift_is_equally_likely():
    images = np.zeros((5000, 5, 5, 1), np.float32)
    images[:, 2, 2] = 1
    counts = RandomShift(2)(images, np.random.default_rng(0)).sum(axis=(0, 3))  # where the one pixel went
    assert counts.sum() == 5000
    assert ((counts - 200) ** 2 / 200).sum() < 51.2  # chi-square, 24 degrees of freedom: once in a thousand


@settings(deadline=None)
@given(shape=sizes, seed=st.integers(0, 99))
def test_a_flipped_image_is_the_image_or_its_mirror(shape, seed):
    images = _images(shape)
    for image, out in zip(images, RandomFlip()(images, np.random.default_rng(seed)), strict=True):
        mirror = np.array([[row[len(row) - 1 - c] for c in range(len(row))] for row in image])
        assert np.array_equal(out, image) or np.array_equal(out, mirror)


def test_half_of_the_images_are_flipped():
    images = np.zeros((4000, 1, 2, 1), np.float32)
    images[:, 0, 0] = 1
    flipped = RandomFlip()(images, np.random.default_rng(0))[:, 0, 1, 0].sum()
    assert abs(flipped - 2000) < 4 * math.sqrt(1000)


@settings(deadline=None)
@given(shape=sizes, window=st.tuples(sides, sides), padding=st.integers(1, 2), seed=st.integers(0, 99))
def test_a_crop_is_a_window_of_the_padded_image(shape, window, padding, seed):
    height, width = window
    images = _images(shape)
    cropped = RandomCrop(window, padding)(images, np.random.default_rng(seed))
    assert cropped.shape == (shape[0], height, width, shape[3])
    for image, out in zip(images, cropped, strict=True):
        padded = np.pad(image, [(padding, padding), (padding, padding), (0, 0)])
        windows = [
            padded[top : top + height, left : left + width]
            for top in range(padded.shape[0] - height + 1)
            for left in range(padded.shape[1] - width + 1)
        ]
        assert any(np.array_equal(out, window) for window in windows)


def test_each_window_is_equally_likely():
    places = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)  # each pixel's value is its number
    cropped = RandomCrop(1)(np.repeat(places, 6000, axis=0), np.random.default_rng(0))
    counts = np.bincount(cropped.ravel().astype(int), minlength=12)
    assert ((counts - 500) ** 2 / 500).sum() < 31.3  # chi-square, 11 degrees of freedom: once in a thousand


def test_a_crop_of_the_whole_image_is_the_image():
    images = _images((4, 8, 8, 3))
    assert np.array_equal(RandomCrop(8)(images, np.random.default_rng(0)), images)


def _sampled(image, angle, factor):
    """One image turned counterclockwise by `angle` radians and enlarged, with SciPy's linear interpolation.

    With x to the right and y up from the centre, what is shown at (x, y) was at R(-angle) (x, y) / factor.
    """
    height, width, channels = image.shape
    out = np.zeros(image.shape)
    rows, columns = np.mgrid[:height, :width]
    x, y = columns - (width - 1) / 2, (height - 1) / 2 - rows
    from_x = (math.cos(angle) * x + math.sin(angle) * y) / factor
    from_y = (math.cos(angle) * y - math.sin(angle) * x) / factor
    places = [(height - 1) / 2 - from_y, from_x + (width - 1) / 2]
    for channel in range(channels):
        plane = image[..., channel]
        out[..., channel] = ndimage.map_coordinates(plane, places, order=1, mode="grid-constant")
    return out


@settings(deadline=None)
@given(shape=sizes, degrees=st.floats(-180, 180), factor=st.floats(0.3, 3), data=st.data())
def test_turning_and_scaling_agree_with_scipy(shape, degrees, factor, data):
    images = _images(shape, np.float64)
    angles = [degrees * data.draw(st.floats(0, 1)) for _ in images]
    factors = [factor] * len(images)
    out = RandomAffine(180, scale=(0.3, 3))(images, Fixed(angles, factors))
    for image, result, angle in zip(images, out, angles, strict=True):
        assert np.allclose(result, _sampled(image, math.radians(angle), factor), atol=1e-9)


def test_turning_by_90_degrees_is_rot90():
    images = _images((3, 7, 7, 2), np.float64)
    out = RandomAffine(90)(images, Fixed([90, -90, 0], [1, 1, 1]))
    for result, image, quarters in zip(out, images, (1, -1, 0), strict=True):
        assert np.allclose(result, np.rot90(image, quarters), atol=1e-12)


def test_no_turn_and_no_scaling_is_the_image_itself():
    images = _images((5, 28, 28, 1))
    assert np.array_equal(RandomAffine(0)(images, np.random.default_rng(0)), images)


def test_a_factor_of_2_doubles_distances_from_the_centre():
    image = np.zeros((1, 9, 9, 1))
    image[0, 4, 6] = 1  # two to the right of the centre
    out = RandomAffine(0, scale=(2, 2))(image, np.random.default_rng(0))[0, :, :, 0]
    assert out[4, 8] == 1  # four to the right
    assert out[4, 7] == out[3, 8] == 0.5


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 5e-5), (np.float16, 2e-3)])
def test_narrow_floats_come_as_near_to_float64_as_they_can(dtype, error):
    images = _images((8, 32, 32, 3), np.float64)
    change = RandomAffine(180, scale=(0.5, 2))
    exact = change(images, np.random.default_rng(0))
    near = change(images.astype(dtype), np.random.default_rng(0))
    assert np.abs(near - exact).max() < error


def test_angles_and_factors_fill_their_ranges():
    drawn = []

    class Recorder(np.random.Generator):
        def uniform(self, low=0.0, high=1.0, size=None):
            drawn.append((low, high))
            return super().uniform(low, high, size)

    RandomAffine(15, scale=(0.9, 1.2))(_images(), Recorder(np.random.PCG64(0)))
    assert drawn == [(-15, 15), (0.9, 1.2)]


def test_compose_applies_its_changes_in_order():
    change = Compose([lambda x, rng: x + rng.random(), lambda x, rng: x * 2])
    images = _images()
    number = np.random.default_rng(4).random()
    assert np.allclose(change(images, np.random.default_rng(4)), (images + number) * 2)


def test_compose_of_nothing_changes_nothing():
    images = _images()
    assert np.array_equal(Compose([])(images, np.random.default_rng(0)), images)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomShift(-1), ValueError, "RandomShift: pixels must be at least 0, got -1"),
        (lambda: RandomShift(1.5), TypeError, "RandomShift: pixels must be a whole number, got 1.5"),
        (lambda: RandomCrop(0), ValueError, "RandomCrop: size must be at least 1, got 0"),
        (lambda: RandomCrop("8"), TypeError, "RandomCrop: size must be a whole number, got '8'"),
        (lambda: RandomCrop((8, 8, 3)), ValueError, "RandomCrop: size must be a whole number or a pair"),
        (lambda: RandomCrop(8, padding=-1), ValueError, "RandomCrop: padding must be at least 0, got -1"),
        (lambda: RandomAffine(-5), ValueError, "RandomAffine: degrees must be from 0 to 180, got -5"),
        (lambda: RandomAffine(float("nan")), ValueError, "RandomAffine: degrees must be from 0 to 180"),
        (lambda: RandomAffine(5, scale=0.1), ValueError, "RandomAffine: scale must be a pair (low, high)"),
        (lambda: RandomAffine(5, scale=(0, 1)), ValueError, "a pair 0 < low <= high, got (0, 1)"),
        (lambda: RandomAffine(5, scale=(2, 1)), ValueError, "a pair 0 < low <= high, got (2, 1)"),
        (lambda: Compose([RandomFlip(), 3]), TypeError, "Compose: each transform must be a callable"),
    ],
)
def test_bad_parameters_are_named(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()


def test_a_shift_out_of_the_frame_is_refused():
    with pytest.raises(ValueError, match="up to 8 pixels can push a whole image of 8x9 out of the frame"):
        RandomShift(8)(_images(), np.random.default_rng(0))


def test_a_window_larger_than_the_padded_image_is_refused():
    with pytest.raises(ValueError, match=r"window 11x11 is larger than the padded image 10x11 .*padding 1\)"):
        RandomCrop(11, padding=1)(_images(), np.random.default_rng(0))
