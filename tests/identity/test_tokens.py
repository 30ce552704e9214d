from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest

from gateway.identity.tokens import ISSUER, TokenClaims, Tokens
from gateway.model.errors import Unauthenticated

KEY = bytes(range(32))
NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
CLAIMS = TokenClaims(
    UUID("d782b42b-e317-4cd7-9dd0-4e2ea0f349c8"),
    "test@email.com",
    datetime(2026, 2, 1, 8, 30, 0, 123_457, tzinfo=UTC),
)


def tokens(*, at: datetime = NOW, key: bytes = KEY) -> Tokens:
    return Tokens(key, lifetime_seconds=36_000, clock=lambda: at)


def payload(**changes: Any) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(tokens().issue(CLAIMS), options={"verify_signature": False})
    return {name: value for name, value in (read | changes).items() if value is not ...}


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_token_gives_back_its_claims() -> None:
    assert CLAIMS == tokens().read(tokens().issue(CLAIMS))


def test_a_token_has_the_documented_claims() -> None:
    read = payload()
    assert {
        "exp": 1772402400,
        "iat": 1772366400,
        "iss": ISSUER,
        "sub": "test@email.com",
        "issuer_id": "d782b42b-e317-4cd7-9dd0-4e2ea0f349c8",
        "type": 0,
    }.items() <= read.items()


@pytest.mark.parametrize(
    ("age", "holds"),
    [
        pytest.param(timedelta(hours=10), True, id="at its end"),
        pytest.param(timedelta(hours=10, seconds=4), True, id="within the leeway"),
        pytest.param(timedelta(hours=10, seconds=6), False, id="expired"),
        pytest.param(timedelta(seconds=-60), True, id="clocks a minute apart"),
        pytest.param(timedelta(seconds=-61), False, id="issued in the future"),
    ],
)
def test_a_token_holds_for_its_lifetime(age: timedelta, holds: bool) -> None:
    token = tokens().issue(CLAIMS)
    if holds:
        assert CLAIMS == tokens(at=NOW + age).read(token)
    else:
        with pytest.raises(Unauthenticated):
            tokens(at=NOW + age).read(token)


def _signed(**changes: Any) -> str:
    return jwt.encode(payload(**changes), KEY, algorithm="HS256")


def _with_algorithm(name: str) -> str:
    return jwt.encode(payload(), KEY + bytes(32), algorithm=name)


def _tampered() -> str:
    head, _, signature = tokens().issue(CLAIMS).split(".")
    return f"{head}.{encoded(payload(issuer_id=str(UUID(int=1))))}.{signature}"


FORGERIES: list[tuple[str, Callable[[], str]]] = [
    ("no signature", lambda: f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{encoded(payload())}."),
    ("alg NONE", lambda: f"{encoded({'alg': 'NONE', 'typ': 'JWT'})}.{encoded(payload())}."),
    ("another key", lambda: tokens(key=bytes(32)).issue(CLAIMS)),
    ("another HMAC", lambda: jwt.encode(payload(), KEY * 2, algorithm="HS512")),
    ("our key, another HMAC", lambda: _with_algorithm("HS384")),
    ("changed payload", _tampered),
    ("signature cut off", lambda: tokens().issue(CLAIMS).rpartition(".")[0] + "."),
    ("another issuer", lambda: _signed(iss="somebody.else")),
    ("no issuer", lambda: _signed(iss=...)),
    ("no expiry", lambda: _signed(exp=...)),
    ("no generation", lambda: _signed(valid_from=...)),
    ("generation is text", lambda: _signed(valid_from="1")),
    ("generation out of range", lambda: _signed(valid_from=10**30)),
    ("expiry is text", lambda: _signed(exp="2099")),
    ("issuer id is no UUID", lambda: _signed(issuer_id="admin")),
    ("issuer id is a number", lambda: _signed(issuer_id=7)),
    ("not a token", lambda: "certainly-not-a-token"),
    ("empty", lambda: ""),
    ("bytes that are no text", lambda: "a.b\udcff.c"),
    ("endless", lambda: "a" * 5000),
]


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("forge", [f for _, f in FORGERIES], ids=[name for name, _ in FORGERIES])
def test_a_forged_token_proves_nothing(forge: Callable[[], str]) -> None:
    with pytest.raises(Unauthenticated):
        tokens().read(forge())


def test_a_key_named_by_the_token_is_not_looked_at() -> None:
    """
    ``jwk``, ``jku`` and ``kid`` in a header are the sender's words; only our key counts.
    """
    hostile = {
        "kid": "../../dev/null",
        "jku": "http://127.0.0.1/keys",
        "jwk": {"kty": "oct", "k": ""},
    }
    token = jwt.encode(payload(), bytes(32), algorithm="HS256", headers=hostile)
    with pytest.raises(Unauthenticated):
        tokens().read(token)
