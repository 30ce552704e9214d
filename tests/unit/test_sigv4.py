"""POST policies: made as AWS has them, compared with boto3's, and taken only unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.errors import Refusal
from gateway.web.signing.refusals import (
    InvalidArgument,
    InvalidPolicy,
    NotAllowed,
    TooFewBytes,
    TooManyBytes,
    UnknownKey,
    WrongSignature,
)
from gateway.web.signing.sigv4 import (
    Authority,
    SizeRange,
    Terms,
    access_key,
    check_form,
    make_form,
)
from tests.tools.s3forms import boto3_form, policy_of, signed_by_hand

NOW = datetime(2026, 11, 26, 1, 30, tzinfo=UTC)
KEY, OLDER = access_key(b"k" * 32), access_key(b"o" * 32)
OURS = Authority((KEY, OLDER), "private-files")
TERMS = Terms("a/b/1", "text/csv", SizeRange(500, 500), ("success_action_status",))
Fields = dict[str, str]


def ours() -> Fields:
    return make_form(OURS, TERMS, now=NOW, seconds=3600)


def with_policy(conditions: list[object], **more: object) -> Fields:
    """Our form with another policy, signed by our key."""
    policy = {"expiration": "2026-11-26T02:30:00Z", "conditions": conditions, **more}
    return signed_by_hand(KEY, ours(), policy)


_FIELDS = ("key", "bucket", "content-type", "x-amz-algorithm", "x-amz-credential", "x-amz-date")
ANY: list[object] = [["starts-with", f"${name}", ""] for name in _FIELDS]


def test_our_own_form_is_taken_and_says_what_it_was_made_for() -> None:
    grant = check_form(OURS, ours(), now=NOW)
    assert (grant.key, grant.sizes) == ("a/b/1", SizeRange(500, 500))
    assert grant.fields["content-type"] == "text/csv"


def test_a_form_is_signed_as_the_published_algorithm_has_it() -> None:
    form = ours()
    by_hand = signed_by_hand(KEY, form, policy_of(form))
    assert by_hand["x-amz-signature"] == form["X-Amz-Signature"]


def test_the_fields_are_those_of_the_documents_in_their_spelling() -> None:
    assert list(ours()) == [
        *("key", "bucket", "Content-Type", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date"),
        *("Policy", "X-Amz-Signature"),
    ]
    assert ours()["X-Amz-Credential"] == f"{KEY.id}/20261126/us-east-1/s3/aws4_request"


def test_the_seeds_form_leaves_the_bucket_out() -> None:
    form = ours()
    del form["bucket"]
    assert check_form(OURS, form, now=NOW).key == "a/b/1"


@pytest.mark.parametrize("key", [KEY, OLDER], ids=["the newest key", "the key before"])
def test_what_boto3_signs_with_a_key_of_ours_is_taken(key: object) -> None:
    assert key in OURS.keys
    _, form = boto3_form(
        KEY if key is KEY else OLDER,
        "http://gateway.test/filestore/private-files",
        "a/b/1",
        fields={"Content-Type": "text/csv", "success_action_status": "201"},
        conditions=[
            {"Content-Type": "text/csv"},
            ["starts-with", "$success_action_status", "2"],
            ["content-length-range", 1, 10],
        ],
    )
    grant = check_form(OURS, form, now=datetime.now(UTC))
    assert (grant.key, grant.sizes) == ("a/b/1", SizeRange(1, 10))


def test_a_key_shows_its_secret_to_nobody() -> None:
    assert KEY.secret not in repr(OURS)
    assert KEY.id.isalnum()
    assert len(KEY.id) == 20
    assert KEY.id != OLDER.id


def changed(name: str, value: str) -> Callable[[Fields], Fields]:
    return lambda form: {**form, name: value}


def without(name: str) -> Callable[[Fields], Fields]:
    return lambda form: {n: v for n, v in form.items() if n != name}


def credential(of: str, by: str) -> Callable[[Fields], Fields]:
    return lambda form: {**form, "X-Amz-Credential": form["X-Amz-Credential"].replace(of, by)}


MUTATIONS: list[tuple[type[Refusal], str, Callable[[Fields], Fields]]] = [
    (NotAllowed, "another key", changed("key", "a/b/2")),
    (NotAllowed, "a longer key", changed("key", "a/b/10")),
    (NotAllowed, "another bucket", changed("bucket", "public-files")),
    (NotAllowed, "another type", changed("Content-Type", "text/html")),
    (NotAllowed, "no type", without("Content-Type")),
    (NotAllowed, "a field that no condition covers", changed("acl", "public-read")),
    (NotAllowed, "a redirect", changed("success_action_redirect", "https://evil.test/")),
    (InvalidArgument, "another algorithm", changed("X-Amz-Algorithm", "AWS4-HMAC-SHA1")),
    (InvalidArgument, "another day", changed("X-Amz-Date", "20261125T013000Z")),
    (NotAllowed, "another time of the day", changed("X-Amz-Date", "20261126T013001Z")),
    (InvalidArgument, "a date in another form", changed("X-Amz-Date", "20261126T01:30:00Z")),
    (InvalidArgument, "no such date", changed("X-Amz-Date", "20261126T256100Z")),
    (InvalidArgument, "another region", credential("us-east-1", "eu-west-1")),
    (InvalidArgument, "another service", credential("/s3/", "/sqs/")),
    (InvalidArgument, "another end", credential("aws4_request", "aws5_request")),
    (InvalidArgument, "a part more", credential("/s3/", "/s3/s3/")),
    (UnknownKey, "a key id that is not ours", credential("FGWK", "AKIA")),
    (WrongSignature, "the id of another key of ours", credential(KEY.id, OLDER.id)),
    (WrongSignature, "another policy", changed("Policy", "e30=")),
    (WrongSignature, "a policy with a character more", lambda f: {**f, "Policy": f["Policy"] + "="}),
    (WrongSignature, "another signature", changed("X-Amz-Signature", "0" * 64)),
    (WrongSignature, "a signature in capitals", lambda f: {**f, "X-Amz-Signature": f["X-Amz-Signature"].upper()}),
    (WrongSignature, "a signature of no ASCII", changed("X-Amz-Signature", "é" * 64)),
    (InvalidArgument, "no signature", without("X-Amz-Signature")),
    (InvalidArgument, "an empty signature", changed("X-Amz-Signature", "")),
    (InvalidArgument, "no policy", without("Policy")),
    (InvalidArgument, "no key", without("key")),
    (InvalidArgument, "no algorithm", without("X-Amz-Algorithm")),
    (InvalidArgument, "no credential", without("X-Amz-Credential")),
    (InvalidArgument, "no date", without("X-Amz-Date")),
    (InvalidArgument, "a field twice in two spellings", changed("Key", "a/b/1")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "mutate"), [(e, m) for e, _, m in MUTATIONS], ids=[i for _, i, _ in MUTATIONS]
)
def test_a_form_that_is_not_what_was_signed_is_refused(
    expected: type[Refusal], mutate: Callable[[Fields], Fields]
) -> None:
    with pytest.raises(expected) as caught:
        check_form(OURS, mutate(ours()), now=NOW)
    assert type(caught.value) is expected


@given(st.data())
def test_no_character_of_any_field_can_be_another(data: st.DataObject) -> None:
    form = ours()
    name = data.draw(st.sampled_from(sorted(form)))
    at = data.draw(st.integers(0, len(form[name]) - 1))
    other = data.draw(st.characters(codec="utf-8", exclude_characters=form[name][at]))
    form[name] = form[name][:at] + other + form[name][at + 1 :]
    with pytest.raises(Refusal):
        check_form(OURS, form, now=NOW)


TIMES = [
    (None, timedelta(0)),
    (None, timedelta(seconds=3599)),
    (NotAllowed, timedelta(seconds=3600)),
    (NotAllowed, timedelta(days=8)),
    (None, timedelta(minutes=-15)),
    (NotAllowed, timedelta(minutes=-15, seconds=-1)),
]


@pytest.mark.parametrize(("expected", "later"), TIMES, ids=[str(later) for _, later in TIMES])
def test_a_form_holds_from_its_date_to_its_expiration(
    expected: type[Refusal] | None, later: timedelta
) -> None:
    if expected is None:
        check_form(OURS, ours(), now=NOW + later)
    else:
        with pytest.raises(expected):
            check_form(OURS, ours(), now=NOW + later)


def test_a_policy_that_lasts_longer_ends_with_its_signing_key() -> None:
    form = make_form(OURS, TERMS, now=NOW, seconds=30 * 86_400)
    check_form(OURS, form, now=NOW + timedelta(days=7))
    with pytest.raises(NotAllowed):
        check_form(OURS, form, now=NOW + timedelta(days=7, seconds=1))


def test_a_key_that_was_taken_away_signs_nothing_any_more() -> None:
    with pytest.raises(UnknownKey):
        check_form(Authority((OLDER,), "private-files"), ours(), now=NOW)


CONDITIONS: list[tuple[type[Refusal] | None, str, list[object]]] = [
    (None, "exact, as a list", [["eq", "$key", "a/b/1"]]),
    (None, "exact, as an object", [{"key": "a/b/1"}]),
    (None, "exact, several in one object", [{"key": "a/b/1", "content-type": "text/csv"}]),
    (None, "a beginning", [["starts-with", "$key", "a/b/"]]),
    (None, "names in other letters", [["eq", "$KEY", "a/b/1"], {"CONTENT-TYPE": "text/csv"}]),
    (None, "an absent field may be anything", [["starts-with", "$acl", ""]]),
    (None, "an absent field is empty", [["eq", "$acl", ""]]),
    (NotAllowed, "another value", [["eq", "$key", "a/b/2"]]),
    (NotAllowed, "another beginning", [["starts-with", "$key", "b"]]),
    (NotAllowed, "exact is not a beginning", [["eq", "$key", "a/b/"]]),
    (NotAllowed, "an absent field", [{"acl": "private"}]),
    (NotAllowed, "one holds, one does not", [{"key": "a/b/1"}, ["starts-with", "$key", "c"]]),
    (InvalidPolicy, "an unknown operator", [["ends-with", "$key", "1"]]),
    (InvalidPolicy, "no dollar", [["eq", "key", "a/b/1"]]),
    (InvalidPolicy, "a number for a value", [{"key": 1}]),
    (InvalidPolicy, "two items", [["eq", "$key"]]),
    (InvalidPolicy, "a text", ["eq"]),
    (InvalidPolicy, "no numbers", [["content-length-range", "one", 2]]),
    (InvalidPolicy, "a negative number", [["content-length-range", -1, 2]]),
    (InvalidPolicy, "a fraction", [["content-length-range", 0, 2.5]]),
    (InvalidPolicy, "a truth for a number", [["content-length-range", True, 2]]),
]


@pytest.mark.parametrize(
    ("expected", "conditions"),
    [(e, c) for e, _, c in CONDITIONS],
    ids=[i for _, i, _ in CONDITIONS],
)
def test_every_condition_has_to_hold(
    expected: type[Refusal] | None, conditions: list[object]
) -> None:
    form = with_policy([*ANY, *conditions])
    if expected is None:
        check_form(OURS, form, now=NOW)
    else:
        with pytest.raises(expected):
            check_form(OURS, form, now=NOW)


POLICIES: list[tuple[str, object]] = [
    ("no JSON", b"{"),
    ("no object", []),
    ("no conditions", {"expiration": "2026-11-26T02:30:00Z"}),
    ("conditions that are no list", {"expiration": "2026-11-26T02:30:00Z", "conditions": {}}),
    ("no expiration", {"conditions": ANY}),
    ("an expiration without a zone", {"expiration": "2026-11-26T02:30:00", "conditions": ANY}),
    ("an expiration that is no day", {"expiration": "2026-11-31T02:30:00Z", "conditions": ANY}),
    ("an expiration that is a number", {"expiration": 1, "conditions": ANY}),
]


@pytest.mark.parametrize("policy", [p for _, p in POLICIES], ids=[i for i, _ in POLICIES])
def test_a_signed_policy_that_cannot_be_read_is_refused(policy: object) -> None:
    with pytest.raises(InvalidPolicy):
        check_form(OURS, signed_by_hand(KEY, ours(), policy), now=NOW)


def test_every_field_is_covered_but_those_that_s3_excepts() -> None:
    form = with_policy(ANY)
    check_form(OURS, {**form, "x-ignore-me": "1", "X-Ignore-": "2", "file": "x"}, now=NOW)
    with pytest.raises(NotAllowed, match="Extra input fields: tagging"):
        check_form(OURS, {**form, "tagging": "1"}, now=NOW)


def test_of_several_size_ranges_all_hold() -> None:
    ranges: list[object] = [["content-length-range", 1, 10], ["content-length-range", "5", "20"]]
    assert check_form(OURS, with_policy([*ANY, *ranges]), now=NOW).sizes == SizeRange(5, 10)


SIZES = [
    (TooFewBytes, 4),
    (None, 5),
    (None, 10),
    (TooManyBytes, 11),
]


@pytest.mark.parametrize(("expected", "size"), SIZES)
def test_both_ends_of_a_size_range_are_in_it(expected: type[Refusal] | None, size: int) -> None:
    if expected is None:
        SizeRange(5, 10).check(size)
    else:
        with pytest.raises(expected):
            SizeRange(5, 10).check(size)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=100), max_size=12))
def test_no_fields_at_all_do_anything_but_a_refusal(fields: Mapping[str, str]) -> None:
    with pytest.raises(Refusal):
        check_form(OURS, fields, now=NOW)


def test_an_access_key_is_made_of_its_sub_key_as_ever() -> None:
    """Forms that an earlier gateway gave away name it; its id says nothing of its secret."""
    key = access_key(b"k" * 32)
    assert key.id == "FGWK2CUVNSWJXCAOH4QU"
    assert key.secret == "6b" * 32
    form = make_form(Authority((key,), "private-files"), TERMS, now=NOW, seconds=3600)
    assert (
        form["X-Amz-Signature"]
        == "e838e12fcbf03e4fb013d9fe28c82d3f4195a3d2ec901928109f87592eda1fdd"
    )
    assert check_form(Authority((key,), "private-files"), form, now=NOW).key == "a/b/1"


_FORM_SAID = "Invalid Policy: a condition "
_ORDER = "If it is specified, please check the order of the fields."
FORMS_SAID: list[tuple[Callable[[Fields], Fields], str]] = [
    (without("key"), f"Bucket POST must contain a field named 'key'. {_ORDER}"),
    (changed("Key", "a/b/1"), "A field is given more than once."),
    (changed("X-Amz-Date", "20261126"), "X-Amz-Date is not of the form YYYYMMDDTHHMMSSZ."),
    (changed("X-Amz-Algorithm", "x"), "X-Amz-Algorithm only supports AWS4-HMAC-SHA256."),
    (changed("X-Amz-Credential", "x"), "X-Amz-Credential is not <key id>/<date>/<region>/s3/aws4_request."),
    (credential("us-east-1", "x"), "X-Amz-Credential has another date, region or service than is expected."),
    (changed("key", "x"), 'Invalid according to Policy: Policy Condition failed: ["eq","$key","a/b/1"]'),
    (lambda form: form | {"acl": "x", "b": "y"}, "Invalid according to Policy: Extra input fields: acl, b"),
]  # fmt: skip
POLICIES_SAID: list[tuple[object, str]] = [
    ({"expiration": "2026-11-26T02:30:00Z"}, "Invalid Policy: it has no list of conditions."),
    ({"conditions": ANY, "expiration": "x"}, "Invalid Policy: its expiration is no date."),
    ({"conditions": ANY, "expiration": "2026-11-26T01:30:00Z"}, "Invalid according to Policy: Policy expired."),
    (["eq", "$key"], _FORM_SAID + "has another form."),
    (["ends-with", "$key", "1"], _FORM_SAID + "has an unknown operator."),
    (["eq", "key", "1"], _FORM_SAID + "is no name and value."),
    (["starts-with", "$key", "c"], 'Invalid according to Policy: Policy Condition failed: ["starts-with","$key","c"]'),
    (["content-length-range", "x", 1], "Invalid Policy: content-length-range has no two numbers."),
]  # fmt: skip


@pytest.mark.parametrize(("mutate", "said"), FORMS_SAID, ids=[said for _, said in FORMS_SAID])
def test_a_refused_form_says_what_is_wrong(mutate: Callable[[Fields], Fields], said: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check_form(OURS, mutate(ours()), now=NOW)
    assert said == str(refusal.value)


@pytest.mark.parametrize(("policy", "said"), POLICIES_SAID, ids=[said for _, said in POLICIES_SAID])
def test_a_refused_policy_says_what_is_wrong(policy: object, said: str) -> None:
    form = (
        with_policy([*ANY, policy])
        if isinstance(policy, list)
        else signed_by_hand(KEY, ours(), policy)
    )
    with pytest.raises(Refusal) as refusal:
        check_form(OURS, form, now=NOW)
    assert said == str(refusal.value)


def test_a_form_of_another_time_says_so() -> None:
    for later, said in ((-1, "Request is not valid yet"), (8, "Request has expired")):
        with pytest.raises(NotAllowed) as refusal:
            check_form(OURS, ours(), now=NOW + timedelta(days=later))
        assert said == str(refusal.value)


def test_a_size_of_nothing_is_a_size_and_base64_is_what_it_says() -> None:
    empty = with_policy([*ANY, ["content-length-range", 0, 0]])
    assert check_form(OURS, empty, now=NOW).sizes == SizeRange(0, 0)
    form = ours()
    form["Policy"] += "\n"
    with pytest.raises(Refusal):
        check_form(OURS, form, now=NOW)
