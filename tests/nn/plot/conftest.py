"""What the tests of the pictures share: a few digits."""

import pytest

import datasets


@pytest.fixture(scope="session")
def digits():
    return datasets.load("mnist-small", "test")[:60]
