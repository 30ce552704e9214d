"""Attempts to be let in: who fails too often waits, and nobody else does."""

from __future__ import annotations

import pytest

from gateway.model.errors import StorageFailed, TooMany, Unauthenticated
from gateway.traffic.attempts import Attempts


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(clock=clock)


async def failures(attempts: Attempts, address: str | None, account: str, most: int = 1000) -> int:
    """How many wrong passwords are looked at before the next one is not."""
    for count in range(most):
        try:
            async with attempts.log_in(address, account):
                raise Unauthenticated
        except Unauthenticated:
            pass
        except TooMany:
            return count
    return most


async def test_a_guesser_locks_out_nobody_else(attempts: Attempts) -> None:
    assert await failures(attempts, "192.0.2.1", "a@b.c") == 10
    async with attempts.log_in("192.0.2.2", "A@b.c"):
        pass
    async with attempts.log_in("192.0.2.1", "other@b.c"):
        pass


async def test_who_waits_as_long_as_was_said_is_looked_at_again(
    attempts: Attempts, clock: Clock
) -> None:
    await failures(attempts, "192.0.2.1", "a@b.c")
    with pytest.raises(TooMany) as caught:
        async with attempts.log_in("192.0.2.1", "a@b.c"):
            pytest.fail("it was looked at")
    clock.now += caught.value.retry_after_seconds - 0.1
    with pytest.raises(TooMany):
        async with attempts.log_in("192.0.2.1", "a@b.c"):
            pytest.fail("it was too early")
    clock.now += 0.1
    assert await failures(attempts, "192.0.2.1", "a@b.c") == 1


async def test_an_address_that_tries_many_accounts_waits(attempts: Attempts) -> None:
    tried = 0
    while await failures(attempts, "192.0.2.1", f"{tried}@b.c", 1):
        tried += 1
    assert tried == 300
    assert await failures(attempts, None, "0@b.c", 3) == 3, (
        "who is not known has no address to count"
    )


async def test_guesses_from_many_addresses_hold_up_strangers_and_not_who_was_in(
    attempts: Attempts,
) -> None:
    async with attempts.log_in("198.51.100.1", "a@b.c"):
        pass
    assert 100 == sum([await failures(attempts, f"192.0.2.{i}", "a@b.c", 5) for i in range(40)])
    with pytest.raises(TooMany):
        async with attempts.log_in("203.0.113.1", "a@b.c"):
            pytest.fail("it was looked at")
    async with attempts.log_in("198.51.100.1", "a@b.c"):
        pass


async def test_what_did_not_fail_is_not_counted(attempts: Attempts) -> None:
    for _ in range(1000):
        async with attempts.log_in("192.0.2.1", "a@b.c"):
            pass
    for _ in range(1000):
        with pytest.raises(StorageFailed):
            async with attempts.log_in("192.0.2.1", "a@b.c"):
                raise StorageFailed
    assert await failures(attempts, "192.0.2.1", "a@b.c") == 10


async def test_registrations_are_counted_whether_or_not_they_succeed(
    attempts: Attempts, clock: Clock
) -> None:
    for _ in range(100):
        await attempts.registration("192.0.2.1")
    with pytest.raises(TooMany) as caught:
        await attempts.registration("192.0.2.1")
    await attempts.registration("192.0.2.2")
    clock.now += caught.value.retry_after_seconds
    await attempts.registration("192.0.2.1")
