"""Uploads that must not be: the right status and sentence, and afterwards everything as before.

Each way: the gateway itself, and through nginx, which must pass refusals on as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from tests.tools.gateway import GatewayProcess, new_database, running_gateway
from tests.tools.hook import ALLOW, HookServer, Misbehave, Say, deny, running_hook
from tests.tools.mainflux import Thing, upload
from tests.tools.nginx import ACCEL
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, RawConnection, multipart, raw_connection
from tests.tools.waiting import PATIENCE_SECONDS
from tests.web.refusal_cases import (
    CONTENT,
    DIGESTS,
    FORMS,
    LARGE_FILE,
    LARGEST_FILE,
    NAMES,
    Case,
    digest_of,
    field,
    file_part,
    form,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = "/filestore/files"
EXISTING = "existing.bin"
OLD = b"the old bytes"
STALL_SECONDS = 1
_STATE = """
select (select json_agg(f order by id)::text from files f),
       (select json_agg(b order by id)::text from blobs b),
       (select json_agg(u order by kind, owner, slice)::text from usage u)
"""


@dataclass
class House:
    """What must look the same after a refusal as before it."""

    gateway: GatewayProcess
    connection: asyncpg.Connection

    async def state(self) -> tuple[tuple[object, ...], set[Path]]:
        """Every row about files, and every blob on disk."""
        blobs = (self.gateway.data_dir / "blobs").rglob("*")
        [rows] = await self.connection.fetch(_STATE)
        return tuple(rows), {path for path in blobs if path.is_file()}

    async def until_nothing_is_incoming(self) -> None:
        """An upload whose client has left is cleared away a moment later."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any((self.gateway.data_dir / "incoming").iterdir()):
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hook() -> AsyncIterator[HookServer]:
    """The authorisation hook, which allows everything until a test says otherwise."""
    async with running_hook() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database_dsn(postgres_server: str) -> str:
    """The gateway's database, for looking behind its back."""
    return await new_database(postgres_server)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, database_dsn: str, hook: HookServer
) -> AsyncIterator[GatewayProcess]:
    """Small limits, so that a test can exceed them."""
    async with running_gateway(
        tmp_path_factory.mktemp("gateway"),
        database_server=None,
        database_url=database_dsn,
        accel=ACCEL,
        trusted_proxies=f"{HOST}/32",
        hook_url=hook.url,
        hook_timeout_seconds=0.5,
        stall_seconds=STALL_SECONDS,
        max_file_bytes=LARGEST_FILE,
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    gateway: GatewayProcess, database_dsn: str, http: aiohttp.ClientSession, thing: Thing
) -> AsyncIterator[House]:
    """The gateway with one file in it."""
    await upload(http, f"{gateway.url}/files", thing.headers, EXISTING, OLD)
    connection = await asyncpg.connect(database_dsn)
    yield House(gateway, connection)
    await connection.close()


@pytest_asyncio.fixture(loop_scope="module")
async def unharmed(house: House, hook: HookServer) -> AsyncIterator[House]:
    """The test changes nothing, and ends no process."""
    hook.requests.clear()
    before, pid = await house.state(), house.gateway.pid
    yield house
    hook.always(ALLOW)
    await house.until_nothing_is_incoming()
    assert await house.state() == before
    assert (house.gateway.running, house.gateway.pid) == (True, pid)


@pytest.fixture
def key(thing: Thing) -> tuple[str, str]:
    [pair] = thing.headers.items()
    return pair


@pytest_asyncio.fixture(loop_scope="module")
async def raw(port: int) -> AsyncIterator[RawConnection]:
    async with raw_connection(port) as connection:
        yield connection


async def send(
    raw: RawConnection, key: tuple[str, str], case: Case, method: str = "POST", path: str = FILES
) -> Answer:
    """The answer, which may come before the whole body is sent."""

    async def push() -> None:
        with contextlib.suppress(ConnectionError):
            await raw.send(case.body)

    await raw.send_head(method, path, [key, *case.headers])
    pushing = asyncio.create_task(push())
    try:
        return await raw.read_answer(method=method)
    finally:
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)


def check_refusal(answer: Answer, status: int, sentence: str) -> None:
    assert (answer.status, json.loads(answer.body)) == (status, {"error": sentence})
    assert answer.head.one("Content-Type").startswith("application/json")


async def check_connection(raw: RawConnection, answer: Answer) -> None:
    """It serves the next request, or it is closed, as the answer says.

    nginx says keep-alive before it finds that a body was left unread, and then closes.
    """
    if [value.lower() for value in answer.head.all("Connection")] == ["close"]:
        assert (await raw.read_ending())[0] == b""
        return
    nginx = answer.head.one("Server") == "nginx"
    with contextlib.suppress(asyncio.IncompleteReadError) if nginx else contextlib.nullcontext():
        assert (await raw.ask("GET", "/health")).status == 200


ALL = {**FORMS, **NAMES, **DIGESTS}


@pytest.mark.parametrize("case", ALL.values(), ids=ALL.keys())
async def test_a_new_file_is_refused(
    unharmed: House, raw: RawConnection, key: tuple[str, str], case: Case
) -> None:
    answer = await send(raw, key, case)
    check_refusal(answer, case.status, case.sentence)
    await check_connection(raw, answer)


REPLACING = {name: case for name, case in ALL.items() if name not in NAMES and name != "not a form"}


@pytest.mark.parametrize("case", REPLACING.values(), ids=REPLACING.keys())
async def test_a_replacement_is_refused_and_the_old_file_stays(
    unharmed: House, raw: RawConnection, key: tuple[str, str], case: Case
) -> None:
    answer = await send(raw, key, case, "PUT", f"{FILES}/{EXISTING}")
    assert answer.status == case.status
    await check_connection(raw, answer)
    async with raw_connection(unharmed.gateway.port) as other:
        assert (await other.ask("GET", f"{FILES}/{EXISTING}", [key])).body == OLD


async def test_a_name_that_is_taken_is_refused(
    unharmed: House, raw: RawConnection, key: tuple[str, str]
) -> None:
    answer = await send(raw, key, form(409, "", [file_part(EXISTING)]))
    check_refusal(answer, 409, "entity already exists")
    await check_connection(raw, answer)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        pytest.param("a%00b", "the file name contains a forbidden character", id="NUL"),
        pytest.param("a" * 300, "the file name is longer than 255 bytes", id="300 bytes"),
        pytest.param("a%5Cb", "the file name contains a path separator", id="backslash"),
        pytest.param("a%E2%80%AEb", "the file name contains a forbidden character", id="bidi"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_path_that_no_file_can_have_is_refused(
    unharmed: House, port: int, key: tuple[str, str], method: str, path: str, sentence: str
) -> None:
    headers, body = multipart([file_part()])
    async with raw_connection(port) as raw:
        case = Case(headers, body, 0, "") if method == "PUT" else Case((), b"", 0, "")
        answer = await send(raw, key, case, method, f"{FILES}/{path}")
    if path == "a%00b" and port != unharmed.gateway.port:
        assert answer.status == 400  # nginx itself, in its own sentence
        assert "error" in json.loads(answer.body)
    else:
        check_refusal(answer, 400, sentence)


@pytest.mark.parametrize("path", ["..%2F..%2Fetc%2Fpasswd", "a%2Fb", "%252e%252e", "%ff%fe"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_path_that_climbs_or_is_no_text_finds_nothing(
    unharmed: House, port: int, key: tuple[str, str], method: str, path: str
) -> None:
    headers, body = multipart([file_part()])
    async with raw_connection(port) as raw:
        case = Case(headers, body, 0, "") if method == "PUT" else Case((), b"", 0, "")
        answer = await send(raw, key, case, method, f"{FILES}/{path}")
    assert answer.status in {400, 404}
    assert "error" in json.loads(answer.body)


def whole_form() -> tuple[tuple[tuple[str, str], ...], bytes]:
    parts = [
        field("metadata", b'{"version": "1.2"}'),
        file_part("cut.bin", f"Repr-Digest: {digest_of(CONTENT)}"),
        field("time", b"1700000000.5"),
    ]
    return multipart(parts)


def cuts() -> list[int]:
    """Every byte of the framing, and some of the file."""
    body = whole_form()[1]
    start = body.index(CONTENT)
    within = range(start + 1, start + len(CONTENT))
    chosen = set(range(len(body))) - set(within)
    return sorted(chosen | set(random.Random(4).sample(within, 60)))


@pytest.mark.parametrize(
    ("method", "path"), [("POST", FILES), ("PUT", f"{FILES}/{EXISTING}")], ids=["new", "old"]
)
async def test_an_upload_cut_at_any_byte_leaves_nothing(
    unharmed: House, port: int, key: tuple[str, str], method: str, path: str
) -> None:
    headers, body = whole_form()
    manner = random.Random(5)
    for cut in cuts():
        async with raw_connection(port) as raw:
            await raw.send_head(method, path, [key, *headers])
            await raw.send(body[:cut])
            match manner.choice(("reset", "close", "half")):
                case "reset":
                    raw.reset()
                case "half":
                    raw.half_close()
                    said, _ = await raw.read_ending()
                    assert said == b"" or b" 400 " in said.split(b"\r\n")[0], (cut, said)
                case _:
                    pass


async def test_a_large_upload_cut_anywhere_leaves_nothing(
    unharmed: House, port: int, key: tuple[str, str]
) -> None:
    """Large enough for bytes to have reached the disk."""
    headers, body = multipart([file_part(content=bytes(8 << 20))])
    places = random.Random(6)
    for cut in (places.randrange(len(body)) for _ in range(12)):
        async with raw_connection(port) as raw:
            await raw.send_head("POST", FILES, [key, *headers])
            await raw.send(body[:cut])
            if cut > 4 << 20:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while not any((unharmed.gateway.data_dir / "incoming").iterdir()):
                        await asyncio.sleep(0.001)
            if places.random() < 0.5:
                raw.reset()


@pytest.mark.parametrize(
    "shift", [pytest.param(-1, id="one less"), pytest.param(-500, id="five hundred less")]
)
async def test_a_content_length_that_is_too_small_is_refused(
    unharmed: House, raw: RawConnection, key: tuple[str, str], shift: int
) -> None:
    """What is beyond it is not ours to read; what is before it is no whole form."""
    headers, body = whole_form()
    headers = (headers[0], ("Content-Length", str(len(body) - 4 + shift)))
    answer = await send(raw, key, Case(headers, body, 0, ""))
    assert answer.status == 400
    assert set(json.loads(answer.body)) == {"error"}


async def test_a_content_length_that_is_too_large_waits_for_the_rest_and_gives_up(
    unharmed: House, raw: RawConnection, key: tuple[str, str]
) -> None:
    headers, body = whole_form()
    headers = (headers[0], ("Content-Length", str(len(body) + 1)))
    answer = await send(raw, key, Case(headers, body, 0, ""))
    check_refusal(answer, 408, "the body arrived too slowly")
    await check_connection(raw, answer)


@pytest.mark.parametrize("sent", [0, 2000], ids=["nothing", "half"])
async def test_a_body_that_stalls_is_given_up(
    unharmed: House, raw: RawConnection, key: tuple[str, str], sent: int
) -> None:
    headers, body = whole_form()
    await raw.send_head("POST", FILES, [key, *headers])
    await raw.send(body[:sent])
    answer = await raw.read_answer()
    check_refusal(answer, 408, "the body arrived too slowly")
    await check_connection(raw, answer)


async def test_a_body_that_drips_below_the_floor_is_given_up(
    unharmed: House, raw: RawConnection, key: tuple[str, str]
) -> None:
    headers, body = whole_form()
    await raw.send_head("POST", FILES, [key, *headers])

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            for byte in body:
                await raw.send(bytes([byte]))
                await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    answer = await raw.read_answer()
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    check_refusal(answer, 408, "the body arrived too slowly")


def chunked(body: bytes, size: int = 700) -> bytes:
    pieces = [body[n : n + size] for n in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


CHUNKS = [
    pytest.param(b"zz\r\nwhat is this\r\n", id="no size"),
    pytest.param(b"-5\r\nhello\r\n", id="negative size"),
    pytest.param(b"5\r\nhello world\r\n0\r\n\r\n", id="longer than its size"),
    pytest.param(b"fffffffffffffffffff\r\n", id="absurd size"),
]


@pytest.mark.parametrize("bad", CHUNKS)
async def test_a_broken_chunk_is_refused(
    unharmed: House, port: int, key: tuple[str, str], bad: bytes
) -> None:
    """The gateway or nginx says 400, or gives the connection up; neither guesses."""
    headers, body = whole_form()
    async with raw_connection(port) as raw:
        coded = [key, headers[0], ("Transfer-Encoding", "chunked")]
        await raw.send_head("POST", FILES, coded)
        await raw.send(chunked(body[:1500]), bad)
        said, _ = await raw.read_ending()
    assert said == b"" or said.split(b" ")[1] in {b"400", b"408"}, said


async def test_chunks_without_a_last_one_are_refused(
    unharmed: House, raw: RawConnection, key: tuple[str, str]
) -> None:
    headers, body = whole_form()
    await raw.send_head("POST", FILES, [key, headers[0], ("Transfer-Encoding", "chunked")])
    await raw.send(chunked(body))
    answer = await raw.read_answer()
    check_refusal(answer, 408, "the body arrived too slowly")


async def test_chunks_above_the_limit_are_refused(
    unharmed: House, raw: RawConnection, key: tuple[str, str]
) -> None:
    headers, body = multipart([file_part(content=bytes(LARGEST_FILE + 1))])
    coded = (headers[0], ("Transfer-Encoding", "chunked"))
    answer = await send(raw, key, Case(coded, chunked(body, 60_000) + b"0\r\n\r\n", 0, ""))
    check_refusal(answer, 413, LARGE_FILE)


@pytest.mark.parametrize("pieces", ["chunks", "bytes"])
async def test_a_good_form_is_taken_however_it_is_cut_into_pieces(
    house: House, raw: RawConnection, key: tuple[str, str], pieces: str
) -> None:
    headers, body = whole_form()
    if pieces == "chunks":
        coded = (headers[0], ("Transfer-Encoding", "chunked"))
        answer = await send(raw, key, Case(coded, chunked(body, 7) + b"0\r\n\r\n", 0, ""))
    else:
        await raw.send_head("POST", FILES, [key, *headers])
        for byte in body:
            await raw.send(bytes([byte]))
            await asyncio.sleep(0)
        answer = await raw.read_answer()
    assert answer.status == 201, answer.body
    assert (await raw.ask("GET", f"{FILES}/cut.bin", [key])).body == CONTENT
    assert (await raw.ask("DELETE", f"{FILES}/cut.bin", [key])).status == 204


@pytest.mark.parametrize(
    ("phase", "decision", "status", "sentence"),
    [
        pytest.param("authorise", deny("not on Sundays"), 403, "not on Sundays", id="denies"),
        pytest.param("commit", deny("not this one"), 403, "not this one", id="denies the bytes"),
        *(
            pytest.param(
                phase, how, 500, "unexpected status from filestore hook", id=f"{name} {phase}"
            )
            for phase in ("authorise", "commit")
            for name, how in {
                "hangs at": Misbehave.HANG,
                "drops at": Misbehave.DROP,
                "closes at": Misbehave.CLOSE,
                "sends half at": Say(200, b"x", {"Content-Length": "nonsense"}),
                "says 201 at": Say(201),
                "says 302 at": Say(302, b"", {"Location": "/yes"}),
                "says 404 at": Say(404),
                "says 500 at": Say(500),
                "speaks no HTTP at": Misbehave.GARBAGE,
                "sends headers for ever at": Misbehave.ENDLESS_HEAD,
            }.items()
        ),
    ],
)
async def test_a_hook_that_does_not_agree_stops_an_upload(
    unharmed: House,
    hook: HookServer,
    raw: RawConnection,
    key: tuple[str, str],
    phase: str,
    decision: Say | Misbehave,
    status: int,
    sentence: str,
) -> None:
    hook.at(phase, decision)
    answer = await send(raw, key, form(0, "", [file_part()]))
    check_refusal(answer, status, sentence)
    await check_connection(raw, answer)


async def test_the_hook_is_asked_before_a_byte_of_the_body_is_read(
    unharmed: House, hook: HookServer, raw: RawConnection, key: tuple[str, str]
) -> None:
    """No body is ever sent here: the refusal cannot have waited for it."""
    hook.at("authorise", deny("not now"))
    await raw.send_head("POST", FILES, [key, *whole_form()[0]])
    check_refusal(await raw.read_answer(), 403, "not now")
    assert [request.phase for request in hook.requests] == ["authorise"]


NOBODY = {
    "no credential": ((), 401),
    "a wrong key": ((("Authorization", "Thing 0000"),), 403),
    "a wrong token": ((("Authorization", "Bearer nonsense"),), 401),
}


@pytest.mark.parametrize(("who", "status"), NOBODY.values(), ids=NOBODY.keys())
async def test_nobody_is_refused_before_the_body(
    unharmed: House, raw: RawConnection, who: tuple[tuple[str, str], ...], status: int
) -> None:
    await raw.send_head("POST", FILES, [*who, *whole_form()[0]])
    answer = await raw.read_answer()
    assert answer.status == status
    assert set(json.loads(answer.body)) == {"error"}
    await check_connection(raw, answer)


@pytest.mark.parametrize(("who", "status"), NOBODY.values(), ids=NOBODY.keys())
async def test_nobody_is_invited_to_send_a_body(
    unharmed: House, who: tuple[tuple[str, str], ...], status: int
) -> None:
    """Asked directly: nginx sends 100 Continue by itself."""
    async with raw_connection(unharmed.gateway.port) as raw:
        await raw.send_head("POST", FILES, [*who, *whole_form()[0], ("Expect", "100-continue")])
        head = await raw.read_head()
    assert head.status == status


async def test_a_denied_caller_is_not_invited_either(
    unharmed: House, hook: HookServer, key: tuple[str, str]
) -> None:
    hook.at("authorise", deny())
    async with raw_connection(unharmed.gateway.port) as raw:
        await raw.send_head("POST", FILES, [key, *whole_form()[0], ("Expect", "100-continue")])
        assert (await raw.read_head()).status == 403


async def test_a_body_that_would_be_refused_is_not_invited(
    unharmed: House, key: tuple[str, str]
) -> None:
    """Its length is known to be too large before a byte of it comes."""
    length = ("Content-Length", str(100 << 20))
    asked = [key, whole_form()[0][0], length, ("Expect", "100-continue")]
    async with raw_connection(unharmed.gateway.port) as raw:
        await raw.send_head("POST", FILES, asked)
        assert (await raw.read_head()).status == 413


async def test_an_authorised_caller_is_invited_after_the_hook_agreed(
    house: House, hook: HookServer, key: tuple[str, str]
) -> None:
    hook.requests.clear()
    headers, body = whole_form()
    async with raw_connection(house.gateway.port) as raw:
        await raw.send_head("POST", FILES, [key, *headers, ("Expect", "100-continue")])
        assert (await raw.read_head()).status == 100
        assert [request.phase for request in hook.requests] == ["authorise"]
        await raw.send(body)
        assert (await raw.read_answer()).status == 201
        assert [request.phase for request in hook.requests] == ["authorise", "commit"]
        assert (await raw.ask("DELETE", f"{FILES}/cut.bin", [key])).status == 204


async def test_an_unknown_expectation_is_refused(unharmed: House, key: tuple[str, str]) -> None:
    async with raw_connection(unharmed.gateway.port) as raw:
        await raw.send_head("POST", FILES, [key, *whole_form()[0], ("Expect", "a miracle")])
        check_refusal(await raw.read_answer(), 417, "expectation failed")


async def test_a_dead_database_refuses_an_upload_and_comes_back(
    house: House,
    postgres_server: str,
    hook: HookServer,
    raw: RawConnection,
    key: tuple[str, str],
) -> None:
    """It dies while the body is on its way, so the caller was authorised and only the commit fails.

    A blob may be left if COMMIT was sent; a row may not.
    """
    hook.requests.clear()
    rows, blobs = await house.state()
    name = await house.connection.fetchval("select current_database()")
    headers, body = whole_form()
    await raw.send_head("POST", FILES, [key, *headers])
    await raw.send(body[:2000])
    while not hook.requests:
        await asyncio.sleep(0.01)
    server = await asyncpg.connect(postgres_server)
    try:
        await server.execute(f"alter database {name} allow_connections false")
        await server.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = $1 and application_name <> $2 and pid <> all($3)",
            name,
            "",
            [house.connection.get_server_pid()],
        )
        await raw.send(body[2000:])
        check_refusal(await raw.read_answer(), 503, "the catalogue is not available now")
        async with raw_connection(house.gateway.port) as other:
            refused = await send(other, key, form(0, "", [file_part()]))
            check_refusal(refused, 503, "the catalogue is not available now")
    finally:
        await server.execute(f"alter database {name} allow_connections true")
        await server.close()
    async with raw_connection(house.gateway.port) as other:
        assert (await other.ask("GET", f"{FILES}/{EXISTING}", [key])).body == OLD
        assert (await other.ask("GET", f"{FILES}/cut.bin", [key])).status == 404
    rows_after, blobs_after = await house.state()
    assert rows_after == rows
    assert blobs <= blobs_after
    await house.until_nothing_is_incoming()
