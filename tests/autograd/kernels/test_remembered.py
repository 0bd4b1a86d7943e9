"""What is remembered, and what is not."""

import pytest

from autograd.kernels.remembered import remembered


@pytest.fixture
def doubled():
    """A remembered function, and the list of what it was called with."""
    calls = []

    @remembered
    def double(value):
        calls.append(value)
        if value == 13:
            raise ValueError(f"double: {value!r} brings bad luck")
        return [value, value]

    return double, calls


def test_a_result_is_worked_out_once(doubled):
    double, calls = doubled
    assert double(2) is double(2)
    assert calls == [2]


def test_equal_values_of_different_types_are_different(doubled):
    double, calls = doubled
    assert [type(double(value)[0]) for value in (1, 1.0, True)] == [int, float, bool]
    assert len(calls) == 3


def test_what_cannot_be_looked_up_is_worked_out_each_time(doubled):
    double, calls = doubled
    assert double([1]) == double([1]) == [[1], [1]]
    assert len(calls) == 2


def test_errors_are_raised_each_time(doubled):
    double, calls = doubled
    for _ in range(2):
        with pytest.raises(ValueError, match="double: 13 brings bad luck"):
            double(13)
    assert calls == [13, 13]


def test_a_type_error_of_the_function_is_its_own(doubled):
    double, _ = doubled
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        double()
