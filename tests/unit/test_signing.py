"""Signatures of webhooks, checked as their receivers check them, and what keeps their secrets."""

from __future__ import annotations

import time
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gateway.identity.secrets import RowSeal, webhook_seal
from gateway.messaging.signing import WebhookSecrets, message_id, new_secret, signed
from gateway.model.errors import Failure

ONE, TWO = UUID(int=1), UUID(int=2)


def test_the_published_vector() -> None:
    """That of the specification's own libraries."""
    key, message = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert {
        "webhook-id": message,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    } == signed([key], message, 1614265330, b'{"test": 2432232314}')


def test_whoever_has_one_of_the_secrets_verifies_and_nobody_else_does() -> None:
    now, body = int(time.time()), b'[{"n":"a.b","v":1}]'
    keys = [new_secret(), new_secret()]
    headers = dict(signed(keys, message_id(ONE, 7, 1.5), now, body))
    for key in keys:
        assert [{"n": "a.b", "v": 1}] == Webhook(key).verify(body, headers)
    for key, changed in [
        (new_secret(), {}),
        (keys[0], {"webhook-id": "msg_1"}),
        (keys[0], {"webhook-timestamp": str(now - 1)}),
    ]:
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(body, headers | changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(keys[0]).verify(body + b" ", headers)


def test_without_a_secret_there_is_no_signature() -> None:
    assert {"webhook-id": "a", "webhook-timestamp": "1"} == signed([], "a", 1, b"")


def test_an_id_is_that_of_one_delivery_alone() -> None:
    ids = {message_id(w, d, t) for w in (ONE, TWO) for d in (1, 2) for t in (1.0, 2.0)}
    assert 8 == len(ids)
    assert message_id(ONE, 1, 1.0) in ids
    assert all(i.startswith("msg_") and "." not in i for i in ids)


def test_what_is_sealed_is_opened_in_its_own_place_alone() -> None:
    seal = webhook_seal(b"s" * 32)
    secrets = WebhookSecrets(seal)
    secret = new_secret()
    sealed, headers = secrets.seal_secret(secret, ONE), secrets.seal_headers({"A": "b"}, ONE)
    assert (secret, {"A": "b"}) == (
        secrets.open_secret(sealed, ONE),
        secrets.open_headers(headers, ONE),
    )
    assert secret.encode() not in sealed
    for other, place in [(webhook_seal(b"t" * 32), ONE), (seal, TWO)]:
        with pytest.raises(Failure):
            WebhookSecrets(other).open_secret(sealed, place)
    with pytest.raises(Failure):
        secrets.open_headers(sealed, ONE)
    assert (None, {}) == (secrets.seal_headers({}, ONE), secrets.open_headers(None, ONE))


def test_an_earlier_key_still_opens_and_the_first_one_seals() -> None:
    old, new = RowSeal(b"o" * 32), RowSeal(b"n" * 32, b"o" * 32)
    assert b"x" == new.open(old.seal(b"x", b"row"), b"row")
    with pytest.raises(Failure):
        old.open(new.seal(b"x", b"row"), b"row")
