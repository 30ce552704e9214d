"""Suite I, the pure part: any text at all, and none of it breaks or stalls a rule."""

from __future__ import annotations

import base64
import contextlib
import itertools
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
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

CURRENT = Validators('"now"', datetime(2026, 11, 21, tzinfo=UTC))
FUZZ = settings(max_examples=500, deadline=None, database=None, derandomize=True)

# Surrogates included: that is how bytes which are not UTF-8 come out of header decoding.
ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=60)
FRAGMENT_WORDS = [
    "bytes=", "form-data", "; ", "filename", "name", "*", "=", '"', "\\", "'", "UTF-8''", "%22", "%ff",
    ",", " ", "\t", "-", "0", "9" * 400, "sha-256=:", ":", "AAAA", "(", ")", "W/", "?1", "text/plain",
    "charset", "Sun, 06 Nov 1994 ", "08:49:60", " GMT", "\r\n", "\0", "é", "\udcff",
]  # fmt: skip
FRAGMENTS = st.lists(st.sampled_from(FRAGMENT_WORDS), max_size=14).map("".join)
TEXTS = ANY_TEXT | FRAGMENTS


def _conditional(text: str) -> Outcome:
    conditions = Conditions(text, text, text, text, text)
    range_holds(text, CURRENT)
    return evaluate(conditions, CURRENT, method="GET")


RULES: list[Callable[[str], object]] = [
    lambda text: parse_range(text, 100),
    lambda text: parse_range(text, 0, RangePolicy.STRICT_UNITS),
    lambda text: combine_headers([text, text], [text]),
    is_canonical,
    _conditional,
    parse_http_date,
    parse_entity_tags,
    parse_digest_field,
    parse_sha256_text,
    parse_disposition,
    attachment,
    check_content_type,
    guess_content_type,
    check_name,
    lambda text: Scope("things", text),
]
RULE_IDS = [
    "range", "range strict", "two range headers", "canonical", "conditions", "date", "tags", "digest",
    "sha256", "disposition", "attachment", "content type", "guess", "name", "scope",
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=RULE_IDS)
def test_no_text_is_answered_by_anything_but_a_value_or_a_refusal(
    rule: Callable[[str], object],
) -> None:
    @FUZZ
    @given(TEXTS)
    def never_breaks(text: str) -> None:
        with contextlib.suppress(Refusal):
            rule(text)

    never_breaks()


PIECES = [
    "a", "0", " ", "\t", ",", ", ", ";", "; ", '"', "\\", '\\"', '"",', "%22", "%", "=", "a=", "a=b;", ";a=b",
    ';a="', '="";', "-", "0-", "1-2,", "W/", '"a" ', ":", "(", "a;", "a,", "/", "é", "\udcff", "\x00",
]  # fmt: skip
LONG = 100_000
LEADS = ["", "bytes=", "x;a=", 'f;a="', "a/b;", '"', "sha-256=:", "f;a*=UTF-8''"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("rule", RULES, ids=RULE_IDS)
def test_long_text_is_linear_work(rule: Callable[[str], object]) -> None:
    """
    A hundred thousand characters: quadratic work on them takes minutes, linear work
    milliseconds, so the test's time limit tells them apart on any machine.
    """
    for lead, piece in itertools.product(LEADS, PIECES):
        text = lead + piece * (LONG // len(piece))
        with contextlib.suppress(Refusal):
            rule(text)


@FUZZ
@given(TEXTS)
def test_a_checked_name_survives_header_and_reader(text: str) -> None:
    name = _checked(text)
    if name is not None:
        assert ("attachment", {"filename": name}) == parse_disposition(attachment(name))


@FUZZ
@given(TEXTS)
def test_a_written_name_is_one_line_of_printable_ascii(text: str) -> None:
    assert attachment(text).isascii()
    assert attachment(text).isprintable()


@FUZZ
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_a_name_as_a_browser_sends_it_is_read_back(name: str) -> None:
    if "\\" in name or any(mark in name for mark in ("%22", "%0D", "%0A")):
        return
    sent = name.replace('"', "%22")
    value = f'form-data; name="file"; filename="{sent}"'
    assert parse_disposition(value) == ("form-data", {"name": "file", "filename": name})


@FUZZ
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40))
def test_a_name_as_old_curl_sends_it_is_read_back(name: str) -> None:
    if '"' not in name and "\\" not in name:
        return
    sent = name.replace("\\", "\\\\").replace('"', '\\"')
    value = f'form-data; name="file"; filename="{sent}"'
    assert parse_disposition(value) == ("form-data", {"name": "file", "filename": name})


@FUZZ
@given(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1), st.integers(0, 10**18))
def test_a_selected_range_lies_within_the_file(first: int, last: int, size: int) -> None:
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


@settings(FUZZ, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=70))
def test_a_digest_field_claims_the_bytes_it_holds_or_nothing(value: bytes) -> None:
    field = f"sha-256=:{base64.b64encode(value).decode()}:"
    try:
        claims = parse_digest_field(field)
    except Malformed:
        assert len(value) != 32
    else:
        assert claims == (Claim("sha256", value),)


def _checked(text: str) -> str | None:
    try:
        return check_name(text)
    except Malformed:
        return None
