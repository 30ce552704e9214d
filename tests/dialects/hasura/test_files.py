"""Bodies, ids, digests and conditions on the Hasura routes, and that their files are nobody else's."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest

from tests.dialects.hasura.conftest import ADMIN, OCTETS, Hasura, Headers, check_refusal
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import User, upload
from tests.tools.rawhttp import multipart, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = Firmware(7, 300_000).content
SHA256 = hashlib.sha256(IMAGE)
DIGEST = f"sha-256=:{base64.b64encode(SHA256.digest()).decode()}:"
WRONG = f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"
MISMATCH = "the content does not match its declared digest"
FILE_PART = 'Content-Disposition: form-data; name="file"; filename="fw.png"'
WAITING = """
select count(*) > 0 from pg_stat_activity
 where datname = current_database() and wait_event_type = 'Lock'
"""
FIELD_PART = 'Content-Disposition: form-data; name="{}"'
_ids = count()


@pytest.fixture
def fresh() -> str:
    """A path whose id no other test has."""
    return f"/file-{next(_ids)}"


# Bodies


@pytest.mark.parametrize(
    ("part", "content_type"),
    [
        pytest.param(f"{FILE_PART}\r\nContent-Type: image/x-own", "image/x-own", id="typed"),
        pytest.param(FILE_PART, "image/png", id="by its name"),
        pytest.param(
            f"{FILE_PART}\r\nContent-Type: application/octet-stream", "image/png", id="octets"
        ),
        pytest.param(FIELD_PART.format("file"), "application/octet-stream", id="nameless"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_form_with_a_file_is_that_file(
    hasura: Hasura, fresh: str, method: str, part: str, content_type: str
) -> None:
    headers, body = multipart([(FIELD_PART.format("note"), b"hello"), (part, IMAGE)])
    answer = await hasura.ask(method, fresh, (*ADMIN, *headers), body)
    said = json.loads(answer.body)
    assert (200, len(IMAGE), content_type) == (
        answer.status,
        said["file_size"],
        said["content_type"],
    )
    got = await hasura.ask("GET", fresh)
    assert (content_type, IMAGE) == (got.head.one("Content-Type"), got.body)


async def test_a_form_without_an_id_gets_one(hasura: Hasura) -> None:
    headers, body = multipart([(FILE_PART, IMAGE)])
    answer = await hasura.ask("POST", "/", (*ADMIN, *headers), body)
    got = await hasura.ask("GET", f"/{json.loads(answer.body)['file_id']}")
    assert IMAGE == got.body


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        pytest.param([], "missing parameter: file", id="empty"),
        pytest.param([(FILE_PART, b"a"), (FILE_PART, b"b")], "more than one file part", id="two"),
        pytest.param(
            [(FILE_PART, b"a"), (FIELD_PART.format("sha256"), SHA256.hexdigest().encode())],
            MISMATCH,
            id="digest of another",
        ),
        pytest.param(
            [(f"{FILE_PART}\r\nContent-Digest: {WRONG}", b"a")], MISMATCH, id="digest of the part"
        ),
        pytest.param([(FIELD_PART.format("data"), b"a")], "missing parameter: file", id="misnamed"),
    ],
)
async def test_a_form_that_is_not_one_file_is_refused(
    hasura: Hasura, fresh: str, parts: list[tuple[str, bytes]], message: str
) -> None:
    headers, body = multipart(parts)
    answer = await hasura.ask("POST", fresh, (*ADMIN, *headers), body)
    check_refusal(answer, 400, "bad_request", message)
    assert 404 == (await hasura.ask("GET", fresh)).status


@pytest.mark.parametrize(
    "content_type",
    ["image/png", "text/html; charset=utf-8", "application/vnd.own+json", "IMAGE/PNG"],
)
async def test_a_type_comes_back_as_it_was_sent(
    hasura: Hasura, fresh: str, content_type: str
) -> None:
    headers = (*ADMIN, ("Content-Type", content_type))
    answer = await hasura.ask("POST", fresh, headers, b"content")
    assert content_type == json.loads(answer.body)["content_type"]
    got = await hasura.ask("GET", fresh)
    assert content_type == got.head.one("Content-Type")
    assert "nosniff" == got.head.one("X-Content-Type-Options")
    assert got.head.one("Content-Disposition").startswith("attachment;")


async def test_two_types_are_none(gateway: GatewayProcess, fresh: str) -> None:
    headers = (*ADMIN, OCTETS, ("Content-Type", "text/html"))
    answer = await Hasura(gateway.port).ask("POST", fresh, headers, b"content")
    assert 400 == answer.status


async def test_a_body_that_breaks_off_leaves_nothing(gateway: GatewayProcess, fresh: str) -> None:
    """What is no chunk comes after the body was asked for: it is refused then, and not waited for."""
    direct = Hasura(gateway.port)
    async with raw_connection(gateway.port) as connection:
        chunked = (("Transfer-Encoding", "chunked"), ("Expect", "100-continue"))
        await connection.send_head("POST", f"/v1/file{fresh}", (*ADMIN, OCTETS, *chunked))
        assert 100 == (await connection.read_head()).status
        await connection.send(b"5\r\nhello\r\nzz\r\n")
        answer = await connection.read_answer()
        check_refusal(answer, 400, "bad_request", "malformed transfer coding")
        assert (b"", "eof") == await connection.read_ending()
    assert 404 == (await direct.ask("GET", fresh)).status


# Digests


@pytest.mark.parametrize("name", ["Content-Digest", "Repr-Digest"])
async def test_a_digest_is_checked(hasura: Hasura, fresh: str, name: str) -> None:
    wrong = await hasura.ask("POST", fresh, (*ADMIN, OCTETS, (name, WRONG)), IMAGE)
    check_refusal(wrong, 400, "bad_request", MISMATCH)
    assert 404 == (await hasura.ask("GET", fresh)).status
    right = await hasura.ask("POST", fresh, (*ADMIN, OCTETS, (name, DIGEST)), IMAGE)
    assert 200 == right.status
    assert DIGEST == (await hasura.ask("GET", fresh)).head.one("Repr-Digest")


async def test_a_wrong_digest_does_not_replace(hasura: Hasura, fresh: str) -> None:
    await hasura.create(fresh, b"content")
    wrong = await hasura.ask("PUT", fresh, (*ADMIN, OCTETS, ("Content-Digest", WRONG)), IMAGE)
    check_refusal(wrong, 400, "bad_request", MISMATCH)
    assert b"content" == (await hasura.ask("GET", fresh)).body


# Ids


@pytest.mark.parametrize(
    "file_id",
    [
        pytest.param("05c40f1e-cdaf-4e29-8976-38c899", id="as published"),
        pytest.param("x" * 255, id="255 bytes"),
        pytest.param("€" * 85, id="255 bytes in 85 characters"),
        pytest.param("ends in a dot.", id="dot at the end"),
        pytest.param("...", id="three dots"),
        pytest.param("..%2f", id="per cent signs are data"),
        pytest.param("%2e%2e", id="and not decoded again"),
        pytest.param("%", id="a lone one"),
        pytest.param(" ", id="space"),
        pytest.param("a+b", id="plus"),
        pytest.param("con", id="device"),
        pytest.param("nul.txt", id="device with an extension"),
        pytest.param("C:\\fw", id="backslash"),
        pytest.param("a?b=c#d&e", id="what ends a path"),
        pytest.param("{file_id}", id="braces"),
        pytest.param("a;v=1,2", id="parameters"),
        pytest.param("\"quoted\" <b>'it'", id="quotes and markup"),
        pytest.param("固件-🚀", id="chinese and emoji"),
        pytest.param("e\u0301", id="decomposed"),
        pytest.param("\u00e9", id="composed"),
        pytest.param("file", id="the route's own word"),
        pytest.param("files", id="mainflux's word"),
        pytest.param("-", id="dash"),
        pytest.param("0", id="zero"),
        pytest.param("null", id="null"),
    ],
)
async def test_an_id_is_kept_to_the_byte(hasura: Hasura, file_id: str) -> None:
    path = f"/{quote(file_id, safe='')}"
    created = await hasura.create(path, file_id.encode())
    assert file_id == created["file_id"]
    got = await hasura.ask("GET", path)
    assert (200, file_id.encode()) == (got.status, got.body)
    deleted = await hasura.ask("DELETE", path)
    assert {"file_id": file_id, "status": "deleted"} == json.loads(deleted.body)
    check_refusal(await hasura.ask("GET", path), 404, "not_found", f"file not found : {file_id}")


async def test_ids_that_look_alike_are_different_files(hasura: Hasura) -> None:
    alike = ["a", "A", "a.", "a ", " a", "%61", "a%00", "%FF", "e\u0301", "\u00e9", "\uff41"]
    for file_id in alike:
        await hasura.create(f"/{quote(file_id, safe='')}", file_id.encode())
    for file_id in alike:
        path = f"/{quote(file_id, safe='')}"
        assert file_id.encode() == (await hasura.ask("GET", path)).body
        await hasura.ask("DELETE", path)


async def test_an_id_may_be_escaped_more_than_it_must(hasura: Hasura, fresh: str) -> None:
    await hasura.create(f"{fresh}%C3%BC-%61", b"content")
    assert b"content" == (await hasura.ask("GET", f"{fresh}%c3%bc%2Da")).body


async def test_a_query_is_no_part_of_the_id(hasura: Hasura, fresh: str) -> None:
    await hasura.create(f"{fresh}?a=/b", b"content")
    assert b"content" == (await hasura.ask("GET", fresh)).body


async def test_an_id_is_never_a_path(gateway: GatewayProcess, hasura: Hasura) -> None:
    before = {p.name for p in (gateway.data_dir / "blobs").rglob("*") if p.is_file()}
    await hasura.create("/..%5C..%5Cetc%5Cpasswd-" + str(next(_ids)), b"content")
    [new] = [
        p for p in (gateway.data_dir / "blobs").rglob("*") if p.is_file() and p.name not in before
    ]
    assert new.is_relative_to(gateway.data_dir / "blobs" / "hasura" / "default")
    assert "passwd" not in str(new)


async def test_files_of_other_apis_are_other_files(
    gateway: GatewayProcess, hasura: Hasura, admin: User, http: aiohttp.ClientSession
) -> None:
    """The same text as name of a thing's file, of a group's file, and as id."""
    name = f"same-{next(_ids)}.bin"
    thing, group = await admin.thing(), await admin.group()
    for url, owner in (
        (f"{gateway.url}/files", thing.headers),
        (f"{gateway.url}/groups/{group}/files", admin.headers),
    ):
        await upload(http, url, owner, name, url.encode())
        check_refusal(
            await hasura.ask("GET", f"/{name}"), 404, "not_found", f"file not found : {name}"
        )
    await hasura.create(f"/{name}", b"hasura")
    await hasura.ask("DELETE", f"/{name}")
    for url, owner in (
        (f"{gateway.url}/files", thing.headers),
        (f"{gateway.url}/groups/{group}/files", admin.headers),
    ):
        async with http.get(f"{url}/{name}", headers=owner) as answer:
            assert url.encode() == await answer.read()
    await hasura.create(f"/{name}", b"hasura")
    async with http.delete(f"{gateway.url}/files/{name}", headers=thing.headers) as answer:
        assert 204 == answer.status
    assert b"hasura" == (await hasura.ask("GET", f"/{name}")).body
    await hasura.ask("DELETE", f"/{name}")


# Conditions


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        pytest.param([("If-Match", "ours")], 200, id="ours"),
        pytest.param([("If-Match", "*")], 200, id="there is one"),
        pytest.param([("If-Match", '"another"')], 412, id="another"),
        pytest.param([("If-Match", "weak")], 412, id="ours, weakly"),
        pytest.param([("If-None-Match", "*")], 412, id="there is none"),
        pytest.param([("If-None-Match", "ours")], 412, id="not ours"),
        pytest.param([("If-None-Match", '"another"')], 200, id="not another"),
        pytest.param(
            [("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")], 412, id="since long ago"
        ),
    ],
)
async def test_a_change_under_a_condition(
    hasura: Hasura, fresh: str, method: str, conditions: list[tuple[str, str]], status: int
) -> None:
    await hasura.create(fresh, b"content")
    etag = (await hasura.ask("HEAD", fresh)).head.one("ETag")
    known = {"ours": etag, "weak": f"W/{etag}"}
    headers = (*ADMIN, OCTETS, *((n, known.get(v, v)) for n, v in conditions))
    answer = await hasura.ask(method, fresh, headers, b"newer" if method == "PUT" else b"")
    if status == 412:
        check_refusal(answer, 412, "bad_request", "precondition failed")
    assert status == answer.status
    left = {("PUT", 200): b"newer", ("DELETE", 200): None}.get((method, status), b"content")
    got = await hasura.ask("GET", fresh)
    assert left == (got.body if got.status == 200 else None)


@pytest.mark.parametrize(
    ("method", "condition", "status"),
    [
        pytest.param("PUT", ("If-None-Match", "*"), 200, id="create only"),
        pytest.param("PUT", ("If-Match", "*"), 412, id="replace only"),
        pytest.param("PUT", ("If-Match", '"gone"'), 412, id="replace that"),
        pytest.param("POST", ("If-None-Match", "*"), 200, id="post, create only"),
        pytest.param("POST", ("If-Match", "*"), 412, id="post, replace only"),
        pytest.param("DELETE", ("If-Match", "*"), 404, id="delete what is not there"),
    ],
)
async def test_a_change_of_what_is_not_there_under_a_condition(
    hasura: Hasura, fresh: str, method: str, condition: tuple[str, str], status: int
) -> None:
    body = b"" if method == "DELETE" else b"content"
    answer = await hasura.ask(method, fresh, (*ADMIN, OCTETS, condition), body)
    assert status == answer.status
    assert (200 if status == 200 else 404) == (await hasura.ask("GET", fresh)).status


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_condition_still_holds_when_the_change_is_made(
    gateway: GatewayProcess, fresh: str, method: str
) -> None:
    """Other bytes come under the id between the look and the change: neither is lost."""
    direct = Hasura(gateway.port)
    await direct.create(fresh, b"content")
    await direct.create(f"{fresh}-newer", b"newer")
    etag = (await direct.ask("HEAD", fresh)).head.one("ETag")
    headers = (*ADMIN, OCTETS, ("If-Match", etag))
    async with replaced_meanwhile(gateway, fresh.strip("/")) as until_it_waits:
        change = asyncio.create_task(direct.ask(method, fresh, headers))
        await until_it_waits()
    check_refusal(await change, 412, "bad_request", "precondition failed")
    assert 200 == (await direct.ask("HEAD", fresh)).status
    assert etag != (await direct.ask("HEAD", fresh)).head.one("ETag")


@contextlib.asynccontextmanager
async def replaced_meanwhile(
    gateway: GatewayProcess, file_id: str
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """In another transaction, give the file the bytes of ``<file_id>-newer``; commit at the end."""
    connection = await asyncpg.connect(gateway._environment["GATEWAY_DATABASE_URL"])
    watcher = await asyncpg.connect(gateway._environment["GATEWAY_DATABASE_URL"])

    async def until_somebody_waits() -> None:
        while not await watcher.fetchval(WAITING):
            await asyncio.sleep(0.01)

    try:
        async with connection.transaction():
            await connection.execute("delete from files where name = $1", f"{file_id}-newer")
            await connection.execute(
                "update files set blob_id = (select id from blobs where size = 5 "
                "and condemned_until is null and id not in (select blob_id from files) limit 1) "
                "where name = $1",
                file_id,
            )
            yield until_somebody_waits
    finally:
        await connection.close()
        await watcher.close()


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_of_many_who_create_one_file_at_once_one_does(
    hasura: Hasura, fresh: str, method: str
) -> None:
    """POST, and PUT that wants it to be new: the losers learn that it is there."""
    headers: Headers = (*ADMIN, OCTETS)
    if method == "PUT":
        headers = (*headers, ("If-None-Match", "*"))
    bodies = [f"content {n}".encode() for n in range(8)]
    answers = await asyncio.gather(*(hasura.ask(method, fresh, headers, b) for b in bodies))
    statuses = [answer.status for answer in answers]
    assert [200, *(7 * [400 if method == "POST" else 412])] == sorted(statuses)
    assert bodies[statuses.index(200)] == (await hasura.ask("GET", fresh)).body


async def test_many_who_put_one_file_at_once_all_do(hasura: Hasura, fresh: str) -> None:
    bodies = [f"content {n}".encode() for n in range(8)]
    answers = await asyncio.gather(
        *(hasura.ask("PUT", fresh, (*ADMIN, OCTETS), body) for body in bodies)
    )
    assert 8 * [200] == [answer.status for answer in answers]
    assert (await hasura.ask("GET", fresh)).body in bodies


async def test_a_reader_who_has_it_already_is_told_so(hasura: Hasura, fresh: str) -> None:
    await hasura.create(fresh, b"content")
    etag = (await hasura.ask("HEAD", fresh)).head.one("ETag")
    answer = await hasura.ask("GET", fresh, (*ADMIN, ("If-None-Match", etag)))
    assert (304, b"") == (answer.status, answer.body)
    failed = await hasura.ask("GET", fresh, (*ADMIN, ("If-Match", '"another"')))
    check_refusal(failed, 412, "bad_request", "precondition failed")
