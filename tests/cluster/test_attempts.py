"""Guesses at passwords that are spread over gateways are counted by all of them together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import asyncpg
import pytest

from gateway.database.pool import Database
from gateway.identity.rows.attempts import SharedAttempts
from gateway.model.errors import CatalogueUnavailable, StorageFailed, TooMany, Unauthenticated
from gateway.traffic.attempts import Attempts, Token

MOST = 10
ADDRESS, ACCOUNT = "192.0.2.1", "a@b.c"


class Asked(SharedAttempts):
    """Says how often all were asked, and can be away."""

    asked = 0
    away = False

    async def take(self, tokens: Sequence[Token], *, forced: bool = False) -> Sequence[float]:
        self.asked += 1
        if self.away:
            raise CatalogueUnavailable
        return await super().take(tokens, forced=forced)


@pytest.fixture
def ledgers(database: Database) -> list[Asked]:
    return [Asked(database) for _ in range(4)]


@pytest.fixture
def gateways(ledgers: list[Asked]) -> list[Attempts]:
    """What four gateways on one database count with."""
    return [Attempts(ledger) for ledger in ledgers]


async def is_looked_at(
    attempts: Attempts,
    account: str = ACCOUNT,
    address: str = ADDRESS,
    fault: type = Unauthenticated,
) -> bool:
    """Whether a password that is wrong is looked at."""
    try:
        async with attempts.log_in(address, account):
            await asyncio.sleep(0)
            raise fault
    except TooMany:
        return False
    except (Unauthenticated, StorageFailed):
        return True


async def test_in_turns_they_look_at_as_many_as_one_would(gateways: list[Attempts]) -> None:
    looked = [await is_looked_at(gateways[n % 4]) for n in range(4 * MOST)]
    assert MOST == sum(looked)
    assert looked[:MOST] == [True] * MOST


async def test_at_once_they_look_at_one_more_each(gateways: list[Attempts]) -> None:
    tried = (is_looked_at(gateways[n % 4]) for n in range(8 * MOST))
    assert MOST <= sum(await asyncio.gather(*tried)) <= MOST + len(gateways)


async def test_who_is_refused_waits_at_each_of_them_and_nobody_else_does(
    gateways: list[Attempts],
) -> None:
    while await is_looked_at(gateways[0]):
        pass
    assert await is_looked_at(gateways[1])  # the first of each, which all hear of
    with pytest.raises(TooMany) as refused:
        async with gateways[1].log_in(ADDRESS, ACCOUNT):
            pytest.fail("it was looked at")
    assert MOST <= refused.value.retry_after_seconds <= 2 * MOST + 1
    assert await is_looked_at(gateways[1], "other@b.c")
    assert await is_looked_at(gateways[1], address="192.0.2.2")


async def test_an_address_that_tries_many_accounts_is_counted_by_all(
    gateways: list[Attempts],
) -> None:
    looked = [await is_looked_at(gateways[n % 4], f"{n}@b.c") for n in range(320)]
    assert 300 <= sum(looked) <= 310  # five come back in a second


async def test_nobody_is_asked_about_a_log_in_that_is_right(
    gateways: list[Attempts], ledgers: list[Asked], connection: asyncpg.Connection
) -> None:
    for n in range(40):
        async with gateways[n % 4].log_in(ADDRESS, f"{n % 7}@b.c"):
            pass
    assert 0 == sum(ledger.asked for ledger in ledgers)
    assert 0 == await connection.fetchval("select count(*) from attempts")


async def test_what_did_not_fail_is_given_back(gateways: list[Attempts]) -> None:
    """Also where it was counted by all before it was tried."""
    assert await is_looked_at(gateways[0])
    for n in range(3 * MOST):
        assert await is_looked_at(gateways[n % 2], fault=StorageFailed)
    looked = [await is_looked_at(gateways[n % 2]) for n in range(2 * MOST)]
    assert MOST - 1 == sum(looked)


async def test_who_was_refused_is_refused_again_without_asking(
    gateways: list[Attempts], ledgers: list[Asked]
) -> None:
    while await is_looked_at(gateways[0]):
        pass
    assert [True, False] == [await is_looked_at(gateways[1]) for _ in range(2)]
    asked = ledgers[1].asked
    assert not any([await is_looked_at(gateways[1]) for _ in range(MOST)])
    assert asked == ledgers[1].asked


async def test_without_the_database_each_counts_for_itself(
    gateways: list[Attempts], ledgers: list[Asked]
) -> None:
    """The first is looked at; what would have to be counted by all is not."""
    ledgers[0].away = True
    assert await is_looked_at(gateways[0])
    with pytest.raises(CatalogueUnavailable):
        await is_looked_at(gateways[0])


async def test_registrations_of_one_address_are_counted_by_all(gateways: list[Attempts]) -> None:
    taken = 0
    with contextlib.suppress(TooMany):
        while taken < 200:
            await gateways[taken % 4].registration(ADDRESS)
            taken += 1
    assert 100 <= taken <= 102


async def test_what_is_over_is_taken_away_by_who_counts(
    gateways: list[Attempts], connection: asyncpg.Connection
) -> None:
    for n in range(30):
        await is_looked_at(gateways[0], f"{n}@b.c", address=f"192.0.2.{n}")
    await connection.execute("update attempts set full_at = now() - interval '1 second'")
    for n in range(8):
        await is_looked_at(gateways[0], "z@b.c", address=f"198.51.100.{n}")
    assert 16 >= await connection.fetchval("select count(*) from attempts")


async def test_no_row_says_whose_it_is(
    gateways: list[Attempts], connection: asyncpg.Connection
) -> None:
    await is_looked_at(gateways[0])
    keys = [row["key"] for row in await connection.fetch("select key from attempts")]
    assert [16, 16] == [len(key) for key in keys]
