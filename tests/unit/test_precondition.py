"""Preconditions: RFC 9110, section 13, and the dates and entity tags they are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.model.precondition import (
    Conditions,
    Outcome,
    Validators,
    evaluate,
    parse_entity_tags,
    parse_http_date,
    range_holds,
)

PROCEED, NOT_MODIFIED, FAILED = Outcome.PROCEED, Outcome.NOT_MODIFIED, Outcome.FAILED
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
EXACTLY = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
MOMENT = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
CURRENT = Validators('"now"', MOMENT + timedelta(microseconds=999_999))
WEAK = Validators('W/"now"', MOMENT)


def _conditions(**headers: str) -> Conditions:
    return Conditions(**headers)


@pytest.mark.parametrize(
    ("headers", "read", "write"),
    [
        pytest.param({}, PROCEED, PROCEED, id="unconditional"),
        pytest.param({"if_match": '"now"'}, PROCEED, PROCEED, id="If-Match equal"),
        pytest.param({"if_match": "*"}, PROCEED, PROCEED, id="If-Match any"),
        pytest.param({"if_match": '"a", "now"'}, PROCEED, PROCEED, id="If-Match one of two"),
        pytest.param({"if_match": '"old"'}, FAILED, FAILED, id="If-Match other"),
        pytest.param({"if_match": 'W/"now"'}, FAILED, FAILED, id="If-Match is strong"),
        pytest.param({"if_match": "now"}, FAILED, FAILED, id="If-Match unparsable"),
        pytest.param({"if_match": '"now" x'}, FAILED, FAILED, id="If-Match with junk"),
        pytest.param({"if_match": ""}, FAILED, FAILED, id="If-Match of nothing"),
        pytest.param({"if_match": '*, "now"'}, FAILED, FAILED, id="If-Match any in a list"),
        pytest.param({"if_none_match": '"now"'}, NOT_MODIFIED, FAILED, id="INM equal"),
        pytest.param({"if_none_match": 'W/"now"'}, NOT_MODIFIED, FAILED, id="INM is weak"),
        pytest.param({"if_none_match": "*"}, NOT_MODIFIED, FAILED, id="INM any"),
        pytest.param({"if_none_match": '"a","now"'}, NOT_MODIFIED, FAILED, id="INM one of two"),
        pytest.param({"if_none_match": '"old"'}, PROCEED, PROCEED, id="INM other"),
        pytest.param({"if_none_match": ""}, PROCEED, PROCEED, id="INM of nothing"),
        pytest.param({"if_none_match": "now"}, PROCEED, FAILED, id="INM unparsable"),
        pytest.param({"if_modified_since": EARLIER}, PROCEED, PROCEED, id="IMS earlier"),
        pytest.param({"if_modified_since": EXACTLY}, NOT_MODIFIED, PROCEED, id="IMS exactly"),
        pytest.param({"if_modified_since": LATER}, NOT_MODIFIED, PROCEED, id="IMS later"),
        pytest.param({"if_modified_since": "today"}, PROCEED, PROCEED, id="IMS unparsable"),
        pytest.param({"if_unmodified_since": EARLIER}, FAILED, FAILED, id="IUS earlier"),
        pytest.param({"if_unmodified_since": EXACTLY}, PROCEED, PROCEED, id="IUS exactly"),
        pytest.param({"if_unmodified_since": LATER}, PROCEED, PROCEED, id="IUS later"),
        pytest.param({"if_unmodified_since": "today"}, PROCEED, PROCEED, id="IUS unparsable"),
        pytest.param(
            {"if_match": '"now"', "if_unmodified_since": EARLIER},
            PROCEED,
            PROCEED,
            id="If-Match hides IUS",
        ),
        pytest.param(
            {"if_none_match": '"old"', "if_modified_since": LATER},
            PROCEED,
            PROCEED,
            id="INM hides IMS",
        ),
        pytest.param(
            {"if_none_match": "junk", "if_modified_since": LATER},
            PROCEED,
            FAILED,
            id="unparsable INM hides IMS too",
        ),
        pytest.param(
            {"if_match": '"old"', "if_none_match": '"now"'}, FAILED, FAILED, id="412 before 304"
        ),
        pytest.param(
            {"if_unmodified_since": EARLIER, "if_none_match": '"now"'},
            FAILED,
            FAILED,
            id="IUS before INM",
        ),
        pytest.param({"if_range": '"old"'}, PROCEED, PROCEED, id="If-Range is no precondition"),
    ],
)
def test_the_outcome_for_what_exists(
    headers: dict[str, str], read: Outcome, write: Outcome
) -> None:
    for method in ("GET", "HEAD"):
        assert read is evaluate(_conditions(**headers), CURRENT, method=method)
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert write is evaluate(_conditions(**headers), CURRENT, method=method)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, PROCEED, id="unconditional"),
        pytest.param({"if_match": "*"}, FAILED, id="If-Match any"),
        pytest.param({"if_match": '"now"'}, FAILED, id="If-Match"),
        pytest.param({"if_none_match": "*"}, PROCEED, id="If-None-Match any creates"),
        pytest.param({"if_none_match": '"now"'}, PROCEED, id="If-None-Match"),
        pytest.param({"if_none_match": "junk"}, FAILED, id="If-None-Match unparsable"),
        pytest.param({"if_unmodified_since": EARLIER}, PROCEED, id="no date to compare"),
    ],
)
def test_the_outcome_for_what_does_not_exist(headers: dict[str, str], expected: Outcome) -> None:
    assert expected is evaluate(_conditions(**headers), None, method="PUT")


def test_reading_what_does_not_exist_is_not_called_unmodified() -> None:
    assert evaluate(_conditions(if_modified_since=LATER), None, method="GET") is PROCEED


def test_a_weak_validator_of_ours_never_matches_strongly() -> None:
    assert evaluate(_conditions(if_match='W/"now"'), WEAK, method="PUT") is FAILED
    assert evaluate(_conditions(if_none_match='"now"'), WEAK, method="GET") is NOT_MODIFIED
    assert not range_holds('W/"now"', WEAK)


@pytest.mark.parametrize(
    ("if_range", "expected"),
    [
        pytest.param(None, True, id="absent"),
        pytest.param('"now"', True, id="equal"),
        pytest.param(' "now"\t', True, id="white space around it"),
        pytest.param('"old"', False, id="other"),
        pytest.param('W/"now"', False, id="weak"),
        pytest.param('"now", "now"', False, id="a list"),
        pytest.param("*", False, id="any"),
        pytest.param("now", False, id="unquoted"),
        pytest.param("", False, id="empty"),
        pytest.param(EXACTLY, True, id="exactly the date"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", True, id="the date in an old form"),
        pytest.param(EARLIER, False, id="a second earlier"),
        pytest.param(LATER, False, id="a second later"),
        pytest.param(EXACTLY.replace("GMT", "+0000"), False, id="not quite a date"),
    ],
)
def test_a_range_holds_only_for_the_very_same_bytes(if_range: str | None, expected: bool) -> None:
    assert expected is range_holds(if_range, CURRENT)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("", (), id="empty list"),
        pytest.param('"a"', ('"a"',), id="one"),
        pytest.param('""', ('""',), id="empty tag"),
        pytest.param('"a",W/"b"', ('"a"', 'W/"b"'), id="two"),
        pytest.param(' , "a" ,\t, "b",', ('"a"', '"b"'), id="empty elements"),
        pytest.param('"a,b", "c"', ('"a,b"', '"c"'), id="comma within a tag"),
        pytest.param('"a\\"', ('"a\\"',), id="a backslash escapes nothing"),
        pytest.param('"\xe9\udce9"', ('"\xe9\udce9"',), id="obs-text however decoded"),
        pytest.param('w/"a"', None, id="weak in lower case"),
        pytest.param('W/ "a"', None, id="space after the weak sign"),
        pytest.param('"a b"', None, id="space within a tag"),
        pytest.param('"a\x7f"', None, id="DEL within a tag"),
        pytest.param('"a" "b"', None, id="no comma"),
        pytest.param('"a""b"', None, id="not even a space"),
        pytest.param('"a', None, id="no closing quote"),
        pytest.param("a", None, id="no quotes"),
        pytest.param('"a",*', None, id="star in a list"),
    ],
)
def test_entity_tags_are_read_to_the_letter(value: str, expected: tuple[str, ...] | None) -> None:
    assert expected == parse_entity_tags(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(EXACTLY, MOMENT, id="IMF-fixdate"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", MOMENT, id="RFC 850"),
        pytest.param("Sun Nov  6 08:49:37 1994", MOMENT, id="asctime"),
        pytest.param("Sun Nov 16 08:49:37 1994", MOMENT.replace(day=16), id="asctime two digits"),
        pytest.param(f" {EXACTLY}\t", MOMENT, id="white space around it"),
        pytest.param("Mon, 06 Nov 1994 08:49:37 GMT", MOMENT, id="the day name is not checked"),
        pytest.param(
            "Tue, 30 Jun 2015 23:59:60 GMT", datetime(2015, 7, 1, tzinfo=UTC), id="leap second"
        ),
        pytest.param("sun, 06 nov 1994 08:49:37 gmt", None, id="case"),
        pytest.param("Sun, 6 Nov 1994 08:49:37 GMT", None, id="one-digit day"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 UTC", None, id="other zone name"),
        pytest.param("Sun, 06 Nov 1994 08:49:37", None, id="no zone"),
        pytest.param("Sun,  06 Nov 1994 08:49:37 GMT", None, id="two spaces"),
        pytest.param("Sun Nov 6 08:49:37 1994", None, id="asctime one space"),
        pytest.param("Sun, 31 Nov 1994 08:49:37 GMT", None, id="no such day"),
        pytest.param("Sun, 06 Nov 1994 24:00:00 GMT", None, id="no such hour"),
        pytest.param("Sun, 06 Nov 1994 08:49:61 GMT", None, id="no such second"),
        pytest.param("Sun, 06 Nov 0000 08:49:37 GMT", None, id="no such year"),
        pytest.param("Fri, 31 Dec 9999 23:59:60 GMT", None, id="after the end of time"),
        pytest.param("Sun, 06 Nov 199\u0664 08:49:37 GMT", None, id="arabic digit"),
        pytest.param(f"{EXACTLY}, {EXACTLY}", None, id="two dates"),
        pytest.param("784111777", None, id="seconds"),
        pytest.param("", None, id="empty"),
    ],
)
def test_http_dates_are_read_to_the_letter(text: str, expected: datetime | None) -> None:
    assert expected == parse_http_date(text)


@pytest.mark.parametrize(
    ("year", "expected"), [("26", 2026), ("76", 2076), ("77", 1977), ("99", 1999), ("00", 2000)]
)
def test_a_two_digit_year_is_at_most_fifty_years_ahead(year: str, expected: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    date = parse_http_date(f"Sunday, 06-Nov-{year} 08:49:37 GMT", now=now)
    assert MOMENT.replace(year=expected) == date


def test_last_modified_is_in_gmt_and_whole_seconds() -> None:
    here = timezone(timedelta(hours=-5))
    validators = Validators('"now"', CURRENT.modified_at.astimezone(here))
    assert validators.last_modified == EXACTLY
    assert parse_http_date(validators.last_modified) == MOMENT


def test_the_century_of_two_digits_is_told_by_the_time_that_is_given() -> None:
    now, there = datetime(2050, 1, 1, tzinfo=UTC), datetime(2094, 11, 6, 8, 49, 37, tzinfo=UTC)
    date, current = "Saturday, 06-Nov-94 08:49:37 GMT", Validators('"now"', there)
    since, unless = Conditions(if_modified_since=date), Conditions(if_unmodified_since=date)
    assert evaluate(since, current, method="GET", now=now) is NOT_MODIFIED
    assert evaluate(unless, current, method="PUT", now=now) is PROCEED
    assert range_holds(date, current, now=now)
    earlier = datetime(2020, 1, 1, tzinfo=UTC)
    assert evaluate(since, current, method="GET", now=earlier) is PROCEED
    assert evaluate(unless, current, method="PUT", now=earlier) is FAILED
    assert not range_holds(date, current, now=earlier)


@pytest.mark.parametrize("space", ["\xa0", "\x0b", "\u2003"])
def test_only_spaces_and_tabs_are_about_a_value(space: str) -> None:
    for condition in ("*", EXACTLY, '"now"'):
        value = f"{space}{condition}{space}"
        assert not range_holds(value, CURRENT)
        assert parse_http_date(value) is None
        assert evaluate(Conditions(if_match=value), CURRENT, method="GET") is FAILED
        assert evaluate(Conditions(if_none_match=value), CURRENT, method="GET") is PROCEED
    assert evaluate(Conditions(if_match=" *\t"), CURRENT, method="GET") is PROCEED


def test_a_date_may_be_sent_in_its_own_second() -> None:
    assert CURRENT.is_settled(MOMENT)
    assert not CURRENT.is_settled(MOMENT - timedelta(seconds=1))
