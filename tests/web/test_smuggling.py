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
# Written so that one server may see chunks where another sees none (RFC 9112, 6.1; as http-garden and others collect).
DISGUISED = [
    b"Transfer-Encoding: chunked\x00", b"Transfer-Encoding: chunked\xa0", b"Transfer-Encoding: \x00chunked",
    b"Transfer-Encoding: chunke", b"Transfer-Encoding: chunkedchunked", b"Transfer-Encoding: chunked;a=b",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: x, chunked, y",
    b"Transfer-Encoding: chunk\xc5\xbfed", b"Transfer-Encoding: 'chunked'", b"Transfer-Encoding: (a)chunked",
    b"Transfer-Encoding: chunked chunked", b"Transfer-Encoding: chunked,,gzip", b"Transfer-Encoding:\x0cchunked",
    b"Transfer-Encoding: chunked\x1f", b"Transfer-Encoding: \xef\xbb\xbfchunked", b" Transfer-Encoding: chunked",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding\x00: chunked", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    b"X: y\rTransfer-Encoding: chunked", b"Transfer-Encoding:\n chunked", b"Transfer-Encoding: chunked\r\n ,x",
]  # fmt: skip
BESIDE = [
    b"transfer-encoding: chunked", b"Transfer-Encoding:chunked", b"Transfer-Encoding: chunked ", b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: Chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: x",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: identity",
]  # fmt: skip
NO_LENGTHS = [
    b"1,2", b"0, 0", b"0;0", b"00x0", b"0b0", b"0o0", b"1e1", b"0.0", b"0 0", b"\t+0", b"-0", b"'0'", b'"0"', b"0\x00",
    b"\xa00", b"0\x0b", b"\xef\xbc\x90", b"9" * 20, b"9" * 400, b"-9223372036854775808", b"0,", b",0", b"0\r\n 0", b"NaN",
]  # fmt: skip
NO_SIZES = [
    b"g", b" d", b"\td", b"0d0x", b"d,", b"-d", b"d.0", b"0xd", b"Xd", b"\xef\xbd\x84", b"d\x00", b"d\x0b",
    b"ffffffffffffffff", b"10000000000000000d", b"f" * 200, b"d\r", b"\nd", b"c",
]  # fmt: skip
NO_LAST = [
    b"0\n\r\n", b"0\r\n\n", b"0\r\r\n", b"0\r\nX-A\r\n\r\n", b"0\r\nX A: b\r\n\r\n", b"0\r\nX-A: b\r\n c\r\n\r\n",
    b"00000000000000000\r\nX\r\n\r\n", b"-0\r\n\r\n", b"0x0\r\n\r\n", b"\r\n0\r\n\r\n",
]  # fmt: skip
NO_LINES = [
    b"X-A: b\x00\r\n", b"X-A: b\n\r\n", b"X-A: b\r\r\n", b"X-A\x00: b\r\n", b"X-A\t: b\r\n", b"\tX-A: b\r\n", b"(X): b\r\n",
    b'"X": b\r\n', b"X@A: b\r\n", b"X-\xe9: b\r\n", b"X-A: b\x7f\r\n", b"X-A: b\x0b\r\n", b":\r\n", b": \r\n", b"X-A: b\r\n\tc\r\n",
    b"Content-Length: 0\r\n Content-Length: 90\r\n", b"Host : gateway.test\r\n", b"X: " + b"a" * 9000 + b"\r\n",
]  # fmt: skip
NO_FIRST_LINES = [
    b"GET", b"GET ", b"GET /filestore/docs", b"GET /filestore/docs ", b"GET /filestore/docs HTTP", b"GET /filestore/docs HTTP/",
    b"GET /filestore/docs HTTP/1", b"GET /filestore/docs HTTP/1.", b"GET /filestore/docs HTTP/1.1.1", b"GET /filestore/docs HTTP/1.10",
    b"GET /filestore/docs HTTP/01.1", b"GET /filestore/docs HTTP/1,1", b"GET /filestore/docs HTTP /1.1", b"GET /filestore/docs HTTP/ 1.1",
    b"GET /filestore/docs HTTP/1.1 x", b"GET /filestore/docs HTTQ/1.1", b"GET /filestore/docs HTTP/1.1\t", b"GET\t/filestore/docs\tHTTP/1.1",
    b"GET /filestore/docs\x0bHTTP/1.1", b"GET /filestore/docs HTTP/-1.1", b"GET /filestore/docs HTTP/\xef\xbc\x91.1", b" GET /filestore/docs HTTP/1.1",
    b"\x00GET /filestore/docs HTTP/1.1", b"GE T /filestore/docs HTTP/1.1", b"G(T /filestore/docs HTTP/1.1", b"GET /filestore/docs\rHTTP/1.1",
    b"GET /filestore/docs HTTP/3.0", b"GET /filestore/docs HTTP/0.9", b"GET /filestore/docs HTTP/9.9", b"ICY /filestore/docs HTTP/1.1",
]  # fmt: skip
ADDRESSES = [
    b"*", b"//gateway.test/filestore/docs", b"/../filestore/docs", b"/filestore/%00docs", b"/filestore/docs%0d%0aX:%20y", b"/filestore/docs#a",
    b"/filestore//docs", b"/filestore/docs?a=b?c", b"http://gateway.test:80/filestore/docs", b"http://a@gateway.test/filestore/docs",
    b"https://gateway.test/filestore/docs", b"http:/filestore/docs", b"http://", b"file:///filestore/docs", b"gateway.test:80", b"?", b"/%", b"/\xff\xfe",
]  # fmt: skip
NO_HOSTS = [
    b"",
    b" ",
    b" a,b",
    b" a/b",
    b" a@b",
    b" a:b",
    b" a:99999",
    b" [::1",
    b" \x00",
    b" a\tb",
    b" \xff",
    b" a?b",
    b" a#b",
    b" http://a",
]
WITH_BODIES = [
    (b"Content-Length: 0", b""), (b"Content-Length: 3", b"abc"), (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"0\r\n\r\n"), (b"Content-Length: 3\r\nExpect: 100-continue", b"abc"),
]  # fmt: skip
HOP_BY_HOP = [
    b"Connection: Content-Length", b"Connection: Host", b"Connection: Authorization", b"Connection: keep-alive, Transfer-Encoding",
    b"Keep-Alive: timeout=0", b"Proxy-Connection: close", b"TE: trailers", b"Trailer: Content-Length", b"Max-Forwards: 0", b"Via: 1.1 x",
    b"X-HTTP-Method-Override: DELETE", b"X-Original-URL: /filestore/docs/start.js", b"X-Rewrite-URL: /filestore/docs/start.js",
]  # fmt: skip
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
    *((f"a coding disguised: {text!r}", post(text, body=ENDED), "refused", "refused") for text in DISGUISED),
    *((f"a coding beside a length: {text!r}", post(sized(ENDED), text, body=ENDED), "refused", "refused") for text in BESIDE),
    *((f"a length that is none: {text!r}", post(b"Content-Length: " + text, body=SMUGGLED), "refused", "refused") for text in NO_LENGTHS),
    *((f"a chunk size that is none: {text!r}", post(TE, body=text + b"\r\n" + TOKEN + b"\r\n" + LAST), "refused", "refused") for text in NO_SIZES),
    *((f"a chunk size that nginx takes: {text!r}", post(TE, body=text + b"\r\n" + TOKEN + b"\r\n" + LAST), "refused", "either") for text in (b"d ", b"d\t", b"e")),
    ("a coding behind LF alone", post(b"X: y\nTransfer-Encoding: chunked", body=CHUNKED), "refused", "either"),
    ("two codings", post(b"Transfer-Encoding: gzip, chunked", body=CHUNKED), "either", "refused"),
    ("identity and chunks", post(b"Transfer-Encoding: identity, chunked", body=CHUNKED), "either", "refused"),
    *((f"a last chunk that is none: {text!r}", post(TE, body=b"d\r\n" + TOKEN + b"\r\n" + text), "refused", "either") for text in NO_LAST),
    *((f"a line that is none: {text!r}", get(HOST, text), "refused", "either") for text in NO_LINES),
    *((f"a first line that is none: {text!r}", text + b"\r\n" + HOST + b"\r\n", "refused", "either") for text in NO_FIRST_LINES),
    *((f"an address: {text!r}", get(HOST, target=text), "either", "either") for text in ADDRESSES),
    *((f"a host that is none: {text!r}", get(b"Host:" + text + b"\r\n"), "either", "either") for text in NO_HOSTS),
    *((f"a GET with {text!r}", get(HOST, text + b"\r\n") + body, "either", "either") for text, body in WITH_BODIES),
    *((f"what changes hands: {text!r}", get(HOST, text + b"\r\n"), "either", "either") for text in HOP_BY_HOP),
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
