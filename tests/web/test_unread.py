"""Responses that are there before the body is: whoever sends little keeps the connection, and finds the response.

Each way: the gateway itself, and through nginx, which has told its client that the connection stays.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from tests.tools.gateway import GatewayProcess, new_database, running_gateway
from tests.tools.mainflux import Thing, User, upload
from tests.tools.nginx import ACCEL, Nginx
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, RawConnection, multipart, raw_connection
from tests.tools.waiting import least_seconds

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM, BODY = multipart(
    [('Content-Disposition: form-data; name="file"; filename="new.bin"', bytes(3000))]
)
NOBODYS = ("Authorization", "Bearer nonsense")
JSON = ("Content-Type", "application/json")
PRIVATE = f"/applications/{uuid4().hex[:24]}/privateFiles"
WAITED_SECONDS = 0.4
"""A gateway waits somewhat longer for what is left of a body, and hardly at all otherwise."""


@dataclass(frozen=True, slots=True)
class Early:
    """What is answered before its body is looked at. ``who`` sends it: nobody, a thing, or the administrator."""

    status: int
    method: str
    path: str
    who: str = "admin"
    headers: tuple[tuple[str, str], ...] = FORM
    body: bytes = BODY


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database_dsn(postgres_server: str) -> str:
    """The gateway's database, which a test takes away from it."""
    return await new_database(postgres_server, copied=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, database_dsn: str
) -> AsyncIterator[GatewayProcess]:
    async with running_gateway(
        tmp_path_factory.mktemp("gateway"),
        database_server=None,
        database_url=database_dsn,
        accel=ACCEL,
        trusted_proxies=f"{HOST}/32",
        max_file_bytes=20_000,
    ) as running:
        yield running


@pytest.fixture(scope="module", params=("direct", "nginx"))
def port(request: pytest.FixtureRequest, gateway: GatewayProcess, nginx: Nginx) -> int:
    return {"direct": gateway.port, "nginx": nginx.port}[request.param]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def credentials(
    gateway: GatewayProcess, http: aiohttp.ClientSession, admin: User, thing: Thing
) -> dict[str, list[tuple[str, str]]]:
    """How each of them says who it is; the thing has a file."""
    await upload(http, f"{gateway.url}/files", thing.headers, "there.bin", b"there")
    known = {"admin": [*admin.headers.items()], "thing": [*thing.headers.items()]}
    return known | {
        "nobody": [NOBODYS],
        "none": [],
        "stranger": [("Authorization", f"Thing {uuid4()}")],
    }


TOO_LARGE = multipart(
    [('Content-Disposition: form-data; name="file"; filename="new.bin"', bytes(60_000))]
)


def sized(body: bytes, *others: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (*others, ("Content-Length", str(len(body))))


EARLY = {
    "no credential": Early(401, "POST", "/files", "none"),
    "another's credential": Early(401, "POST", "/files", "nobody"),
    "a key of nothing": Early(403, "POST", "/files", "stranger"),
    "hasura: nobody": Early(401, "POST", "/v1/file", "nobody"),
    "gravwell: nobody": Early(401, "POST", "/api/files", "nobody"),
    "losant: nobody": Early(401, "POST", PRIVATE, "nobody", sized(b"{}", JSON), b"{}"),
    "no such address": Early(404, "POST", "/nothing"),
    "no such method": Early(405, "POST", "/files/new.bin", "thing"),
    "a precondition": Early(
        412, "PUT", "/files/there.bin", "thing", (*FORM, ("If-Match", '"absent"'))
    ),
    "too large, as it says": Early(413, "POST", "/files", "thing", *TOO_LARGE),
    "too large for a log-in": Early(
        413, "POST", "/tokens", "none", sized(bytes(30_000), JSON), bytes(30_000)
    ),
    "no form": Early(415, "POST", "/files", "thing", sized(BODY, JSON)),
    "a broken form": Early(
        400, "POST", "/files", "thing", FORM, BODY.replace(b"form-data", b"data-form")
    ),
    "not a refusal": Early(
        404, "DELETE", "/files/none.bin", "thing", sized(b"x" * 100), b"x" * 100
    ),
}


async def tell(raw: RawConnection, early: Early, who: list[tuple[str, str]], pieces: int) -> Answer:
    """The answer to its request, whose head comes first if the body is in several pieces."""
    size = -(-len(early.body) // pieces)
    await raw.send_head(early.method, early.path, [*who, *early.headers])
    for begin in range(0, len(early.body), size):
        if pieces > 1:
            await asyncio.sleep(0.02)  # the gateway knows its answer by now, and tells nobody
        await raw.send(early.body[begin : begin + size])
    return await raw.read_answer()


@pytest.mark.parametrize("pieces", [1, 3], ids=["in one piece", "in three"])
@pytest.mark.parametrize("early", EARLY.values(), ids=EARLY.keys())
async def test_a_small_body_is_taken_in_and_the_connection_stays(
    port: int, credentials: dict[str, list[tuple[str, str]]], early: Early, pieces: int
) -> None:
    async with raw_connection(port) as raw:
        answer = await tell(raw, early, credentials[early.who], pieces)
        assert ["close"] != answer.head.all("Connection")
        assert early.status == answer.status, answer
        assert (await raw.ask("GET", "/health")).status == 200


CHUNKED = (FORM[0], ("Transfer-Encoding", "chunked"))
EXPECTING = (*FORM, ("Expect", "100-continue"))
"""Whose body is not to be waited for, with what of it is sent, and whether it is waited for at all."""
NOT_TAKEN = {
    "much, all of it": ((FORM[0], ("Content-Length", "3000000")), bytes(3_000_000), False),
    "much, none of it": ((FORM[0], ("Content-Length", "3000000")), b"", False),
    "little, and the client waits to be asked": (EXPECTING, b"", False),
    "little, none of it": (FORM, b"", True),
    "little, half of it": (FORM, BODY[:1500], True),
    "chunks without an end": (CHUNKED, b"3\r\nabc\r\n", True),
    "chunks without a bound": (CHUNKED, b"ffff\r\n%b\r\n" % bytes(65_535) * 4, False),
}


@pytest.mark.parametrize(("headers", "sent", "waits"), NOT_TAKEN.values(), ids=NOT_TAKEN.keys())
async def test_what_is_much_or_does_not_come_ends_the_connection(
    gateway: GatewayProcess, headers: tuple[tuple[str, str], ...], sent: bytes, waits: bool
) -> None:
    async def refused() -> None:
        async with raw_connection(gateway.port) as raw:
            await raw.send_head("POST", "/files", [NOBODYS, *headers])
            sending = asyncio.create_task(raw.send(sent))
            answer = await raw.read_answer()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        assert (401, ["close"]) == (answer.status, answer.head.all("Connection"))

    tries = 1 if waits else 10
    took = await least_seconds(refused, below=WAITED_SECONDS, tries=tries)
    assert (took >= WAITED_SECONDS) is waits


async def test_who_asks_before_sending_is_invited_by_nginx_and_keeps_the_connection(
    nginx: Nginx,
) -> None:
    async with raw_connection(nginx.port) as raw:
        await raw.send_head("POST", "/files", [NOBODYS, *EXPECTING])
        assert (await raw.read_head()).status == 100
        await raw.send(BODY)
        assert (await raw.read_answer()).status == 401
        assert (await raw.ask("GET", "/health")).status == 200


AWAY = {
    "mainflux": Early(503, "POST", "/files", "stranger"),
    "hasura": Early(500, "POST", "/v1/file"),
    "gravwell": Early(503, "POST", "/api/files"),
    "losant": Early(503, "POST", PRIVATE, "admin", sized(b"{}", JSON), b"{}"),
}


@contextlib.asynccontextmanager
async def away(server: str, dsn: str) -> AsyncIterator[None]:
    """Nobody gets to that database in the block."""
    name = dsn.partition("?")[0].rpartition("/")[2]
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"alter database {name} allow_connections false")
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name
        )
        yield
    finally:
        await connection.execute(f"alter database {name} allow_connections true")
        await connection.close()


async def test_a_database_that_is_away_costs_nobody_the_connection(
    port: int,
    postgres_server: str,
    database_dsn: str,
    credentials: dict[str, list[tuple[str, str]]],
) -> None:
    async with away(postgres_server, database_dsn):
        for name, early in AWAY.items():
            async with raw_connection(port) as raw:
                answer = await tell(raw, early, credentials[early.who], 3)
                assert (name, early.status) == (name, answer.status), answer
                assert (await raw.ask("GET", "/health")).status == 200
