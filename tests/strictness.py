"""Under ``GATEWAY_TESTS_NO_SKIP=1`` a test that did not run is a test that failed.

A laptop without nginx may skip what needs it; continuous integration may not.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

NO_SKIP = "GATEWAY_TESTS_NO_SKIP"


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{NO_SKIP} is set, and this was skipped: {reason}"


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, None]:
    """Fail a skipped test; an expected failure is reported as skipped, and stays."""
    result = yield
    report = result.get_result()
    if os.environ.get(NO_SKIP) == "1" and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, None]:
    """Fail a module that skips itself."""
    result = yield
    report = result.get_result()
    if os.environ.get(NO_SKIP) == "1" and report.skipped:
        _fail(report)
