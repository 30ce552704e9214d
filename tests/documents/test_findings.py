"""Each finding of the security review has its row in docs/security.md, and the tests named there exist."""

from __future__ import annotations

import re

import pytest

from tests.documents import pages

PAGE = "docs/security.md"
FINDINGS = range(1, 39)


def rows() -> dict[int, tuple[str, str]]:
    """What was done and which tests hold it, by number; one that stands twice fails."""
    found: dict[int, tuple[str, str]] = {}
    for line in pages.table(PAGE, "findings").splitlines()[2:]:
        _, number, _, done, tests, _ = (cell.strip() for cell in line.split(" | ".strip()))
        assert int(number) not in found, line
        found[int(number)] = done, tests
    return found


def missing(test: str) -> bool:
    """Whether there is no such file, or no such function in it."""
    path, _, function = test.partition("::")
    if not (pages.ROOT / path).is_file():
        return True
    return bool(function) and re.search(rf"\bdef {function}\(", pages.read(path)) is None


def test_every_finding_has_one_row_in_order() -> None:
    assert list(rows()) == list(FINDINGS)


@pytest.mark.parametrize("number", FINDINGS)
def test_what_was_done_is_said_and_its_tests_exist(number: int) -> None:
    """Where there is no test, what was done is the reason."""
    done, tests = rows()[number]
    named = re.findall(r"`([^`]+)`", tests)
    assert done
    assert [test for test in named if missing(test)] == []
    assert named or tests == "none"


@pytest.mark.parametrize(
    "test", ["tests/documents/test_nothing.py", f"{__name__.replace('.', '/')}.py::test_no_such"]
)
def test_a_test_that_is_not_there_is_missed(test: str) -> None:
    assert missing(test)
