"""The networks: sizes known from their papers, any image size, and every parameter reached by the gradient."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nn
from nn.models import BasicBlock, cifar, lenet, resnet20, small

_SMALLEST = {small: 4, lenet: 12, cifar: 8, resnet20: 1}


def _n_parameters(model):
    return sum(parameter.size for parameter in model.parameters())


def test_numbers_of_parameters():
    # (3*3*1 + 1)*16 + (3*3*16 + 1)*32 + (7*7*32 + 1)*10
    assert _n_parameters(small()) == 160 + 4640 + 15690
    # (5*5*1 + 1)*6 + (5*5*6 + 1)*16 + (5*5*16 + 1)*120 + 121*84 + 85*10
    assert _n_parameters(lenet()) == 156 + 2416 + 48120 + 10164 + 850
    # (27 + 1)*64 + (576 + 1)*128 + (1152 + 1)*128 + (1152 + 1)*256 + 4097*256 + 257*64 + 65*10
    assert _n_parameters(cifar()) == 1792 + 73856 + 147584 + 295168 + 1048832 + 16448 + 650
    # the paper's 0.27 million: stem, 6 + 1 + 5 + 1 + 5 convolutions with 19 normalizations, dense
    convs = 9 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    norms = 2 * (7 * 16 + 6 * 32 + 6 * 64)
    assert _n_parameters(resnet20()) == convs + norms + 65 * 10


@settings(max_examples=12)
@given(build=st.sampled_from(list(_SMALLEST)), more=st.tuples(st.integers(0, 9), st.integers(0, 9)),
       channels=st.integers(1, 4), classes=st.integers(1, 12))
def test_any_image_size_channels_and_classes(build, more, channels, classes):
    height, width = (_SMALLEST[build] + n for n in more)
    model = build((height, width, channels), classes, rng=0)
    x = np.random.default_rng(0).normal(size=(2, height, width, channels)).astype(np.float32)
    out = model.eval()(x)
    assert out.shape == (2, classes)
    assert out.dtype == np.float32


@pytest.mark.parametrize("build", _SMALLEST, ids=lambda build: build.__name__)
def test_the_gradient_reaches_every_parameter(build):
    shape = (12, 12, 2)
    model = build(shape, 3, rng=0)
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    nn.functional.cross_entropy(model(x), [0, 1, 2, 0]).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert np.any(parameter.grad.data), name


@pytest.mark.parametrize("build", _SMALLEST, ids=lambda build: build.__name__)
def test_the_seed_settles_all_weights(build):
    first, second, other = (build(rng=seed).state_dict() for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(first["0.weight"], other["0.weight"])


def test_cifar_is_the_network_of_its_description():
    kinds = [type(layer).__name__ for layer in cifar()]
    conv, relu, pool, dense = "Conv2d", "ReLU", "MaxPool2d", "Dense"
    assert kinds == [conv, relu, conv, relu, pool, conv, relu, pool, conv, relu, pool,
                     "Flatten", dense, relu, dense, relu, dense]


def test_a_block_adds_its_input_or_every_other_pixel_of_it_with_channels_of_zeros():
    x = np.random.default_rng(0).normal(size=(1, 5, 4, 2)).astype(np.float32)
    same, half = BasicBlock(2, 2).eval(), BasicBlock(2, 3, stride=2).eval()
    for block in (same, half):
        block.norm2.weight.data = np.zeros_like(block.norm2.weight.data)  # leaves the shortcut alone
    assert np.array_equal(same(x).data, np.maximum(x, 0))
    out = half(x).data
    assert out.shape == (1, 3, 2, 3)
    assert not out[..., 2].any()
    for i, j, c in np.ndindex(3, 2, 2):
        assert out[0, i, j, c] == max(x[0, 2 * i, 2 * j, c], 0)


def test_a_block_is_two_convolutions_with_normalization():
    block = BasicBlock(2, 2, rng=0).eval()
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype(np.float32)
    inner = np.maximum(block.norm1(block.conv1(x)).data, 0)
    assert np.allclose(block(x).data, np.maximum(block.norm2(block.conv2(inner)).data + x, 0))


def test_a_block_cannot_drop_channels():
    with pytest.raises(ValueError, match="BasicBlock: its shortcut can add channels but not drop any, got in_channels "
                                         "4 and out_channels 2"):
        BasicBlock(4, 2)


@pytest.mark.parametrize("build", [small, lenet, cifar], ids=lambda build: build.__name__)
def test_an_image_too_small_for_the_poolings_is_refused(build):
    least = _SMALLEST[build]
    text = f"{build.__name__}: images of {least - 1}x40 are too small, its poolings need at least {least}x{least}"
    with pytest.raises(ValueError, match=text):
        build((least - 1, 40, 3))


def test_an_image_shape_that_looks_like_chw_gets_a_hint():
    with pytest.raises(ValueError, match=r"images of 3x32 are too small.*; images are NHWC: give the shape as"):
        cifar((3, 32, 32))


@pytest.mark.parametrize(("shape", "error", "text"), [
    ((28, 28), ValueError, "small: image_shape must be (H, W, C), got (28, 28)"),
    (28, ValueError, "small: image_shape must be (H, W, C), got 28"),
    ((28, 28, 0), ValueError, "small: image_shape[2] must be at least 1, got 0"),
    ((28.0, 28, 1), TypeError, "small: image_shape[0] must be a whole number, got 28.0"),
])
def test_an_image_shape_that_is_none_is_refused(shape, error, text):
    with pytest.raises(error, match=re.escape(text)):
        small(shape)
