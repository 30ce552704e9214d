"""Several processes that share the tests: whole files, the longest first, so that they end together.

``make test`` gives out files (pytest-xdist, ``--dist loadfile``) in the order of the table here; a file that
it does not name is short. The end of a run shows what the table should say. Nothing is shared between the
processes: each has its own PostgreSQL server (``tests.databases``), folders and ports.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator

import pytest

SHOWN = 20
LONGEST = (
    "tests/web/test_bandwidth.py",
    "tests/openapi/test_conformance.py",
    "tests/dialects/mainflux/test_webhooks.py",
    "tests/torture/test_torture.py",
    "tests/web/test_refusals.py",
    "tests/commands/test_backup.py",
    "tests/unit/test_embedded.py",
    "tests/unit/test_command_line.py",
    "tests/web/test_edge_faults.py",
    "tests/dialects/losant/test_bad_input.py",
    "tests/web/test_edge.py",
    "tests/web/test_full_disk.py",
    "tests/dialects/losant/test_killed.py",
    "tests/faults/test_concurrency.py",
    "tests/web/test_links.py",
    "tests/commands/test_maintenance.py",
    "tests/commands/test_doctor.py",
    "tests/commands/test_no_deployment.py",
    "tests/test_lint.py",
    "tests/web/test_fastpath.py",
    "tests/dialects/mainflux/test_matrix.py",
    "tests/unit/test_multipart.py",
    "tests/unit/test_model_fuzz.py",
    "tests/oracle/test_oracle.py",
    "tests/faults/test_database_faults.py",
    "tests/contract/test_catalogue.py",
    "tests/web/test_resume.py",
    "tests/dialects/mainflux/test_identity.py",
    "tests/faults/test_io_faults.py",
    "tests/web/test_limits.py",
    "tests/dialects/test_shelf.py",
    "tests/dialects/mainflux/test_keys.py",
)
_RANKS = {name: rank for rank, name in enumerate(LONGEST)}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only where files are given out: one process runs them as they stand in their folders."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _RANKS.get(_file_of(item.nodeid), len(_RANKS)))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """What a test logged may be no text; between processes only text can be said."""
    report = yield
    return _as_text(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The slowest files, where the slowest tests are shown."""
    if not terminalreporter.config.option.durations:
        return
    seconds = defaultdict[str, float](float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[_file_of(report.nodeid)] += report.duration
    terminalreporter.section(f"slowest {SHOWN} files")
    for spent, name in sorted(((s, n) for n, s in seconds.items()), reverse=True)[:SHOWN]:
        terminalreporter.write_line(f"{spent:7.2f}s {name}")


def _file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _as_text(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {key: _as_text(inner) for key, inner in value.items()}
        case list():
            return [_as_text(inner) for inner in value]
        case tuple():
            return tuple(_as_text(inner) for inner in value)
        case _:
            return value
