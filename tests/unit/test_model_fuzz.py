"""Suite I, the pure part: any text at all, and none of it breaks or stalls a rule."""

from __future__ import annotations

import base64
import contextlib
import itertools
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.byterange import (
    ByteRange,
    RangePolicy,
    combine_headers,
    is_canonical,
    parse_range,
)
from gateway.model.digest import Claim, parse_digest_field, parse_sha256_text
from gateway.model.disposition import attachment, parse_disposition
from gateway.model.errors import Malformed, Refusal
from gateway.model.file import Scope, check_name
from gateway.model.media import check_content_type, guess_content_type
from gateway.model.precondition import (
    Conditions,
    Outcome,
    Validators,
    evaluate,
    parse_entity_tags,
    parse_http_date,
    range_holds,
)
from tests.chance import examples

T = TypeVar("T")
CURRENT = Validators('"now"', datetime(2026, 11, 21, tzinfo=UTC))
FUZZ = examples(500)

# Surrogates included: that is how bytes which are not UTF-8 come out of header decoding.
ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=60)
FRAGMENT_WORDS = [
    "bytes=", "form-data", "; ", "filename", "name", "*", "=", '"', "\\", "'", "UTF-8''", "%22", "%ff",
    ",", " ", "\t", "-", "0", "9" * 400, "sha-256=:", ":", "AAAA", "(", ")", "W/", "?1", "text/plain",
    "charset", "Sun, 06 Nov 1994 ", "08:49:60", " GMT", "\r\n", "\0", "é", "\udcff",
]  # fmt: skip
FRAGMENTS = st.lists(st.sampled_from(FRAGMENT_WORDS), max_size=14).map("".join)
TEXTS = ANY_TEXT | FRAGMENTS
CHARACTERS = st.sampled_from(list(" \t,;-=\"*\\'0159GWbT/:%()\r\n\0.é\u0663\udcff"))


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """What a rule takes, with up to two characters lost, gained or changed: few texts made of
    nothing come near to it.
    """
    text = draw(texts)
    for _ in range(draw(st.integers(0, 2))):
        place, kind = draw(st.integers(0, len(text))), draw(st.sampled_from(("-", "+", "=")))
        middle = "" if kind == "-" else draw(CHARACTERS)
        text = text[:place] + middle + text[place + (kind != "+") :]
    return text


def _conditional(text: str) -> Outcome:
    conditions = Conditions(text, text, text, text, text)
    range_holds(text, CURRENT)
    return evaluate(conditions, CURRENT, method="GET")


def _date(text: str) -> datetime:
    return _there(parse_http_date(text))


def _tags(text: str) -> tuple[str, ...]:
    return _there(parse_entity_tags(text))


def _canonical(text: str) -> bool:
    return _there(is_canonical(text) or None)


def _there(value: T | None) -> T:
    """Absence is these rules' way to refuse."""
    if value is None:
        raise Malformed("not understood")
    return value


def _field(raw: bytes) -> str:
    return f"sha-256=:{base64.b64encode(raw).decode()}:"


NUMBERS = st.sampled_from(["0", "1", "5", "99", "100", "101", "9" * 18, "9" * 400])
SPANS = st.one_of(
    st.builds("bytes={}-{}".format, NUMBERS, NUMBERS | st.just("")),
    st.builds("bytes=-{}".format, NUMBERS),
)
DATES = st.builds(
    format,
    st.datetimes(datetime(1971, 1, 1), datetime(2069, 1, 1)),  # noqa: DTZ001 - the text says GMT
    st.sampled_from(
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:60 GMT", "%a %b %d %H:%M:%S %Y"]
    ),
)
TAGS = st.lists(st.sampled_from(['"now"', 'W/"now"', '""', '"a,b"', "*"]), max_size=3).map(
    ", ".join
)
DIGESTS = st.lists(
    st.binary(min_size=31, max_size=33).map(_field)
    | st.sampled_from(["md5=:AAAA:", "x=1;y", "a=(1 2)"]),
    min_size=1,
    max_size=3,
).map(", ".join)
DISPOSITIONS = st.builds(
    'form-data; name="file"; {}={}'.format,
    st.sampled_from(["filename", "filename*", "FILENAME", "x"]),
    st.sampled_from(['"a b.bin"', '"a\\\\\\"b"', "a.bin", "UTF-8''%e2%82%ac", "UTF-8''%ff", '""']),
)
TYPES = st.sampled_from(
    ["text/plain", "text/x; charset=utf-8", 'a/b;c="d\\"e"', "application/x-fw"]
)
NAMES = st.sampled_from(["fw.bin", "a" * 255, "é" * 127, "con", "a.", "..", "1 2%3", "\u202e"])

RULES: dict[str, tuple[Callable[[str], object], st.SearchStrategy[str]]] = {
    "range": (lambda text: parse_range(text, 100), SPANS),
    "range strict": (lambda text: parse_range(text, 100, RangePolicy.STRICT_UNITS), SPANS),
    "two range headers": (lambda text: combine_headers([text], [f" {text[:20]} "]), SPANS),
    "canonical": (_canonical, SPANS),
    "conditions": (_conditional, TAGS | DATES),
    "date": (_date, DATES),
    "tags": (_tags, TAGS),
    "digest": (parse_digest_field, DIGESTS),
    "sha256": (parse_sha256_text, st.binary(min_size=32, max_size=32).map(bytes.hex)),
    "disposition": (parse_disposition, DISPOSITIONS),
    "attachment": (attachment, NAMES),
    "content type": (check_content_type, TYPES),
    "guess": (guess_content_type, NAMES),
    "name": (check_name, NAMES),
    "scope": (lambda text: Scope("things", text), NAMES),
}
UNREFUSED = {"conditions", "attachment", "guess"}  # they take any text


@pytest.mark.parametrize("rule", RULES)
def test_no_text_is_answered_by_anything_but_a_value_or_a_refusal(rule: str) -> None:
    """And both come often enough: texts that are all refused would try nothing."""
    apply, plausible = RULES[rule]
    seen = Counter[str]()

    @FUZZ
    @given(text=plausible | damaged(plausible) | TEXTS)
    def never_breaks(text: str) -> None:
        try:
            apply(text)
            seen["taken"] += 1
        except Refusal:
            seen["refused"] += 1

    never_breaks()
    assert ({"taken"} if rule in UNREFUSED else {"taken", "refused"}) == seen.keys()
    assert min(seen.values()) >= 25, seen


PIECES = [
    "a", "0", " ", "\t", ",", ", ", ";", "; ", '"', "\\", '\\"', '"",', "%22", "%", "=", "a=", "a=b;", ";a=b",
    ';a="', '="";', "-", "0-", "1-2,", "W/", '"a" ', ":", "(", "a;", "a,", "/", "é", "\udcff", "\x00",
]  # fmt: skip
LONG = 100_000
LEADS = ["", "bytes=", "x;a=", 'f;a="', "a/b;", '"', "sha-256=:", "f;a*=UTF-8''"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("rule", RULES)
def test_long_text_is_linear_work(rule: str) -> None:
    """
    A hundred thousand characters: quadratic work on them takes minutes, linear work
    milliseconds, so the test's time limit tells them apart on any machine.
    """
    for lead, piece in itertools.product(LEADS, PIECES):
        text = lead + piece * (LONG // len(piece))
        with contextlib.suppress(Refusal):
            RULES[rule][0](text)


# Names in which every second character means something to whoever quotes it.
_PRINTED = st.characters(exclude_categories=["Cs", "Cc"])
QUOTABLE = st.lists(_PRINTED | st.sampled_from(list("\"\\;=% ,'*")), max_size=40).map("".join)


@FUZZ
@given(damaged(NAMES) | TEXTS)
def test_a_checked_name_survives_header_and_reader(text: str) -> None:
    name = _checked(text)
    if name is not None:
        assert ("attachment", {"filename": name}) == parse_disposition(attachment(name))


@FUZZ
@given(damaged(NAMES) | TEXTS)
def test_a_written_name_is_one_line_of_printable_ascii(text: str) -> None:
    assert attachment(text).isascii()
    assert attachment(text).isprintable()


@FUZZ
@given(QUOTABLE.map(lambda name: name.replace("\\", "").replace("%", "")))
def test_a_name_as_a_browser_sends_it_is_read_back(name: str) -> None:
    sent = name.replace('"', "%22")
    value = f'form-data; name="file"; filename="{sent}"'
    assert parse_disposition(value) == ("form-data", {"name": "file", "filename": name})


@FUZZ
@given(QUOTABLE.filter(lambda name: '"' in name or "\\" in name))
def test_a_name_as_old_curl_sends_it_is_read_back(name: str) -> None:
    sent = name.replace("\\", "\\\\").replace('"', '\\"')
    value = f'form-data; name="file"; filename="{sent}"'
    assert parse_disposition(value) == ("form-data", {"name": "file", "filename": name})


@FUZZ
@given(data=st.data(), size=st.integers(0, 3) | st.integers(0, 10**18 - 3))
def test_a_selected_range_lies_within_the_file(data: st.DataObject, size: int) -> None:
    """The numbers are near the ends of the file, where the rules turn."""
    near = st.sampled_from([0, 1, max(0, size - 1), size, size + 1]) | st.integers(0, 10**18 - 1)
    first, last = data.draw(near, "first"), data.draw(near, "last")
    for header in (f"bytes={first}-{last}", f"bytes={first}-", f"bytes=-{last}"):
        assert is_canonical(header)
        try:
            chosen = parse_range(header, size)
        except Refusal:
            continue
        assert chosen is None or 0 <= chosen.start < chosen.stop <= size


@FUZZ
@given(st.integers(0, 99), st.integers(1, 100))
def test_a_content_range_asked_for_again_is_the_same_range(start: int, length: int) -> None:
    chosen = ByteRange(start, min(start + length, 100))
    again = chosen.content_range(100).replace(" ", "=").removesuffix("/100")
    assert chosen == parse_range(again, 100)


@FUZZ
@given(st.datetimes(timezones=st.just(UTC)))
def test_our_own_last_modified_is_understood(moment: datetime) -> None:
    validators = Validators('"x"', moment)
    assert validators.modified_second == parse_http_date(validators.last_modified)
    assert range_holds(validators.last_modified, validators)


@FUZZ
@given(st.binary(min_size=32, max_size=32) | st.binary(max_size=70))
def test_a_digest_field_claims_the_bytes_it_holds_or_nothing(value: bytes) -> None:
    try:
        claims = parse_digest_field(_field(value))
    except Malformed:
        assert len(value) != 32
    else:
        assert claims == (Claim("sha256", value),)


def _checked(text: str) -> str | None:
    try:
        return check_name(text)
    except Malformed:
        return None
