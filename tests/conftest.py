"""What all tests share: the markers `needs` and `needs_programs`, and how Hypothesis and matplotlib behave here."""

import importlib.util
import os
import shutil

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
    config.addinivalue_line("markers", "needs_programs(*names): the same for programs on the PATH")
    hypothesis.settings.load_profile("im2grad-same" if _extras_are_required() else "im2grad")


def pytest_runtest_setup(item: pytest.Item) -> None:
    modules = [name for name in _args(item, "needs") if importlib.util.find_spec(name) is None]
    _skip_without(modules, "pip install -e '.[test]'")
    _skip_without([name for name in _args(item, "needs_programs") if shutil.which(name) is None], "run .ci/extras")


def _args(item: pytest.Item, marker: str) -> list[str]:
    return [name for found in item.iter_markers(marker) for name in found.args]


def _skip_without(missing: list[str], remedy: str) -> None:
    if not missing:
        return
    reason = f"needs {', '.join(missing)}: {remedy}"
    if _extras_are_required():
        pytest.fail(f"{reason} (REQUIRE_EXTRAS=1)", pytrace=False)
    pytest.skip(reason)
