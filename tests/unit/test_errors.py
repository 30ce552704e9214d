"""The error family: whose fault each is, and what a caller may read of it, in every dialect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import gateway.app  # noqa: F401 - every room, so that no error is missing here
from gateway.dialects import DIALECTS
from gateway.model import errors
from gateway.model.errors import Failure, GatewayError, Interrupted, Refusal, StartupFailed
from gateway.web import errors as web_errors
from gateway.web.dialect import Dialect
from gateway.web.rendering import STATUSES, error_response, status_of
from gateway.web.server.unparsed import MethodUnknown, VersionUnsupported

INTERNAL = "row 7 of /srv/secret was not sealed under this deployment's key"
# 501, 505, and 507 for a quota (RFC 4331), although it is the caller's doing.
BEYOND_US = {MethodUnknown, VersionUnsupported, errors.OverStorage}
ARGUMENTS: dict[type[GatewayError], tuple[object, ...]] = {
    errors.RangeUnsatisfiable: (100,),
    errors.TooMany: (1,),
    web_errors.MissingField: ("header", "x-name"),
    web_errors.WrongMethod: (("GET", "PUT"),),
}


def family(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """The class and all below it, wherever in the gateway they are."""
    yield kind
    for member in kind.__subclasses__():
        yield from family(member)


ALL = sorted(set(family(GatewayError)), key=lambda member: member.__name__)
FAILURES = [member for member in ALL if issubclass(member, Failure)]
REFUSALS = [member for member in ALL if issubclass(member, Refusal)]


def named(value: object) -> str:
    return str(getattr(value, "name", getattr(value, "__name__", value)))


def raised(kind: type[GatewayError], message: str) -> GatewayError:
    """One with a sentence of its own, however it is made otherwise."""
    error = kind.__new__(kind)
    GatewayError.__init__(error, message)
    error.__cause__ = OSError(INTERNAL)
    return error


@pytest.mark.parametrize("member", ALL, ids=named)
def test_every_error_is_somebody_s_fault_and_has_a_sentence(member: type[GatewayError]) -> None:
    faults = [issubclass(member, side) for side in (Refusal, Interrupted, Failure)]
    assert (0 if member is GatewayError else 1) == sum(faults)
    assert "" != member.sentence == member.sentence.strip()


def test_a_failed_start_is_no_answer_to_a_request() -> None:
    assert not issubclass(StartupFailed, GatewayError)


def test_who_left_is_given_no_status() -> None:
    assert Interrupted not in STATUSES


@pytest.mark.parametrize("dialect", DIALECTS, ids=named)
@pytest.mark.parametrize("kind", [GatewayError, *FAILURES], ids=named)
def test_no_caller_reads_an_internal_sentence(kind: type[GatewayError], dialect: Dialect) -> None:
    response = error_response(raised(kind, INTERNAL), dialect)
    assert isinstance(response.body, bytes)
    said = response.body.decode() + str(response.headers)
    assert [] == [word for word in INTERNAL.split() if len(word) > 4 and word in said]
    assert 500 <= response.status


@pytest.mark.parametrize("dialect", DIALECTS, ids=named)
@pytest.mark.parametrize("kind", REFUSALS, ids=named)
def test_every_refusal_is_told_its_caller(kind: type[GatewayError], dialect: Dialect) -> None:
    error = kind(*ARGUMENTS[kind]) if kind in ARGUMENTS else raised(kind, "words for the caller")  # type: ignore[arg-type]
    if isinstance(error, errors.OverDay):
        error.retry_after_seconds = 60
    response = error_response(error, dialect)
    assert status_of(error, dialect.statuses) == response.status
    assert response.status < 500 or kind in BEYOND_US
    assert response.body


def test_the_sentence_is_said_unless_there_is_a_better_one() -> None:
    assert "entity already exists" == str(errors.Conflict())
    assert "the name is taken" == str(errors.Conflict("the name is taken"))
    assert "internal server error" == str(errors.BlobMissing())


def test_errors_carry_what_their_answers_need() -> None:
    assert 100 == errors.RangeUnsatisfiable(100).size
    assert 7 == errors.TooMany(7).retry_after_seconds
    assert ("GET", "PUT") == web_errors.WrongMethod(("GET", "PUT")).allowed
    missing = web_errors.MissingField("header", "x-role")
    assert ("header", "x-role") == (missing.place, missing.field)
    assert "missing header: x-role" == str(missing)
