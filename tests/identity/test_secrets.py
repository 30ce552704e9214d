from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from gateway.identity.secrets import (
    Keyring,
    Passwords,
    check_chosen_key,
    check_password,
    check_thing_key,
    new_thing_key,
)
from gateway.model.errors import Failure, Malformed, StartupFailed, TooMany

SECRET = bytes(range(32))
OTHER_SECRET = bytes(32)
THING = UUID("64140f0b-6448-41cf-967e-1bbcc703c332")
KEY = "659aa6ca-1781-4a69-9a20-689ddb235506"


def test_a_sealed_key_opens_for_its_thing() -> None:
    ring = Keyring(SECRET)
    assert KEY == ring.open_key(ring.seal_key(KEY, THING), THING)


def test_a_key_sealed_twice_looks_different() -> None:
    ring = Keyring(SECRET)
    assert ring.seal_key(KEY, THING) != ring.seal_key(KEY, THING)


def test_a_sealed_key_moved_to_another_row_does_not_open() -> None:
    """
    Whoever can write the table must not be able to read one thing's key through another.
    """
    ring = Keyring(SECRET)
    with pytest.raises(Failure):
        ring.open_key(ring.seal_key(KEY, THING), uuid4())


def test_a_sealed_key_does_not_open_under_another_secret() -> None:
    with pytest.raises(Failure):
        Keyring(OTHER_SECRET).open_key(Keyring(SECRET).seal_key(KEY, THING), THING)


@pytest.mark.parametrize("at", [0, 11, 12, -1])
def test_a_sealed_key_with_one_bit_turned_does_not_open(at: int) -> None:
    ring = Keyring(SECRET)
    sealed = bytearray(ring.seal_key(KEY, THING))
    sealed[at] ^= 2  # a mark of ours, too, is then none
    with pytest.raises(Failure):
        ring.open_key(bytes(sealed), THING)


def test_a_truncated_sealed_key_does_not_open() -> None:
    with pytest.raises(Failure):
        Keyring(SECRET).open_key(b"short", THING)


def test_no_two_purposes_share_a_key() -> None:
    ring = Keyring(SECRET)
    others = Keyring(OTHER_SECRET).token_keys
    made = {*ring.token_keys, *ring.fingerprints, ring.key_digest(KEY), *others}
    assert 4 == len(made)
    assert SECRET not in made


def test_a_short_deployment_secret_is_refused() -> None:
    with pytest.raises(StartupFailed, match="shorter than 32 bytes"):
        Keyring(b"too short")


@pytest.mark.parametrize("key", ["aaaaaaaaaaaaaaaa", "abababababababab", "1234512345123451"])
def test_a_key_that_is_no_secret_is_refused(key: str) -> None:
    with pytest.raises(Malformed, match="6 different characters"):
        check_chosen_key(key)


def test_made_up_keys_have_256_bits_and_differ() -> None:
    keys = {new_thing_key() for _ in range(50)}
    assert 50 == len(keys)
    assert {43} == {len(check_thing_key(key)) for key in keys}


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("fifteen-symbols", id="too short"),
        pytest.param("k" * 257, id="too long"),
        pytest.param("sixteen symbols!", id="with a space"),
        pytest.param("sixteen-symbols\n", id="with a line break"),
        pytest.param("sechzehn-zeichen-ä", id="not ASCII"),
        pytest.param(1234567890123456, id="not text"),
    ],
)
def test_a_key_that_cannot_go_into_a_header_is_refused(key: object) -> None:
    with pytest.raises(Malformed):
        check_thing_key(key)


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("seven77", id="seven characters"),
        pytest.param("p" * 1025, id="endless"),
        pytest.param("lone\ud800surrogate", id="lone surrogate"),
        pytest.param(12345678, id="not text"),
    ],
)
def test_a_bad_password_is_refused(password: object) -> None:
    with pytest.raises(Malformed):
        check_password(password)


def test_a_passphrase_is_a_password() -> None:
    assert "correct horse battery" == check_password("correct horse battery")


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(threads=1, waiting=0)


async def test_a_password_verifies_against_its_own_hash_only(passwords: Passwords) -> None:
    hashed = await passwords.hash("correct-horse")
    assert hashed.startswith("$argon2id$")
    assert "correct-horse" not in hashed
    assert await passwords.verify("correct-horse", hashed)
    assert not await passwords.verify("battery-staple", hashed)
    passwords.close()


async def test_an_unknown_account_costs_the_same_work(passwords: Passwords) -> None:
    """
    Without a hash to compare with, one is compared anyway, and the answer is still no.
    """
    seen: list[str] = []
    plain = passwords._hasher.verify

    class Counting:
        def verify(self, hashed: str, password: str) -> bool:
            seen.append(hashed)
            return plain(hashed, password)

        hash = passwords._hasher.hash

    passwords._hasher = Counting()  # type: ignore[misc, assignment]
    assert not await passwords.verify("whatever-it-is", None)
    assert ["$argon2id$v=19$m=19456,t=2,p=1$"] == [text[:31] for text in seen]
    passwords.close()


async def test_a_flood_of_logins_is_turned_away(passwords: Passwords) -> None:
    first = asyncio.create_task(passwords.hash("correct-horse"))
    await asyncio.sleep(0)
    with pytest.raises(TooMany):
        await passwords.hash("correct-horse")
    await first
    assert await passwords.hash("correct-horse")
    passwords.close()
