"""Byte ranges: the table of the design, RFC 9110, sections 14.1 to 14.2."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.model.byterange import (
    ByteRange,
    RangePolicy,
    combine_headers,
    is_canonical,
    parse_range,
    parse_ranges,
)
from gateway.model.errors import RangeMalformed, RangeUnsatisfiable, SeveralRanges

HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(None, None, id="no header is the whole file"),
        pytest.param("bytes=0-0", ByteRange(0, 1), id="the first byte"),
        pytest.param("bytes=10-19", ByteRange(10, 20), id="ten in the middle"),
        pytest.param("bytes=99-99", ByteRange(99, 100), id="the last byte"),
        pytest.param("bytes=0-99", ByteRange(0, 100), id="all of it is still a range"),
        pytest.param("bytes=90-", ByteRange(90, 100), id="open end"),
        pytest.param("bytes=0-100", ByteRange(0, 100), id="one past the end is clamped"),
        pytest.param("bytes=90-200", ByteRange(90, 100), id="far past the end is clamped"),
        pytest.param(f"bytes=1-{HUGE}", ByteRange(1, 100), id="an absurd end is clamped"),
        pytest.param("bytes=-5", ByteRange(95, 100), id="suffix"),
        pytest.param("bytes=-100", ByteRange(0, 100), id="suffix as long as the file"),
        pytest.param("bytes=-101", ByteRange(0, 100), id="suffix longer than the file"),
        pytest.param(f"bytes=-{HUGE}", ByteRange(0, 100), id="absurd suffix"),
        pytest.param(f"bytes={'0' * 5000}7-8", ByteRange(7, 9), id="leading zeros"),
        pytest.param("BYTES=0-9", ByteRange(0, 10), id="the unit has no case"),
        pytest.param(" bytes=0-9\t", ByteRange(0, 10), id="white space around the value"),
        pytest.param("bytes= \t0-9 ", ByteRange(0, 10), id="white space around the element"),
        pytest.param("bytes=0-9,", ByteRange(0, 10), id="empty element after"),
        pytest.param("bytes=, ,\t0-9 , ,", ByteRange(0, 10), id="empty elements all around"),
    ],
)
@pytest.mark.parametrize("policy", RangePolicy)
def test_a_range_of_a_hundred_bytes(
    header: str | None, expected: ByteRange | None, policy: RangePolicy
) -> None:
    assert expected == parse_range(header, 100, policy)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="empty value"),
        pytest.param("bytes", id="no equals sign"),
        pytest.param("0-9", id="no unit"),
        pytest.param("=0-9", id="empty unit"),
        pytest.param("bytes =0-9", id="space in the unit"),
        pytest.param("bytes=", id="empty set"),
        pytest.param("bytes=,", id="only empty elements"),
        pytest.param("bytes=-", id="lone dash"),
        pytest.param("bytes=5", id="no dash"),
        pytest.param("bytes=5-2", id="reversed"),
        pytest.param(f"bytes={HUGE}0-{HUGE}", id="reversed and absurd"),
        pytest.param("bytes=+1-2", id="sign"),
        pytest.param("bytes=--5", id="negative suffix"),
        pytest.param("bytes=1--5", id="negative end"),
        pytest.param("bytes=0 -9", id="space before the dash"),
        pytest.param("bytes=0- 9", id="space after the dash"),
        pytest.param("bytes=1 0-19", id="space within a number"),
        pytest.param("bytes=0x1-9", id="hexadecimal"),
        pytest.param("bytes=1_0-19", id="underscore"),
        pytest.param("bytes=\u0661-9", id="arabic digit"),
        pytest.param("bytes=\u0661-", id="arabic digit alone"),
        pytest.param("bytes=-\u0661", id="arabic suffix"),
        pytest.param("bytes=\uff11-9", id="full width digit"),
        pytest.param("bytes=\xa00-9", id="no-break space"),
        pytest.param("bytes=0-9\n", id="line feed"),
        pytest.param("bytes=0-9;q=1", id="parameter"),
        pytest.param("bytes=0-9=", id="second equals sign"),
        pytest.param("bytes=0-1,x", id="one of two malformed"),
        pytest.param("bytes=0-1,5-2", id="one of two reversed"),
        pytest.param("bytes=500-600,-", id="malformed beats unsatisfiable"),
    ],
)
@pytest.mark.parametrize("policy", RangePolicy)
def test_what_cannot_be_understood_is_malformed(header: str, policy: RangePolicy) -> None:
    with pytest.raises(RangeMalformed):
        parse_range(header, 100, policy)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("bytes=0-1,3-4", id="two"),
        pytest.param("bytes=0-1 , 3-4", id="two with spaces"),
        pytest.param("bytes=0-1,0-1", id="the same twice"),
        pytest.param("bytes=0-1,900-", id="the second is unsatisfiable"),
        pytest.param("bytes=800-,900-", id="both are unsatisfiable"),
    ],
)
def test_several_ranges_are_refused_as_such(header: str) -> None:
    with pytest.raises(SeveralRanges):
        parse_range(header, 100)


def spans(*pairs: tuple[int, int]) -> tuple[ByteRange, ...]:
    return tuple(ByteRange(start, stop) for start, stop in pairs)


def listed(count: int, *, step: int = 3, width: int = 2) -> str:
    return ",".join(f"{n * step}-{n * step + width - 1}" for n in range(count))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(None, None, id="no header is the whole file"),
        pytest.param("bytes=5-9", spans((5, 10)), id="one"),
        pytest.param("bytes=0-1,3-4", spans((0, 2), (3, 5)), id="two"),
        pytest.param("bytes=0-1,2-3", spans((0, 2), (2, 4)), id="side by side they stay two"),
        pytest.param("bytes=-2,0-0", spans((98, 100), (0, 1)), id="in the order asked for"),
        pytest.param("bytes=0-1,900-", spans((0, 2)), id="of two one is there"),
        pytest.param("bytes=0-1,-0,-1", spans((0, 2), (99, 100)), id="of three two are there"),
        pytest.param("bytes=0-1,90-200", spans((0, 2), (90, 100)), id="clamped"),
        pytest.param("bytes=0-1,0-1", None, id="the same twice"),
        pytest.param("bytes=0-5,5-9", None, id="they share a byte"),
        pytest.param("bytes=50-60,0-99", None, id="one within the other"),
        pytest.param("bytes=0-10,20-,-1", None, id="the last two overlap"),
        pytest.param("items=0-1,3-4", None, id="another unit"),
    ],
)
def test_several_ranges_of_a_hundred_bytes_where_they_are_taken(
    header: str | None, expected: tuple[ByteRange, ...] | None
) -> None:
    assert expected == parse_ranges(header, 100)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(listed(256), 256, id="as many as are taken"),
        pytest.param(listed(257), None, id="one more"),
        pytest.param(listed(255) + ",2000-,2000-", None, id="one more, of which two are not there"),
        pytest.param("900-901," + listed(15), 16, id="sixteen in disorder"),
        pytest.param("900-901," + listed(16), None, id="seventeen in disorder"),
    ],
)
def test_the_list_is_bounded_and_beyond_it_is_the_whole_file(
    header: str, expected: int | None
) -> None:
    taken = parse_ranges(f"bytes={header}", 1000)
    assert expected == (None if taken is None else len(taken))


def test_of_several_ranges_none_is_there() -> None:
    with pytest.raises(RangeUnsatisfiable):
        parse_ranges("bytes=800-,900-,-0", 100)
    with pytest.raises(RangeUnsatisfiable):
        parse_ranges("bytes=0-0,1-", 0)
    assert parse_ranges("bytes=0-0,-5", 0) is None


@pytest.mark.parametrize("header", ["bytes=0-1,x", "bytes=0-1,5-2", "bytes=" + listed(300) + ",-"])
def test_one_that_cannot_be_understood_spoils_the_list(header: str) -> None:
    with pytest.raises(RangeMalformed):
        parse_ranges(header, 100)


@pytest.mark.parametrize(
    ("header", "size"),
    [
        pytest.param("bytes=100-", 100, id="starts at the end"),
        pytest.param("bytes=100-200", 100, id="lies behind the end"),
        pytest.param(f"bytes={HUGE}-", 100, id="starts absurdly far away"),
        pytest.param(f"bytes={HUGE}-{HUGE}", 100, id="lies absurdly far away"),
        pytest.param("bytes=-0", 100, id="no last bytes"),
        pytest.param("bytes=-000", 100, id="no last bytes with zeros"),
        pytest.param("bytes=0-", 0, id="empty file, open end"),
        pytest.param("bytes=0-0", 0, id="empty file, first byte"),
        pytest.param("bytes=-0", 0, id="empty file, no last bytes"),
    ],
)
def test_a_range_without_a_byte_is_unsatisfiable(header: str, size: int) -> None:
    with pytest.raises(RangeUnsatisfiable) as refusal:
        parse_range(header, size)
    assert size == refusal.value.size


def test_a_file_of_exabytes_is_addressed_to_the_byte() -> None:
    size = 2**64
    assert parse_range(f"bytes={size - 2}-{size - 2}", size) == ByteRange(size - 2, size - 1)
    assert parse_range(f"bytes={size - 1}-{HUGE}", size) == ByteRange(size - 1, size)
    assert parse_range(f"bytes=-{size - 1}", size) == ByteRange(1, size)


def test_any_suffix_of_an_empty_file_is_the_whole_empty_file() -> None:
    assert parse_range("bytes=-5", 0) is None


@pytest.mark.parametrize("header", ["items=0-9", "none=", "byte=0-9", "seconds=1-2,x"])
def test_an_unknown_unit_is_ignored_or_malformed_as_the_policy_says(header: str) -> None:
    assert parse_range(header, 100, RangePolicy.LENIENT_UNITS) is None
    with pytest.raises(RangeMalformed):
        parse_range(header, 100, RangePolicy.STRICT_UNITS)


def test_content_range_names_the_last_byte_not_the_one_after_it() -> None:
    asked = ByteRange(5, 10)
    assert asked.length == 5
    assert asked.content_range(100) == "bytes 5-9/100"


@pytest.mark.parametrize(
    "header", ["bytes=0-0", "bytes=5-", "bytes=-5", "bytes=9-2", "bytes=-" + "9" * 18]
)
def test_a_header_that_every_server_reads_alike_is_canonical(header: str) -> None:
    assert is_canonical(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes=",
        "bytes=-",
        "Bytes=0-1",
        "bytes= 0-1",
        "bytes=0-1 ",
        "bytes=0-1\n",
        "bytes=0-1,",
        "bytes=0-1,2-3",
        "items=0-1",
        "bytes=" + "1" * 19 + "-",
        "bytes=0-" + "1" * 19,
        "bytes=\u0661-",
    ],
)
def test_any_oddity_makes_a_header_not_canonical(header: str) -> None:
    assert not is_canonical(header)


@pytest.mark.parametrize(
    ("lines", "alternative", "expected"),
    [
        pytest.param([], [], None, id="neither"),
        pytest.param(["bytes=0-1"], [], "bytes=0-1", id="only Range"),
        pytest.param([], ["bytes=0-1"], "bytes=0-1", id="only the alternative"),
        pytest.param(["bytes=0-1"], ["bytes=0-1"], "bytes=0-1", id="both alike"),
        pytest.param(["bytes=0-1"], [" bytes=0-1 "], "bytes=0-1", id="alike but for spaces"),
        pytest.param(["bytes=0-1", "3-4"], [], "bytes=0-1, 3-4", id="two lines are one list"),
        pytest.param([""], [], "", id="an empty value is a value"),
    ],
)
def test_the_two_range_headers_become_one(
    lines: Sequence[str], alternative: Sequence[str], expected: str | None
) -> None:
    assert expected == combine_headers(lines, alternative)


@pytest.mark.parametrize("alternative", ["bytes=0-2", ""])
def test_two_range_headers_that_differ_are_several_ranges(alternative: str) -> None:
    with pytest.raises(SeveralRanges):
        combine_headers(["bytes=0-1"], [alternative])


def test_what_is_beyond_any_file_is_left_out_of_several() -> None:
    endless = "9" * 30
    ranges = parse_ranges(f"bytes=0-1,{endless}-,5-{endless}", 100)
    assert ranges == (ByteRange(0, 2), ByteRange(5, 100))
    assert parse_ranges(f"bytes=-{endless}", 100) == (ByteRange(0, 100),)
    with pytest.raises(RangeUnsatisfiable) as refusal:
        parse_ranges(f"bytes={endless}-,100-", 100)
    assert refusal.value.size == 100


def test_several_ranges_of_another_unit_are_as_one_of_it() -> None:
    assert parse_ranges("items=0-1,2-3", 100) is None
    with pytest.raises(RangeMalformed):
        parse_ranges("items=0-1,2-3", 100, RangePolicy.STRICT_UNITS)


@pytest.mark.parametrize("space", ["\xa0", "\x0b", "\u2003"])
def test_only_spaces_and_tabs_are_about_a_header(space: str) -> None:
    header = f"{space}bytes=0-1{space}"
    assert combine_headers([header], []) == header
    assert combine_headers([header], [header]) == header
    assert combine_headers([f" {header}\t", "x"], []) == f"{header}, x"
