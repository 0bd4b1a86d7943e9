"""What all tests share: the `needs` marker, and how Hypothesis and matplotlib behave here."""

import importlib.util
import os

import hypothesis
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")  # pictures go to files, also where there is a screen

# No deadline: machines are shared and a first call may load a library. With REQUIRE_EXTRAS=1 the same
# examples are drawn each time, so that a checkout that passed once passes again.
hypothesis.settings.register_profile("im2grad", deadline=None)
hypothesis.settings.register_profile("im2grad-same", deadline=None, derandomize=True, database=None)


def _extras_are_required() -> bool:
    return os.environ.get("REQUIRE_EXTRAS") == "1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "needs(*modules): skips the test where one of these optional modules is missing; "
        "with REQUIRE_EXTRAS=1 in the environment it fails instead",
    )
    hypothesis.settings.load_profile("im2grad-same" if _extras_are_required() else "im2grad")


def pytest_runtest_setup(item: pytest.Item) -> None:
    wanted = [name for marker in item.iter_markers("needs") for name in marker.args]
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if not missing:
        return
    reason = f"needs {', '.join(missing)}: pip install -e '.[test]'"
    if _extras_are_required():
        pytest.fail(f"{reason} (REQUIRE_EXTRAS=1)", pytrace=False)
    pytest.skip(reason)
