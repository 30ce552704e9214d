"""What is remembered of unfinished downloads: for how long, of how many, and of whom."""

from __future__ import annotations

import pytest

from gateway.model.byterange import ByteRange
from gateway.model.file import Scope
from gateway.settings.core import Settings
from gateway.traffic.resumes import REMEMBERED_SECONDS, ResumeGuard
from gateway.wiring import remembered_downloads

SIZE = 1000
OLD, NEW = "old", "new"
SCOPE = Scope("things", "one")
KEY, OTHER_KEY = b"key", b"another"


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def begun(downloads: ResumeGuard, key: bytes = KEY) -> None:
    """A whole answer of which half was handed out."""
    download = downloads.record_response(key, OLD, ByteRange(0, SIZE), SIZE)
    assert download is not None
    download.sent(0, 500)


def mixes(downloads: ResumeGuard, text: str = "200-", key: bytes = KEY) -> bool:
    return downloads.continues_other_version(key, NEW, f"bytes={text}")


@pytest.mark.parametrize(
    ("text", "mixed"),
    [
        ("1-", True),
        ("500-", True),
        ("501-", False),
        ("0-", False),
        ("000-", False),
        ("500-600", True),
        ("500-499", False),
        ("499-600", False),
        ("-500", False),
        ("500-,600-", False),
        ("5x-", False),
        (f"{19 * '1'}-", False),
    ],
)
def test_an_open_range_goes_on_within_what_left_and_a_closed_one_just_behind(
    text: str, mixed: bool
) -> None:
    downloads = ResumeGuard(10)
    begun(downloads)
    assert mixed is mixes(downloads, text)


def test_the_unit_is_read_in_any_case() -> None:
    downloads = ResumeGuard(10)
    begun(downloads)
    assert downloads.continues_other_version(KEY, NEW, "Bytes=1-")


@pytest.mark.parametrize(("moved", "mixed"), [(-1.0, True), (0.0, False)])
def test_a_download_is_remembered_for_a_day(moved: float, mixed: bool) -> None:
    clock = Hand()
    downloads = ResumeGuard(10, clock=clock)
    begun(downloads)
    clock.now += REMEMBERED_SECONDS + moved
    assert mixed is mixes(downloads)
    assert len(downloads) == mixed


def test_the_least_recently_used_is_forgotten_first() -> None:
    downloads = ResumeGuard(2)
    assert downloads.record_response(KEY, OLD, ByteRange(0, 100), SIZE) is None
    begun(downloads, OTHER_KEY)
    assert downloads.record_response(KEY, OLD, ByteRange(100, 200), SIZE) is None
    begun(downloads, b"third")
    assert [True, False, True] == [
        mixes(downloads, "200-", key) for key in (KEY, OTHER_KEY, b"third")
    ]
    assert len(downloads) == 2


def test_who_begins_again_and_again_is_one_download() -> None:
    downloads = ResumeGuard(2)
    begun(downloads, OTHER_KEY)
    for _ in range(5):
        begun(downloads)
    assert mixes(downloads, key=OTHER_KEY)


def test_no_entries_are_no_memory() -> None:
    downloads = ResumeGuard(0)
    begun(downloads)
    assert not mixes(downloads)
    assert len(downloads) == 0


@pytest.mark.parametrize(("received", "mixed"), [(True, False), (False, True)])
def test_what_ended_counts_again_when_it_did_not_arrive(received: bool, mixed: bool) -> None:
    downloads = ResumeGuard(10)
    download = downloads.record_response(KEY, OLD, ByteRange(0, SIZE), SIZE)
    assert download is not None
    download.sent(0, SIZE)
    download.end()
    assert not mixes(downloads)
    download.acknowledged(received)
    assert mixed is mixes(downloads)
    assert len(downloads) == mixed


def test_the_end_of_a_download_leaves_the_one_begun_since_alone() -> None:
    downloads = ResumeGuard(10)
    first = downloads.record_response(KEY, OLD, ByteRange(0, SIZE), SIZE)
    assert first is not None
    begun(downloads)
    first.acknowledged(received=True)
    assert mixes(downloads)


def test_an_end_that_lies_apart_adds_nothing_to_what_left() -> None:
    downloads = ResumeGuard(10)
    begun(downloads)
    tail = downloads.record_response(KEY, OLD, ByteRange(900, SIZE), SIZE)
    assert tail is not None
    tail.sent(900, SIZE)
    assert not mixes(downloads, "600-")


@pytest.mark.parametrize("span", [ByteRange(200, 300), ByteRange(200, SIZE)], ids=["more", "all"])
def test_what_is_read_of_another_version_is_no_progress(span: ByteRange) -> None:
    """By a range that names it, for instance."""
    downloads = ResumeGuard(10)
    downloads.record_response(KEY, OLD, ByteRange(0, 200), SIZE)
    assert downloads.record_response(KEY, NEW, span, SIZE) is None
    assert mixes(downloads, "200-299")
    assert not mixes(downloads, "201-")


def test_what_was_forgotten_is_not_refused() -> None:
    downloads = ResumeGuard(10)
    begun(downloads)
    downloads.forget(KEY)
    downloads.forget(KEY)
    assert not mixes(downloads)


def test_credential_scope_and_name_each_make_another_key() -> None:
    downloads = ResumeGuard(10)
    asked = [
        (("Thing a",), SCOPE, "f"),
        (("Thing b",), SCOPE, "f"),
        (("Thing a",), Scope("groups", "one"), "f"),
        (("Thing a",), Scope("things", "two"), "f"),
        (("Thing a",), SCOPE, "g"),
        (("Thing a", "f"), SCOPE, ""),
        (("Thing \udcff",), SCOPE, "f"),
    ]
    keys = [downloads.read_id(*one) for one in asked]
    assert len(set(keys)) == len(asked)
    assert keys == [downloads.read_id(*one) for one in asked]
    assert {16} == {len(key) for key in keys}


def test_a_key_tells_nothing_without_its_process() -> None:
    asked = (("Thing a",), SCOPE, "f")
    assert ResumeGuard(10).read_id(*asked) != ResumeGuard(10).read_id(*asked)


@pytest.mark.parametrize(("workers", "entries"), [(1, 7), (2, 0)])
def test_beside_other_workers_nothing_is_remembered(workers: int, entries: int) -> None:
    """Who begins anew at one of them must not be refused by another."""
    settings = Settings(workers=workers, unfinished_entries=7)
    assert entries == remembered_downloads(settings)
