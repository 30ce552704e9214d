"""The error family: every member has words a client may read."""

from __future__ import annotations

import inspect

import pytest

from gateway.model import errors
from gateway.model.errors import Failure, GatewayError, Interrupted, Refusal

FAMILY = [
    member
    for member in vars(errors).values()
    if inspect.isclass(member) and issubclass(member, GatewayError)
]


@pytest.mark.parametrize("member", FAMILY)
def test_every_error_is_somebody_s_fault_and_has_a_sentence(member: type[GatewayError]) -> None:
    faults = [issubclass(member, side) for side in (Refusal, Interrupted, Failure)]
    assert sum(faults) == (0 if member is GatewayError else 1)
    assert member.sentence == member.sentence.strip() != ""


def test_the_sentence_is_said_unless_there_is_a_better_one() -> None:
    assert str(errors.Conflict()) == "entity already exists"
    assert str(errors.Conflict("the name is taken")) == "the name is taken"
    assert str(errors.BlobMissing()) == "internal server error"


def test_errors_carry_what_their_answers_need() -> None:
    assert errors.RangeUnsatisfiable(100).size == 100
    assert errors.TooMany(7).retry_after_seconds == 7
    assert errors.WrongMethod(("GET", "PUT")).allowed == ("GET", "PUT")
    missing = errors.MissingField("header", "x-hasura-role")
    assert (missing.place, missing.field) == ("header", "x-hasura-role")
    assert str(missing) == "missing header: x-hasura-role"
