"""The published table of error codes, each line compared exactly, and what HTTP adds to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from tests.dialects.hasura.conftest import (
    ADMIN,
    OCTETS,
    Hasura,
    Headers,
    caller,
    check_refusal,
)
from tests.tools.inside import InsideGateway
from tests.tools.nginx import Nginx
from tests.tools.rawhttp import multipart, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

INSIDE = True
SETTINGS = {"max_file_bytes": 100_000}
USER_ID = "X-Hasura-User-Id"
ROLE = "X-Hasura-Role"
OTHER_RANGE = "X-Hasura-Filestore-Range"
SEVERAL = "expected one and atmost one byte range in the header"
MALFORMED = "failed to parse range/x-hasura-filestore-range header"
FATAL = (500, "fatal_internal_error", "internal server error")
_ids = count()

# The lines of the table that a request by itself can bring about; the file ``taken`` exists.
BAD_REQUEST: list[tuple[str, str, str, Headers, str]] = [
    ("post without a type", "POST", "/new", ADMIN, "missing header: Content-Type"),
    ("put without a type", "PUT", "/new", ADMIN, "missing header: Content-Type"),
    ("post without id and type", "POST", "", ADMIN, "missing header: Content-Type"),
    ("no identity", "GET", "/taken", (), f"missing header: {USER_ID}"),
    ("no identity, writing", "PUT", "/taken", (OCTETS,), f"missing header: {USER_ID}"),
    ("a role without a user", "GET", "/taken", ((ROLE, "admin"),), f"missing header: {USER_ID}"),
    ("a user without a role", "GET", "/taken", ((USER_ID, "42"),), f"missing header: {ROLE}"),
    ("likewise, deleting", "DELETE", "/taken", ((USER_ID, "42"),), f"missing header: {ROLE}"),
    ("get without an id", "GET", "/", ADMIN, "missing parameter: file_id"),
    ("put without an id", "PUT", "", (*ADMIN, OCTETS), "missing parameter: file_id"),
    ("delete without an id", "DELETE", "/", ADMIN, "missing parameter: file_id"),
    (
        "a user who is no integer",
        "GET",
        "/taken",
        ((USER_ID, "forty-two"), (ROLE, "admin")),
        f"{USER_ID} should be an integer",
    ),
    ("several ranges", "GET", "/taken", (*ADMIN, ("Range", "bytes=0-0,2-2")), SEVERAL),
    ("several, other header", "GET", "/taken", (*ADMIN, (OTHER_RANGE, "bytes=0-0,2-2")), SEVERAL),
    ("malformed range", "GET", "/taken", (*ADMIN, ("Range", "bytes=x")), MALFORMED),
    ("malformed, other header", "GET", "/taken", (*ADMIN, (OTHER_RANGE, "bytes=x")), MALFORMED),
    ("outside", "GET", "/taken", (*ADMIN, ("Range", "bytes=7-")), "range not satisfiable"),
    ("taken", "POST", "/taken", (*ADMIN, OCTETS), "file already exists : taken"),
]
OTHERS: list[tuple[str, str, str, Headers, int, str, str]] = [
    (
        "reading as user",
        *("GET", "/taken", caller("user")),
        *(403, "access_denied", "no permission for role user"),
    ),
    (
        "creating as user",
        *("POST", "/new", (*caller("user"), OCTETS)),
        *(403, "access_denied", "no permission for role user"),
    ),
    (
        "what is absent is no less forbidden",
        *("GET", "/absent", caller("anonymous", 0)),
        *(403, "access_denied", "no permission for role anonymous"),
    ),
    (
        "reading what is absent",
        "GET",
        "/absent",
        ADMIN,
        404,
        "not_found",
        "file not found : absent",
    ),
    (
        "deleting what is absent",
        *("DELETE", "/absent", ADMIN),
        *(404, "not_found", "file not found : absent"),
    ),
    (
        "the id as it was meant",
        *("GET", "/what%20is%20%C3%BC", ADMIN),
        *(404, "not_found", "file not found : what is ü"),
    ),
    (
        "a token that proves nothing",
        *("GET", "/taken", (("Authorization", "Bearer x"),)),
        *(401, "unauthorized", "missing or invalid credentials provided"),
    ),
]
TABLE = [
    pytest.param(method, path, headers, 400, "bad_request", message, id=name)
    for name, method, path, headers, message in BAD_REQUEST
] + [pytest.param(*case[1:], id=case[0]) for case in OTHERS]


@pytest.fixture
def fresh() -> str:
    """An id that no other test has."""
    return f"file-{next(_ids)}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def taken(gateway: InsideGateway) -> AsyncIterator[None]:
    """A file of seven bytes with the id ``taken``."""
    await Hasura(gateway.port).create("/taken", b"content")
    yield


TOO_LARGE = "the file is larger than 100000 bytes (GATEWAY_MAX_FILE_BYTES)"


@pytest.mark.parametrize(("method", "path", "headers", "status", "code", "message"), TABLE)
async def test_a_line_of_the_table(
    hasura: Hasura,
    taken: None,
    method: str,
    path: str,
    headers: Headers,
    status: int,
    code: str,
    message: str,
) -> None:
    body = b"another" if method in ("POST", "PUT") else b""
    check_refusal(await hasura.ask(method, path, headers, body), status, code, message)
    assert b"content" == (await hasura.ask("GET", "/taken")).body


async def test_a_duplicate_post_does_not_harm_the_file(hasura: Hasura, fresh: str) -> None:
    created = await hasura.create(f"/{fresh}", b"original")
    again = await hasura.ask("POST", f"/{fresh}", (*caller("admin", 7), OCTETS), b"another")
    check_refusal(again, 400, "bad_request", f"file already exists : {fresh}")
    assert b"original" == (await hasura.ask("GET", f"/{fresh}")).body
    replaced = await hasura.ask("PUT", f"/{fresh}", (*ADMIN, OCTETS), b"newer")
    assert created["created_at"] == json.loads(replaced.body)["created_at"]


async def test_a_taken_id_is_refused_before_the_body_is_sent(hasura: Hasura, fresh: str) -> None:
    await hasura.create(f"/{fresh}", b"original")
    async with raw_connection(hasura.port) as connection:
        headers = (*ADMIN, OCTETS, ("Content-Length", "100000"))
        await connection.send_head("POST", f"/v1/file/{fresh}", headers)
        answer = await connection.read_answer()
    check_refusal(answer, 400, "bad_request", f"file already exists : {fresh}")


async def test_a_head_is_refused_like_a_get_without_the_words(hasura: Hasura) -> None:
    for path, headers, status in (
        ("/absent", ADMIN, 404),
        ("/absent", caller("user"), 403),
        ("/absent", (), 400),
        ("/", ADMIN, 400),
    ):
        answer = await hasura.ask("HEAD", path, headers)
        assert (status, b"") == (answer.status, answer.body)


def blobs_of(gateway: InsideGateway) -> set[Path]:
    folder = gateway.data_dir / "blobs" / "hasura" / "default"
    return set(folder.rglob("*")) if folder.exists() else set()


async def blob_of(gateway: InsideGateway, path: str, content: bytes) -> Path:
    """The blob of a file that is made now."""
    before = blobs_of(gateway)
    await Hasura(gateway.port).create(path, content)
    [blob] = blobs_of(gateway) - before
    return blob


async def test_a_row_whose_blob_is_gone_is_our_fault(
    gateway: InsideGateway, hasura: Hasura, fresh: str, caplog: pytest.LogCaptureFixture
) -> None:
    (await blob_of(gateway, f"/{fresh}", b"content")).unlink()
    answer = await hasura.ask("GET", f"/{fresh}")
    check_refusal(answer, *FATAL)
    assert answer.head.one("X-Request-Id")
    assert "BlobMissing" in caplog.text


async def test_a_head_is_of_the_row_and_opens_no_blob(
    gateway: InsideGateway, hasura: Hasura, fresh: str
) -> None:
    (await blob_of(gateway, f"/{fresh}", b"content")).unlink()
    answer = await hasura.ask("HEAD", f"/{fresh}")
    assert (200, "7") == (answer.status, answer.head.one("Content-Length"))


async def test_a_row_whose_blob_is_not_whole_is_our_fault(
    gateway: InsideGateway, hasura: Hasura, fresh: str
) -> None:
    """Through nginx, too: it would send what is there as if that were the file."""
    (await blob_of(gateway, f"/{fresh}", b"content")).write_bytes(b"conten")
    check_refusal(await hasura.ask("GET", f"/{fresh}"), *FATAL)


async def test_a_blob_that_only_nginx_misses_is_our_fault_in_the_same_words(
    gateway: InsideGateway, nginx: Nginx, fresh: str
) -> None:
    """The gateway has it open from the read before, and sends nginx to where it no longer is."""
    through = Hasura(nginx.port)
    blob = await blob_of(gateway, f"/{fresh}", b"content")
    assert b"content" == (await through.ask("GET", f"/{fresh}")).body
    blob.unlink()
    check_refusal(await through.ask("GET", f"/{fresh}"), *FATAL)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/v1/file/a/b", id="deeper"),
        pytest.param("GET", "/filestore/v1/file/a/b", id="deeper under the prefix"),
    ],
)
async def test_an_unknown_path_is_not_found_in_hasuras_words(
    gateway: InsideGateway, method: str, path: str
) -> None:
    async with raw_connection(gateway.port) as connection:
        answer = await connection.ask(method, path)
    check_refusal(answer, 404, "not_found", "not found")


async def test_a_similar_path_is_nobody_s_and_has_not_hasuras_words(gateway: InsideGateway) -> None:
    async with raw_connection(gateway.port) as connection:
        answer = await connection.ask("POST", "/v1/files")
    assert (404, {"error": "not found"}) == (answer.status, json.loads(answer.body))


@pytest.mark.parametrize("path", ["", "/taken"])
async def test_a_method_that_is_not_there_is_named_with_those_that_are(
    hasura: Hasura, path: str
) -> None:
    answer = await hasura.ask("PATCH", path)
    check_refusal(answer, 405, "bad_request", "method not allowed")
    assert {"GET", "HEAD", "POST", "PUT", "DELETE"} == set(answer.head.one("Allow").split(", "))


@pytest.mark.parametrize(
    ("headers", "body", "status", "message"),
    [
        pytest.param((OCTETS, ("Content-Length", "100001")), b"", 413, TOO_LARGE, id="declared"),
        pytest.param(
            (OCTETS, ("Transfer-Encoding", "chunked")),
            b"186a1\r\n" + bytes(100_001) + b"\r\n0\r\n\r\n",
            413,
            TOO_LARGE,
            id="undeclared",
        ),
        pytest.param(
            (OCTETS, ("Content-Encoding", "gzip")),
            b"content",
            415,
            "content encodings are not accepted",
            id="compressed",
        ),
        pytest.param(
            (OCTETS, ("Content-Digest", f"sha-256=:{43 * 'A'}=:")),
            b"content",
            400,
            "the content does not match its declared digest",
            id="digest",
        ),
        pytest.param(
            (OCTETS, ("Repr-Digest", "sha-256=x")),
            b"content",
            400,
            "malformed digest field",
            id="no digest",
        ),
    ],
)
async def test_a_body_that_is_refused_is_refused_in_hasuras_words(
    gateway: InsideGateway, fresh: str, headers: Headers, body: bytes, status: int, message: str
) -> None:
    direct = Hasura(gateway.port)
    answer = await direct.ask("POST", f"/{fresh}", (*ADMIN, *headers), body)
    check_refusal(answer, status, "bad_request", message)
    gone = await direct.ask("GET", f"/{fresh}")
    check_refusal(gone, 404, "not_found", f"file not found : {fresh}")


async def test_an_expectation_that_we_cannot_meet(gateway: InsideGateway, fresh: str) -> None:
    headers = (*ADMIN, OCTETS, ("Expect", "200-ok"))
    answer = await Hasura(gateway.port).ask("POST", f"/{fresh}", headers, b"content")
    check_refusal(answer, 417, "bad_request", "expectation failed")


async def test_a_form_without_a_file_misses_a_parameter(hasura: Hasura, fresh: str) -> None:
    headers, body = multipart([('Content-Disposition: form-data; name="note"', b"hello")])
    answer = await hasura.ask("POST", f"/{fresh}", (*ADMIN, *headers), body)
    check_refusal(answer, 400, "bad_request", "missing parameter: file")


@pytest.mark.parametrize(
    "escaped",
    [
        pytest.param("%2F", id="slash"),
        pytest.param("a%2fb", id="slash in lower case"),
        pytest.param("%2E%2e", id="parent folder"),
        pytest.param("%2e", id="this folder"),
        pytest.param("a%00b", id="NUL"),
        pytest.param("a%0D%0Ab", id="line break"),
        pytest.param("%7F", id="DEL"),
        pytest.param("%C2%85", id="C1 control"),
        pytest.param("%FF", id="not UTF-8"),
        pytest.param("%E2%82", id="half a character"),
        pytest.param("%ED%A0%80", id="surrogate"),
        pytest.param("%C0%AF", id="overlong slash"),
        pytest.param(256 * "x", id="256 bytes"),
        pytest.param(86 * "%E2%82%AC", id="258 bytes in 86 characters"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE"])
async def test_an_id_that_cannot_be_is_a_bad_request(
    gateway: InsideGateway, method: str, escaped: str
) -> None:
    answer = await Hasura(gateway.port).ask(method, f"/{escaped}", (*ADMIN, OCTETS))
    assert (400, "bad_request") == (answer.status, json.loads(answer.body)["code"])
