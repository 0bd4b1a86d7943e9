"""What the tests of nn share: a fixture for models in float64."""

import pytest

import autograd as ag


@pytest.fixture
def float64():
    """Layers made in the test have parameters in float64."""
    before = ag.get_default_dtype()
    ag.set_default_dtype("float64")
    yield
    ag.set_default_dtype(before)
