"""Forms that carry their own permission: POST policies signed as AWS Signature Version 4 has it.

Whoever holds a signing key writes down what may be posted (the policy: until when, and a
condition for each field and for the size of the file), signs it, and gives both away as fields of a
form. Whoever has the form can post it, and nothing else.

What is signed is the policy in base64, as it stands in its field. The signing key is derived from
the secret, the day, the region and the service, all of which the field ``X-Amz-Credential`` names;
the date of ``X-Amz-Date`` is of that day. Names of fields are the same in upper and lower case.

Facts are from the public reference of S3 ("Creating a POST policy", "Authenticating requests in
browser-based uploads using POST").

Knows policies and their fields. Does not know requests, files, or who asked for a form.

Rule: the signature is compared before the policy is parsed, in constant time; a field that no
condition covers is refused, as is a condition that we do not understand.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from gateway.web.signing.refusals import (
    InvalidArgument,
    InvalidPolicy,
    NotAllowed,
    TooFewBytes,
    TooManyBytes,
    UnknownKey,
    WrongSignature,
)

ALGORITHM: Final = "AWS4-HMAC-SHA256"
FIELDS_BYTES: Final = 20 * 1024
"""What all fields of a form may take together."""
OLDEST: Final = timedelta(days=7)
"""A signing key is derived for a day, and is of use for a week."""
EARLIEST: Final = timedelta(minutes=15)
"""How far the clock of whoever signed may be ahead of ours."""

_SERVICE: Final = "s3"
_TERMINATOR: Final = "aws4_request"
_DATE: Final = "%Y%m%dT%H%M%SZ"
_DATE_FORM: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_EXPIRATION: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z"
)
_REQUIRED: Final = (
    *("key", "policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"),
)
_UNCOVERED: Final = frozenset({"file", "policy", "x-amz-signature"})
_IGNORED_PREFIX: Final = "x-ignore-"
_MOST_BYTES: Final = 2**63 - 1
_NUMBER: Final = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A signing key: its public id, and its secret."""

    id: str
    secret: str = field(repr=False)


def access_key(key: bytes) -> AccessKey:
    """The access key that a sub-key of the deployment's secret is; its id says nothing of it."""
    digest = hashlib.sha256(b"access key id\n" + key).digest()
    return AccessKey(f"FGWK{base64.b32encode(digest[:10]).decode()}", key.hex())


@dataclass(frozen=True, slots=True)
class Authority:
    """Whose forms are taken here: the keys, of which the first signs, the bucket, the region."""

    keys: Sequence[AccessKey]
    bucket: str
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class SizeRange:
    """How many bytes the file may have, both ends included."""

    least: int = 0
    most: int = _MOST_BYTES

    def check(self, size: int) -> None:
        """Raise ``TooFewBytes`` or ``TooManyBytes``."""
        if size < self.least:
            raise TooFewBytes()
        if size > self.most:
            raise TooManyBytes()

    def within(self, other: SizeRange) -> SizeRange:
        """What both allow."""
        return SizeRange(max(self.least, other.least), min(self.most, other.most))


@dataclass(frozen=True, slots=True)
class Grant:
    """What a form's policy allows: the object by its key, of that type and those sizes.

    ``fields`` are all that the form had, by their names in lower case.
    """

    key: str
    sizes: SizeRange
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a new form is to allow. ``free`` are fields that may have any value, or be absent."""

    key: str
    content_type: str
    sizes: SizeRange
    free: tuple[str, ...] = ()


def make_form(
    authority: Authority, terms: Terms, *, now: datetime, seconds: float
) -> dict[str, str]:
    """The fields of a form that can be posted for ``seconds`` from ``now``."""
    signer, date = authority.keys[0], now.strftime(_DATE)
    fields = {
        "key": terms.key,
        "bucket": authority.bucket,
        "Content-Type": terms.content_type,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": _credential(signer, date, authority.region),
        "X-Amz-Date": date,
    }
    conditions = [
        *({name: value} for name, value in fields.items()),
        ["content-length-range", terms.sizes.least, terms.sizes.most],
        *(["starts-with", f"${name}", ""] for name in terms.free),
    ]
    expiration = (now + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
    policy = {"expiration": expiration.replace("+00:00", "Z"), "conditions": conditions}
    encoded = base64.b64encode(orjson.dumps(policy)).decode()
    signature = _signature(signer, date[:8], authority.region, encoded)
    return {**fields, "Policy": encoded, "X-Amz-Signature": signature}


def check_form(authority: Authority, given: Mapping[str, str], *, now: datetime) -> Grant:
    """What the form that has these fields allows at ``now``, the size of its file excepted.

    Raises ``InvalidArgument``, ``UnknownKey``, ``WrongSignature``, ``InvalidPolicy`` or
    ``NotAllowed``.
    """
    fields = _folded(given)
    for name in _REQUIRED:
        if not fields.get(name):
            raise InvalidArgument(
                f"Bucket POST must contain a field named '{name}'. "
                "If it is specified, please check the order of the fields."
            )
    _check_signature(authority, fields, now)
    policy = _parsed_policy(fields["policy"])
    _check_expiration(policy.get("expiration"), now)
    conditions = policy.get("conditions")
    if not isinstance(conditions, list):
        raise InvalidPolicy("Invalid Policy: it has no list of conditions.")
    # Which bucket it is the address says; a field that names another fails its condition.
    return _met(conditions, {"bucket": authority.bucket, **fields}, fields)


def _folded(given: Mapping[str, str]) -> dict[str, str]:
    fields = {name.lower(): value for name, value in given.items()}
    if len(fields) != len(given):
        raise InvalidArgument("A field is given more than once.")
    return fields


def _check_signature(authority: Authority, fields: Mapping[str, str], now: datetime) -> None:
    if fields["x-amz-algorithm"] != ALGORITHM:
        raise InvalidArgument(f"X-Amz-Algorithm only supports {ALGORITHM}.")
    date = fields["x-amz-date"]
    signer = _signer_of(authority, fields["x-amz-credential"], date)
    _check_date(date, now)
    wanted = _signature(signer, date[:8], authority.region, fields["policy"])
    if not hmac.compare_digest(wanted.encode(), fields["x-amz-signature"].encode()):
        raise WrongSignature()


def _signer_of(authority: Authority, credential: str, date: str) -> AccessKey:
    """The key that the credential names. Raises ``InvalidArgument``, ``UnknownKey``."""
    parts = credential.split("/")
    if len(parts) != 5:
        raise InvalidArgument("X-Amz-Credential is not <key id>/<date>/<region>/s3/aws4_request.")
    for key in authority.keys:
        if hmac.compare_digest(key.id.encode(), parts[0].encode()):
            if credential != _credential(key, date, authority.region):
                raise InvalidArgument(
                    "X-Amz-Credential has another date, region or service than is expected."
                )
            return key
    raise UnknownKey()


def _check_date(date: str, now: datetime) -> None:
    try:
        if not _DATE_FORM.fullmatch(date):
            raise ValueError
        signed = datetime.strptime(date, _DATE).replace(tzinfo=UTC)
    except ValueError as exc:
        raise InvalidArgument("X-Amz-Date is not of the form YYYYMMDDTHHMMSSZ.") from exc
    if signed - now > EARLIEST:
        raise NotAllowed("Request is not valid yet")
    if now - signed > OLDEST:
        raise NotAllowed("Request has expired")


def _credential(key: AccessKey, date: str, region: str) -> str:
    return "/".join((key.id, date[:8], region, _SERVICE, _TERMINATOR))


def _signature(key: AccessKey, day: str, region: str, policy: str) -> str:
    signing = f"AWS4{key.secret}".encode()
    for part in (day, region, _SERVICE, _TERMINATOR):
        signing = hmac.digest(signing, part.encode(), "sha256")
    return hmac.digest(signing, policy.encode(), "sha256").hex()


def _parsed_policy(encoded: str) -> dict[str, object]:
    try:
        policy = orjson.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError) as exc:
        raise InvalidPolicy() from exc
    if not isinstance(policy, dict):
        raise InvalidPolicy()
    return policy


def _check_expiration(text: object, now: datetime) -> None:
    try:
        if not isinstance(text, str) or not _EXPIRATION.fullmatch(text):
            raise ValueError
        expiration = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InvalidPolicy("Invalid Policy: its expiration is no date.") from exc
    if now >= expiration:
        raise NotAllowed("Invalid according to Policy: Policy expired.")


def _met(conditions: list[object], values: Mapping[str, str], fields: Mapping[str, str]) -> Grant:
    """All conditions hold, and cover all fields. Raises ``NotAllowed``, ``InvalidPolicy``."""
    sizes, covered = SizeRange(), set(_UNCOVERED)
    for condition in _flat(conditions):
        if isinstance(condition, SizeRange):
            sizes = sizes.within(condition)
        elif condition.holds(values):
            covered.add(condition.name)
        else:
            raise NotAllowed(f"Invalid according to Policy: Policy Condition failed: {condition}")
    extra = sorted(n for n in fields if n not in covered and not n.startswith(_IGNORED_PREFIX))
    if extra:
        raise NotAllowed(f"Invalid according to Policy: Extra input fields: {', '.join(extra)}")
    return Grant(fields["key"], sizes, fields)


@dataclass(frozen=True, slots=True)
class _Condition:
    name: str
    value: str
    exact: bool

    def holds(self, values: Mapping[str, str]) -> bool:
        """Whether it does; a field that is absent is empty."""
        given = values.get(self.name, "")
        return given == self.value if self.exact else given.startswith(self.value)

    def __str__(self) -> str:
        operator = "eq" if self.exact else "starts-with"
        return orjson.dumps([operator, f"${self.name}", self.value]).decode()


def _flat(conditions: Iterable[object]) -> Iterator[_Condition | SizeRange]:
    for condition in conditions:
        if isinstance(condition, dict):
            yield from (_condition("eq", f"${name}", text) for name, text in condition.items())
        elif isinstance(condition, list) and len(condition) == 3:
            operator, first, second = condition
            if operator == "content-length-range":
                yield SizeRange(_number(first), _number(second))
            else:
                yield _condition(operator, first, second)
        else:
            raise InvalidPolicy("Invalid Policy: a condition has another form.")


def _condition(operator: object, name: object, value: object) -> _Condition:
    if operator not in ("eq", "starts-with"):
        raise InvalidPolicy("Invalid Policy: a condition has an unknown operator.")
    if not isinstance(name, str) or not isinstance(value, str) or name[:1] != "$":
        raise InvalidPolicy("Invalid Policy: a condition is no name and value.")
    return _Condition(name[1:].lower(), value, operator == "eq")


def _number(value: object) -> int:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise InvalidPolicy("Invalid Policy: content-length-range has no two numbers.")
