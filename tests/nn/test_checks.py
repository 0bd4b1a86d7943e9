"""What the layers' checks make of numbers, pairs and padding."""

import numpy as np
import pytest

from nn.checks import compact, element, pair, probability, whole_number, window_padding


def test_whole_numbers_are_ints_of_any_kind_but_no_bools():
    assert whole_number("L", "n", np.int32(3)) == 3
    assert type(whole_number("L", "n", np.int32(3))) is int
    for value in (3.0, "3", None, True, np.array([3, 4])):
        with pytest.raises(TypeError, match="L: n must be a whole number, got "):
            whole_number("L", "n", value)


def test_a_pair_is_one_number_or_two():
    assert pair("L", "stride", 2) == (2, 2)
    assert pair("L", "stride", [np.int64(2), 3]) == (2, 3)
    for value in ((1,), (1, 2, 3), (1, 2.0), "12", (True, 1)):
        with pytest.raises(TypeError, match="L: stride must be a whole number or a pair of them"):
            pair("L", "stride", value)


def test_padding_is_a_word_a_number_or_one_or_two_pairs():
    assert window_padding("L", "same") == "same"
    assert window_padding("L", 1) == (1, 1)
    assert window_padding("L", [0, 2]) == (0, 2)
    assert window_padding("L", ((1, 0), [2, 3])) == ((1, 0), (2, 3))
    with pytest.raises(ValueError, match=r"L: padding must be at least 0, got \(0, -1\)"):
        window_padding("L", ((1, 1), (0, -1)))


def test_probabilities():
    assert probability("L", "p", 1) == 1.0
    with pytest.raises(ValueError, match=r"L: p must be from 0 to 1, got 1\.01"):
        probability("L", "p", 1.01)


def test_equal_pairs_are_shown_as_one_number():
    assert [compact(v) for v in ((3, 3), (3, 2), "same", ((1, 1), (1, 1)), 4)] == ["3", "(3, 2)", "'same'", "1", "4"]


def test_an_element_is_named_by_its_place_and_value():
    values = np.array([[1, 2], [3, 4]])
    assert element("target", values, values > 2) == "target[1, 0] is 3"
    assert element("target", values, values > 9) == ""
