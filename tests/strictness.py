"""Under ``GATEWAY_TESTS_NO_SKIP=1`` a test that did not run is a test that failed.

A laptop without nginx may skip what needs it; continuous integration may not. Nor may a test be lost
on its way to one of several processes: what was collected is counted, and so is what ended.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence

import pytest

NO_SKIP = "GATEWAY_TESTS_NO_SKIP"


class Tally:
    """How many tests there are, and how many have ended, in whichever process."""

    def __init__(self) -> None:
        self.collected = 0
        self.ended = 0

    @property
    def sentence(self) -> str:
        return f"{self.ended} of {self.collected} tests were run"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """The tests of this process; it has none where others run them."""
        self.collected = max(self.collected, len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: Sequence[str]) -> None:
        """Every process collects all of them."""
        self.collected = max(self.collected, len(ids))

    def pytest_runtest_logfinish(self) -> None:
        self.ended += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        lost = self.ended < self.collected and not _runs_for_another(session.config)
        if os.environ.get(NO_SKIP) == "1" and lost and not session.config.option.collectonly:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if os.environ.get(NO_SKIP) == "1":
            terminalreporter.write_line(self.sentence)


def pytest_configure(config: pytest.Config) -> None:
    """Count."""
    config.pluginmanager.register(Tally())


def _runs_for_another(config: pytest.Config) -> bool:
    """Whether this process is one of several, and another one counts."""
    return hasattr(config, "workerinput")


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
