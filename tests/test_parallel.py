"""Tests that several processes share: each is run once, none is lost, and what one says arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parallel import LONGEST
from tests.strictness import NO_SKIP

ROOT = Path(__file__).parents[1]
ALONE = ("-p", "no:cacheprovider")
SHARED = (
    *ALONE,
    *[
        "-p",
        "xdist",
        "-n",
        "1",
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",
        "--max-worker-restart",
        "0",
    ],
)
SHORT = "def test_it(): pass"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    pytester.makeconftest('pytest_plugins = ["tests.strictness", "tests.parallel"]')
    monkeypatch.setenv(NO_SKIP, "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take longer than these tests
    return pytester


def test_a_file_that_is_named_as_long_is_there() -> None:
    assert [] == [name for name in LONGEST if not (ROOT / name).is_file()]
    assert len(LONGEST) == len(set(LONGEST))


def test_all_are_run_and_counted(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_one=SHORT, test_two=SHORT, test_three=SHORT)
    result = suite.runpytest_subprocess(*SHARED, "-n", "2", "--durations", "1")
    assert pytest.ExitCode.OK == result.ret
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["3 of 3 tests were run", "*slowest * files*", "*s test_*.py"])


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import pytest\n@pytest.mark.skip\ndef test_it(): pass", id="skipped"),
        pytest.param("import pytest\npytest.skip(allow_module_level=True)", id="skipped file"),
        pytest.param("import os\ndef test_it(): os._exit(1)", id="process that dies"),
        pytest.param("def test_it(): assert '\\udcff' == 1", id="words that are no text"),
    ],
)
def test_a_test_that_did_not_pass_fails_the_run(suite: pytest.Pytester, source: str) -> None:
    suite.makepyfile(test_one=SHORT, test_two=source)
    result = suite.runpytest_subprocess(*SHARED)
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)


def test_a_test_that_nobody_ran_fails_the_run(suite: pytest.Pytester) -> None:
    suite.makeconftest("""
import pytest
pytest_plugins = ["tests.strictness"]
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item): return True
""")
    suite.makepyfile(test_one=SHORT)
    result = suite.runpytest_subprocess(*ALONE)
    result.stdout.fnmatch_lines("0 of 1 tests were run")
    assert pytest.ExitCode.TESTS_FAILED == result.ret


def test_what_a_test_logs_need_not_be_text(suite: pytest.Pytester) -> None:
    suite.makepyfile("import logging\ndef test_it(): logging.warning('name\\udcff.bin')")
    result = suite.runpytest_subprocess(*SHARED)
    result.assert_outcomes(passed=1)
