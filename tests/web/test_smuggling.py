"""Two servers, one stream of bytes: nobody may see one request where another sees two.

Each malformed or unusual request is sent in one write with a canary behind it, to the gateway alone and
through nginx. What must come back, and the reasons, are RFC 9112's.
"""

from __future__ import annotations

import asyncio
import json
from typing import Literal

import pytest

from tests.tools.mainflux import Thing
from tests.tools.rawhttp import Answer, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

# refused: at most one answer, a 4xx in JSON, and the connection is closed; the canary is not looked at.
# served: an answer of its own for the request, then one for the canary.
# closed: an answer of its own for the request, then the end.
# either: a matter of taste, so long as it is one of these.
Fate = Literal["refused", "served", "closed", "either"]

# What HTTP asks of a front server that knows neither coding nor version (RFC 9112 6.1, 2.3).
NOT_SUPPORTED = (501, 505)

HANG_SECONDS = 20.0
HOST = b"Host: gateway.test\r\n"
JSON = b"Content-Type: application/json\r\n"
SMUGGLED = b"GET /filestore/docs/start.js HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
SMUGGLED_MARK = b"SwaggerUIBundle("
TOKEN = b'{"token":"x"}'
CHUNKED = b"d\r\n" + TOKEN + b"\r\n0\r\n\r\n"
ENDED = b"0\r\n\r\n" + SMUGGLED


def get(*lines: bytes, target: bytes = b"/filestore/docs", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET " + target + b" " + version + b"\r\n" + b"".join(lines) + b"\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    head = b"POST /filestore/identify HTTP/1.1\r\n" + HOST + JSON
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def sized(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


TE = b"Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"
CORPUS: list[tuple[str, bytes, Fate, Fate]] = [
    # The harmless ones, without which the others would prove nothing.
    ("a plain GET", get(HOST), "served", "served"),
    ("a plain POST", post(sized(TOKEN), body=TOKEN), "served", "served"),
    ("a chunked POST", post(TE, body=CHUNKED), "served", "served"),
    ("an empty line before the request", b"\r\n" + get(HOST), "served", "served"),
    ("chunked in capitals", post(b"TRANSFER-ENCODING: CHUNKED", body=CHUNKED), "served", "served"),
    ("a chunk extension", post(TE, body=CHUNKED.replace(b"d\r", b"d;a=b\r")), "either", "either"),
    ("a quoted chunk extension", post(TE, body=CHUNKED.replace(b"d\r", b'd;a="b"\r')), "either", "either"),
    ("a chunk size with zeros", post(TE, body=b"000" + CHUNKED), "served", "served"),
    ("a trailer", post(TE, body=CHUNKED[:-2] + b"X-A: b\r\n\r\n"), "either", "either"),
    ("an absolute address", get(HOST, target=b"http://gateway.test/filestore/docs"), "either", "served"),
    # Which length counts (6.3).
    ("length and coding", post(sized(ENDED), TE, body=ENDED), "refused", "refused"),
    ("coding and length", post(TE, sized(ENDED), body=ENDED), "refused", "refused"),
    ("a short length and coding", post(b"Content-Length: 5", TE, body=ENDED), "refused", "refused"),
    ("two lengths", post(b"Content-Length: 0", sized(SMUGGLED), body=SMUGGLED), "refused", "refused"),
    ("two lengths, the larger first", post(sized(SMUGGLED), b"Content-Length: 0", body=SMUGGLED), "refused", "refused"),
    ("the same length twice", post(sized(TOKEN), sized(TOKEN), body=TOKEN), "refused", "refused"),
    ("a list of lengths", post(b"Content-Length: 13, 13", body=TOKEN), "refused", "refused"),
    ("a signed length", post(b"Content-Length: +13", body=TOKEN), "refused", "refused"),
    ("a negative length", post(b"Content-Length: -1", body=TOKEN), "refused", "refused"),
    ("a hexadecimal length", post(b"Content-Length: 0xd", body=TOKEN), "refused", "refused"),
    ("a length with an underscore", post(b"Content-Length: 1_3", body=TOKEN), "refused", "refused"),
    ("a length with a space inside", post(b"Content-Length: 1 3", body=TOKEN), "refused", "refused"),
    ("an empty length", post(b"Content-Length:", body=SMUGGLED), "refused", "refused"),
    ("a length in other digits", post("Content-Length: \u0661\u0663".encode(), body=TOKEN), "refused", "refused"),
    ("a length beyond 64 bits", post(b"Content-Length: 18446744073709551629", body=TOKEN), "refused", "refused"),
    ("a space before the colon of the length", post(b"Content-Length : 0", body=SMUGGLED), "refused", "refused"),
    ("a tab before the colon of the coding", post(b"Transfer-Encoding\t: chunked", body=ENDED), "refused", "refused"),
    # Which coding counts (6.1, 7).
    ("another coding", post(b"Transfer-Encoding: gzip", body=ENDED), "refused", "refused"),
    ("chunked is not the last", post(b"Transfer-Encoding: chunked, gzip", body=ENDED), "refused", "refused"),
    ("chunked twice", post(TE, TE, body=ENDED), "refused", "refused"),
    ("chunked twice in a list", post(b"Transfer-Encoding: chunked, chunked", body=ENDED), "refused", "refused"),
    ("identity", post(b"Transfer-Encoding: identity", body=ENDED), "refused", "refused"),
    ("an unknown coding", post(b"Transfer-Encoding: xchunked", body=ENDED), "refused", "refused"),
    ("chunked in quotes", post(b'Transfer-Encoding: "chunked"', body=ENDED), "refused", "refused"),
    ("chunked after a vertical tab", post(b"Transfer-Encoding: \x0bchunked", body=ENDED), "refused", "refused"),
    ("an empty coding", post(b"Transfer-Encoding:", sized(ENDED), body=ENDED), "either", "either"),
    ("a coding in HTTP/1.0", post(TE, body=CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0"), "refused", "refused"),
    ("a folded coding", post(b"Transfer-Encoding:\r\n chunked", body=ENDED), "refused", "refused"),
    # How a chunk is written (7.1).
    ("a chunk size in hexadecimal notation", post(TE, body=b"0x" + CHUNKED), "refused", "refused"),
    ("a signed chunk size", post(TE, body=b"+" + CHUNKED), "refused", "refused"),
    ("a negative chunk size", post(TE, body=b"-1\r\n" + CHUNKED), "refused", "refused"),
    ("an empty chunk size", post(TE, body=b"\r\n" + CHUNKED), "refused", "refused"),
    ("a space before a chunk size", post(TE, body=b" " + CHUNKED), "refused", "refused"),
    ("a chunk size beyond 64 bits", post(TE, body=b"1000000000000000d\r\n" + TOKEN + b"\r\n" + LAST), "refused", "refused"),
    ("a chunk longer than its size", post(TE, body=b"c\r\n" + TOKEN + b"\r\n" + LAST), "refused", "refused"),
    ("a chunk size ended by LF alone", post(TE, body=b"d\n" + TOKEN + b"\r\n" + LAST), "refused", "either"),
    ("a chunk ended by LF alone", post(TE, body=b"d\r\n" + TOKEN + b"\n" + LAST), "refused", "either"),
    ("a chunk ended by CR alone", post(TE, body=b"d\r\n" + TOKEN + b"\r" + LAST), "refused", "refused"),
    ("a LF in a chunk extension", post(TE, body=b"d;a\n" + TOKEN + b"\r\n" + LAST), "refused", "either"),
    ("a CR in a chunk extension", post(TE, body=b"d;a\rb\r\n" + TOKEN + b"\r\n" + LAST), "refused", "refused"),
    # Lines and names (2.2, 5).
    ("lines ended by LF alone", get(HOST).replace(b"\r\n", b"\n"), "refused", "either"),
    ("a header ended by LF alone", get(b"Host: gateway.test\n", b"X-A: b\r\n"), "refused", "either"),
    ("a header ended by CR alone", get(HOST, b"X-A: b\rX-B: c\r\n"), "refused", "refused"),
    ("a folded header", get(HOST, b"X-A: b\r\n c\r\n"), "refused", "refused"),
    ("a space before the first header", get(b" ", HOST), "refused", "refused"),
    ("a header without a colon", get(HOST, b"X-A\r\n"), "refused", "served"),
    ("a header without a name", get(HOST, b": b\r\n"), "refused", "refused"),
    ("a space in a header's name", get(HOST, b"X A: b\r\n"), "refused", "refused"),
    ("a NUL in a header", get(HOST, b"X-A: b\x00c\r\n"), "refused", "refused"),
    ("a NUL in a header's name", get(HOST, b"X\x00A: b\r\n"), "refused", "refused"),
    ("a control in a header", get(HOST, b"X-A: b\x01c\r\n"), "either", "either"),
    ("bytes beyond ASCII in a name", get(HOST, b"X-\xff: b\r\n"), "refused", "served"),
    ("a header of 100 KB", get(HOST, b"X-A: " + b"a" * 100_000 + b"\r\n"), "refused", "refused"),
    ("2000 headers", get(HOST, *(b"X-%d: b\r\n" % n for n in range(2000))), "refused", "refused"),
    # The first line (3).
    ("no host", get(), "refused", "refused"),
    ("two hosts", get(HOST, b"Host: other.test\r\n"), "refused", "refused"),
    ("a host that is none", get(b"Host: a b\r\n"), "either", "refused"),
    ("another host in the address", get(HOST, target=b"http://other.test/filestore/docs"), "either", "served"),
    ("an address of 100 KB", get(HOST, target=b"/filestore/" + b"a" * 100_000), "refused", "refused"),
    ("a NUL in the address", get(HOST, target=b"/filestore/docs\x00"), "refused", "refused"),
    ("a space in the address", get(HOST, target=b"/filestore/do cs"), "refused", "refused"),
    ("a tab in the address", get(HOST, target=b"/filestore/do\tcs"), "refused", "refused"),
    ("an address without a slash", get(HOST, target=b"filestore/docs"), "refused", "refused"),
    ("a tunnel", b"CONNECT gateway.test:80 HTTP/1.1\r\n" + HOST + b"\r\n", "refused", "refused"),
    ("a method that is none", get(HOST).replace(b"GET", b"G\x00T"), "refused", "refused"),
    ("a method in lower case", get(HOST).replace(b"GET", b"get"), "either", "refused"),
    ("a method of 10 KB", get(HOST).replace(b"GET", b"G" * 10_000), "refused", "refused"),
    ("two spaces after the method", get(HOST).replace(b"GET ", b"GET  "), "either", "either"),
    ("HTTP/0.9", b"GET /filestore/docs\r\n", "refused", "refused"),
    ("HTTP/1.2", get(HOST, version=b"HTTP/1.2"), "either", "either"),
    ("HTTP/2.0", get(HOST, version=b"HTTP/2.0"), "refused", "refused"),
    ("HTTP/11", get(HOST, version=b"HTTP/11"), "refused", "refused"),
    ("http/1.1", get(HOST, version=b"http/1.1"), "refused", "refused"),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "refused", "refused"),
    ("the first bytes of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "refused", "refused"),
    # Other protocols.
    ("an upgrade", get(HOST, b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), "closed", "served"),
    ("an upgrade to h2c", get(HOST, b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"), "closed", "served"),
    ("an expectation of another kind", post(b"Expect: magic", sized(TOKEN), body=TOKEN), "either", "either"),
]  # fmt: skip


async def exchange(port: int, request: bytes, canary: bytes) -> list[Answer]:
    """Both in one write; every answer up to the end of the connection, which must come."""
    answers: list[Answer] = []
    async with raw_connection(port) as connection, asyncio.timeout(HANG_SECONDS):
        try:
            await connection.send(request, canary)
            while True:
                answers.append(await connection.read_answer())
        except (asyncio.IncompleteReadError, ConnectionError):
            return answers


def outcome(answers: list[Answer]) -> Fate:
    """What became of the request; every answer is checked to be what answers may be."""
    for answer in answers:
        assert SMUGGLED_MARK not in answer.body, "a request was seen where there is none"
        assert answer.status < 500 or answer.status in NOT_SUPPORTED, answer
        if answer.status >= 400:
            assert answer.head.one("Content-Type") == "application/json", answer
            assert json.loads(answer.body).keys() & {"error", "code"}, answer
    canaries = [b'"name":"canary"' in answer.body for answer in answers]
    if canaries in ([False, True], [True]):
        return "served"
    assert canaries in ([], [False]), answers
    return "refused" if not answers or answers[0].status >= 400 else "closed"


@pytest.mark.parametrize(
    ("request_bytes", "direct", "proxied"),
    [pytest.param(request, *fates, id=name) for name, request, *fates in CORPUS],
)
async def test_a_request_ends_where_the_next_one_begins(
    way: str,
    port: int,
    thing: Thing,
    request_bytes: bytes,
    direct: Fate,
    proxied: Fate,
) -> None:
    canary = (
        b"GET /filestore/files?name=canary HTTP/1.1\r\nHost: gateway.test\r\n"
        b"Authorization: Thing " + thing.key.encode() + b"\r\nConnection: close\r\n\r\n"
    )
    expected = direct if way == "direct" else proxied
    found = outcome(await exchange(port, request_bytes, canary))
    assert expected in (found, "either")
