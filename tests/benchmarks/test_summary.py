"""Medians, quartiles and ratios, against numbers worked out by hand and against NumPy."""

import doctest

import numpy as np
import pytest

from benchmarks import summary
from benchmarks.summary import Ratio, Summary, ratio, summarize


def test_an_odd_number_of_samples():
    # sorted 1 2 3 4 10: the third, the second and the fourth
    assert summarize([4.0, 1.0, 2.0, 3.0, 10.0]) == Summary(3.0, 2.0, 4.0)


def test_an_even_number_of_samples():
    # sorted 1 2 4 8: halfway from 2 to 4; the quartiles a quarter of the way before 2 and after 4
    assert summarize([8.0, 1.0, 4.0, 2.0]) == Summary(3.0, 1.75, 5.0)


def test_a_single_sample_has_no_spread():
    assert summarize([7.0]) == Summary(7.0, 7.0, 7.0)


def test_quartiles_are_numpys():
    samples = np.random.default_rng(0).random(23)
    found = summarize(samples.tolist())
    np.testing.assert_allclose([found.low, found.median, found.high], np.percentile(samples, [25, 50, 75]))


def test_the_ratio_of_medians_and_the_ratios_by_round_can_differ():
    # medians 2 and 4; by round 2/8, 1/4, 9/3: in order 1/4, 1/4, 3
    assert ratio([2.0, 1.0, 9.0], [8.0, 4.0, 3.0]) == Ratio(0.5, Summary(0.25, 0.25, 1.625))


def test_a_slow_spell_that_hits_both_leaves_the_ratios_by_round_as_they_are():
    slow = [1.0, 1.0, 5.0, 5.0, 5.0]
    assert ratio(slow, [2 * s for s in slow]).by_round == Summary(0.5, 0.5, 0.5)


def test_the_examples_of_the_docstrings_hold():
    tried = doctest.testmod(summary)
    assert tried.attempted > 0
    assert tried.failed == 0


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="summarize: expected at least one number, got none"):
        summarize([])


def test_unequal_numbers_of_rounds_are_refused():
    with pytest.raises(ValueError, match="ratio: expected as many rounds of ours as of the peer, got 2 and 1"):
        ratio([1.0, 2.0], [1.0])
