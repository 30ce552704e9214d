"""What a response to a GET or HEAD of a file is, as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from gateway.model.byterange import ByteRange, RangePolicy
from gateway.model.digest import Digest
from gateway.model.errors import (
    GatewayError,
    Malformed,
    PreconditionFailed,
    RangeMalformed,
    RangeUnsatisfiable,
    SeveralRanges,
)
from gateway.model.file import Blob, Scope
from gateway.model.precondition import Conditions, Validators
from gateway.traffic.resolved import Version
from gateway.web.downloads.decide import Asked, Representation, decide

SIZE = 1000
BLOB = Blob(uuid4(), Scope("things", "one"), SIZE, Digest("a" * 64))
VALIDATORS = Validators(BLOB.digest.etag, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
HEADERS = {"ETag": VALIDATORS.etag, "Content-Type": "application/x-firmware"}
VERSION = Version(BLOB, VALIDATORS, HEADERS, b"")

ETAG, OTHER = VALIDATORS.etag, '"another"'
DATE, EARLIER = VALIDATORS.last_modified, "Thu, 01 Jan 2026 03:04:05 GMT"
PIN, OTHER_PIN = "a" * 64, "b" * 64
SOME = ("bytes=10-19",)
LIST = ("bytes=10-19,-5",)
STRICT = RangePolicy.STRICT_UNITS

WHOLE = Representation(200, ByteRange(0, SIZE), HEADERS)
PART = Representation(206, ByteRange(10, 20), HEADERS)
PARTS = Representation(206, None, HEADERS, (ByteRange(10, 20), ByteRange(995, SIZE)))
HEAD = Representation(200, None, {**HEADERS, "Content-Length": "1000"})
UNCHANGED = Representation(304, None, {"ETag": ETAG, "Last-Modified": DATE})
DIGEST = {"Digest": BLOB.digest.legacy_digest}


def given(**conditions: str) -> Conditions:
    return Conditions(**conditions)


def never(_: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("expected", "asked"),
    [
        pytest.param(WHOLE, Asked(), id="all of it"),
        pytest.param(PART, Asked(ranges=SOME), id="a range"),
        pytest.param(
            Representation(206, ByteRange(990, SIZE), HEADERS),
            Asked(ranges=("bytes=990-2000",)),
            id="a range beyond the end is clamped",
        ),
        pytest.param(
            Representation(206, ByteRange(0, SIZE), HEADERS),
            Asked(ranges=("bytes=0-",)),
            id="all of it as a range is a 206",
        ),
        pytest.param(WHOLE, Asked(ranges=("lines=1-2",)), id="another unit is ignored"),
        pytest.param(PART, Asked(other_ranges=SOME), id="a range by its other name"),
        pytest.param(PART, Asked(ranges=SOME, other_ranges=SOME), id="by both names, alike"),
        pytest.param(HEAD, Asked(method="HEAD"), id="HEAD has the length and no body"),
        pytest.param(HEAD, Asked(method="HEAD", ranges=SOME), id="HEAD has no ranges"),
        pytest.param(
            HEAD, Asked(method="HEAD", ranges=("nonsense",)), id="of which none is malformed"
        ),
        pytest.param(
            Representation(200, ByteRange(0, SIZE), HEADERS | DIGEST),
            Asked(wants_digest=True),
            id="the digest in its old form, if asked for",
        ),
        pytest.param(
            Representation(206, ByteRange(10, 20), HEADERS | DIGEST),
            Asked(ranges=SOME, wants_digest=True),
            id="on a part, too",
        ),
        pytest.param(
            UNCHANGED, Asked(conditions=given(if_none_match=ETAG)), id="If-None-Match knows it"
        ),
        pytest.param(
            WHOLE, Asked(conditions=given(if_none_match=OTHER)), id="If-None-Match knows another"
        ),
        pytest.param(
            UNCHANGED,
            Asked(ranges=SOME, conditions=given(if_none_match=ETAG)),
            id="a 304 comes before the range",
        ),
        pytest.param(
            UNCHANGED,
            Asked(ranges=("nonsense",), conditions=given(if_none_match=ETAG)),
            id="and before its mistakes",
        ),
        pytest.param(
            UNCHANGED,
            Asked(method="HEAD", conditions=given(if_modified_since=DATE)),
            id="If-Modified-Since, on HEAD",
        ),
        pytest.param(PART, Asked(ranges=SOME, conditions=given(if_match=ETAG)), id="If-Match"),
        pytest.param(PART, Asked(ranges=SOME, conditions=given(if_range=ETAG)), id="If-Range"),
        pytest.param(
            PART, Asked(ranges=SOME, conditions=given(if_range=DATE)), id="If-Range by date"
        ),
        pytest.param(
            WHOLE, Asked(ranges=SOME, conditions=given(if_range=OTHER)), id="If-Range of another"
        ),
        pytest.param(
            WHOLE, Asked(ranges=SOME, conditions=given(if_range=EARLIER)), id="of another date"
        ),
        pytest.param(
            WHOLE,
            Asked(ranges=("bytes=5000-",), conditions=given(if_range=OTHER)),
            id="whose range is not looked at",
        ),
        pytest.param(PART, Asked(ranges=SOME, pins=(PIN,)), id="an address that names it"),
        pytest.param(PARTS, Asked(ranges=LIST, several=True), id="several, where they are taken"),
        pytest.param(
            PARTS, Asked(ranges=("bytes=10-19", "-5"), several=True), id="in two lines, alike"
        ),
        pytest.param(PART, Asked(ranges=("bytes=10-19,2000-",), several=True), id="one is there"),
        pytest.param(WHOLE, Asked(ranges=("bytes=10-19,19-20",), several=True), id="which overlap"),
        pytest.param(
            WHOLE,
            Asked(ranges=LIST, several=True, conditions=given(if_range=OTHER)),
            id="several of another version",
        ),
        pytest.param(HEAD, Asked(method="HEAD", ranges=LIST, several=True), id="several, of HEAD"),
    ],
)
def test_what_the_response_is(expected: Representation, asked: Asked) -> None:
    assert expected == decide(asked, VERSION, never)


@pytest.mark.parametrize(
    ("expected", "asked"),
    [
        pytest.param(RangeMalformed, Asked(ranges=("nonsense",)), id="no range at all"),
        pytest.param(SeveralRanges, Asked(ranges=("bytes=0-1,4-5",)), id="several"),
        pytest.param(RangeMalformed, Asked(ranges=SOME * 2), id="two lines are one header"),
        pytest.param(
            SeveralRanges, Asked(ranges=SOME, other_ranges=("bytes=0-1",)), id="two that differ"
        ),
        pytest.param(RangeUnsatisfiable, Asked(ranges=("bytes=1000-",)), id="beyond the end"),
        pytest.param(
            RangeMalformed, Asked(ranges=("lines=1-2",), policy=STRICT), id="a unit, strictly"
        ),
        pytest.param(PreconditionFailed, Asked(conditions=given(if_match=OTHER)), id="If-Match"),
        pytest.param(
            PreconditionFailed,
            Asked(method="HEAD", conditions=given(if_unmodified_since=EARLIER)),
            id="If-Unmodified-Since",
        ),
        pytest.param(
            PreconditionFailed,
            Asked(ranges=("nonsense",), conditions=given(if_match=OTHER)),
            id="before the range is looked at",
        ),
        pytest.param(PreconditionFailed, Asked(pins=(OTHER_PIN,)), id="another is named"),
        pytest.param(PreconditionFailed, Asked(pins=(PIN, OTHER_PIN)), id="two are named"),
        pytest.param(Malformed, Asked(pins=("x",)), id="no digest is named"),
        pytest.param(
            PreconditionFailed,
            Asked(pins=(OTHER_PIN,), conditions=given(if_none_match=ETAG)),
            id="a pin comes before all else",
        ),
    ],
)
def test_what_is_refused(expected: type[GatewayError], asked: Asked) -> None:
    with pytest.raises(expected):
        decide(asked, VERSION, never)


@pytest.mark.parametrize(
    ("refused", "asked"),
    [
        pytest.param(True, Asked(ranges=SOME), id="a bare range"),
        pytest.param(True, Asked(ranges=("bytes=1000-",)), id="before its bounds are looked at"),
        pytest.param(True, Asked(ranges=SOME, conditions=given(if_none_match=OTHER)), id="still"),
        pytest.param(False, Asked(), id="no range"),
        pytest.param(False, Asked(method="HEAD", ranges=SOME), id="HEAD"),
        pytest.param(False, Asked(ranges=SOME, pins=(PIN,)), id="the version is in the address"),
        pytest.param(False, Asked(ranges=SOME, conditions=given(if_match=ETAG)), id="If-Match"),
        pytest.param(False, Asked(ranges=SOME, conditions=given(if_range=ETAG)), id="If-Range"),
        pytest.param(False, Asked(ranges=SOME, conditions=given(if_range=OTHER)), id="of another"),
        pytest.param(
            False, Asked(ranges=SOME, conditions=given(if_unmodified_since=DATE)), id="a date"
        ),
    ],
)
def test_what_would_go_on_with_other_bytes(*, refused: bool, asked: Asked) -> None:
    """Only a range that names no version is held against what was begun."""
    try:
        decide(asked, VERSION, lambda _: True)
    except PreconditionFailed:
        assert refused
    else:
        assert not refused


def test_headers_that_say_nothing_new_are_the_very_ones_that_were_rendered() -> None:
    """Which is how their rendered lines are known to be theirs."""
    assert decide(Asked(ranges=SOME), VERSION, never).headers is VERSION.headers


def test_a_304_says_how_long_it_may_be_kept_and_nothing_else_of_the_file() -> None:
    kept = replace(VERSION, headers={**HEADERS, "Cache-Control": "max-age=5"})
    found = decide(Asked(conditions=given(if_none_match=ETAG)), kept, never)
    assert found.headers == {"ETag": ETAG, "Last-Modified": DATE, "Cache-Control": "max-age=5"}


def test_whoever_knows_of_earlier_downloads_is_asked_about_the_range() -> None:
    heard = list[str]()

    def goes_on(header: str) -> bool:
        heard.append(header)
        return False

    decide(Asked(ranges=SOME), VERSION, goes_on)
    assert heard == list(SOME)


def test_several_ranges_of_another_unit_are_a_mistake_where_one_is() -> None:
    asked = Asked(ranges=("lines=1-2,3-4",), several=True)
    assert decide(asked, VERSION, never) == WHOLE
    with pytest.raises(RangeMalformed):
        decide(replace(asked, policy=STRICT), VERSION, never)
