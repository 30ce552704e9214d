"""No test is skipped in continuous integration: the rule is tried on tests that skip."""

from __future__ import annotations

import pytest

from tests.strictness import NO_SKIP

SKIPPERS = {
    "mark": "@pytest.mark.skip\ndef test_it(): pass",
    "condition": "@pytest.mark.skipif(True, reason='r')\ndef test_it(): pass",
    "call": "def test_it(): pytest.skip('r')",
    "fixture": "@pytest.fixture\ndef f(): pytest.skip('r')\ndef test_it(f): pass",
    "missing module": "def test_it(): pytest.importorskip('no_such_module')",
    "whole module": "pytest.skip('r', allow_module_level=True)",
}


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    pytester.makeconftest('pytest_plugins = ["tests.strictness"]')
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take longer than these tests
    return pytester


@pytest.mark.parametrize("source", SKIPPERS.values(), ids=SKIPPERS.keys())
def test_a_skip_fails_where_nothing_may_be_skipped(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv(NO_SKIP, "1")
    suite.makepyfile(f"import pytest\n{source}")
    result = suite.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret != pytest.ExitCode.OK
    assert "skipped" not in result.parseoutcomes()


@pytest.mark.parametrize("source", SKIPPERS.values(), ids=SKIPPERS.keys())
def test_a_skip_is_a_skip_elsewhere(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.delenv(NO_SKIP, raising=False)
    suite.makepyfile(f"import pytest\n{source}")
    suite.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(skipped=1)


def test_an_expected_failure_is_no_skip(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NO_SKIP, "1")
    suite.makepyfile("import pytest\n@pytest.mark.xfail\ndef test_it(): assert False")
    suite.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(xfailed=1)
