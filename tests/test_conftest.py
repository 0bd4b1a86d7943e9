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

    @pytest.mark.needs_programs("python3")
    def test_with_a_program_that_is_there():
        pass

    @pytest.mark.needs_programs("no_such_program_anywhere")
    def test_with_a_program_that_is_missing():
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
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines_random(["*needs no_such_module_anywhere: pip install -e '.?test?'*",
                                        "*needs no_such_program_anywhere: run .ci/extras*"])


def test_a_missing_extra_fails_where_extras_are_required(project, monkeypatch):
    monkeypatch.setenv("REQUIRE_EXTRAS", "1")
    result = project.runpytest_subprocess("--strict-markers")
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines_random(["*needs no_such_module_anywhere*REQUIRE_EXTRAS=1*",
                                        "*needs no_such_program_anywhere*REQUIRE_EXTRAS=1*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
