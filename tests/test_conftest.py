"""A test that needs an extra says so, and with REQUIRE_EXTRAS=1 it cannot be skipped unseen."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")

TESTS = """
    import pytest

    @pytest.mark.needs("json")
    def test_with_an_extra_that_is_there():
        pass

    @pytest.mark.needs("json", "no_such_module_anywhere")
    def test_with_an_extra_that_is_missing():
        raise AssertionError("this must not run")
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    pytester.makepyfile(TESTS)
    return pytester


def test_a_missing_extra_skips_by_name(project, monkeypatch):
    monkeypatch.delenv("REQUIRE_EXTRAS", raising=False)
    result = project.runpytest_subprocess("-rs", "--strict-markers")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*needs no_such_module_anywhere: pip install -e '.?test?'*"])


def test_a_missing_extra_fails_where_extras_are_required(project, monkeypatch):
    monkeypatch.setenv("REQUIRE_EXTRAS", "1")
    result = project.runpytest_subprocess("--strict-markers")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*needs no_such_module_anywhere*REQUIRE_EXTRAS=1*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
