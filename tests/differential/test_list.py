"""The list of fast ways in the documents is the code's, and each has its test and its defect.

After a change of ways: ``python -m tests.differential.test_list`` rewrites the table.
"""

from __future__ import annotations

import pytest

from gateway.settings.fastways import FastWay
from tests.differential import test_commits, test_front, test_reads, test_store, test_uploads
from tests.differential.defects import DEFECTS
from tests.documents import pages

PAGE = "docs/architecture.md"
TESTS = {
    FastWay.CONNECTION: "test_reads.py",
    FastWay.BYPASS: "test_uploads.py",
    FastWay.HANDOVER: "test_uploads.py",
    FastWay.PUBLISH_TOGETHER: "test_store.py",
    FastWay.COMMIT_TOGETHER: "test_commits.py",
    FastWay.WRITE_BACK: "test_store.py",
    FastWay.FAST_PATH: "test_reads.py",
    FastWay.SENDFILE: "test_reads.py",
    FastWay.READ_READY: "test_reads.py",
    FastWay.READ_CACHE: "test_reads.py",
    FastWay.CREDENTIAL_CACHE: "test_reads.py",
    FastWay.ACCEL: "test_front.py",
    FastWay.EDGE: "test_front.py",
}
PLANTED = {
    "test_uploads.py": {DEFECTS[name].way for name in test_uploads.DEFECTS},
    "test_reads.py": {DEFECTS[name].way for name in test_reads.DEFECTS},
    "test_front.py": {DEFECTS[name].way for name in test_front.DEFECTS},
    "test_store.py": set(test_store.DEFECTS),
    "test_commits.py": set(test_commits.DEFECTS),
}


def table() -> str:
    """What the table has to be."""
    rows = ["| Name | In place of the plain way | Held to it by |", "|---|---|---|"]
    rows += [f"| `{way}` | {way.does} | `tests/differential/{TESTS[way]}` |" for way in FastWay]
    return "\n".join(rows) + "\n"


def test_the_document_lists_every_fast_way_as_it_is() -> None:
    assert table() == pages.table(PAGE, "fast ways")


@pytest.mark.parametrize("way", FastWay)
def test_a_way_has_a_test_that_notices_its_defect(way: FastWay) -> None:
    assert (pages.ROOT / "tests" / "differential" / TESTS[way]).is_file()
    assert way in PLANTED[TESTS[way]]


if __name__ == "__main__":
    pages.rewrite(PAGE, "fast ways", table())
