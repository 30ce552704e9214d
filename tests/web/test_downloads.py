"""Bytes out, directly and through nginx: the same answers, whichever way they come.

What is expected is written out by hand from RFC 9110, RFC 9530 and the table of range rules.
"""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.parse
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, sign_in, upload
from tests.tools.nginx import ACCEL, Nginx
from tests.tools.rawhttp import Answer, Head, RawConnection, raw_connection
from tests.tools.waiting import until
from tests.web.conftest import Published

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 300_000
CONTENT_TYPE = "text/x-fw"
IMAGE = Firmware(21, SIZE)
SHA256 = hashlib.sha256(IMAGE.content).digest()
ETAG = f'"{base64.urlsafe_b64encode(SHA256).rstrip(b"=").decode()}"'
REPR_DIGEST = f"sha-256=:{base64.b64encode(SHA256).decode()}:"
OTHER_ETAG = f'"{43 * "A"}"'
EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"
FUTURE = "Fri, 01 Jan 2100 00:00:00 GMT"
MALFORMED = "failed to parse range/x-hasura-filestore-range header"
SEVERAL = "expected one and atmost one byte range in the header"
UNSATISFIABLE = "range not satisfiable"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def published(
    gateway: GatewayProcess, http: aiohttp.ClientSession, thing: Thing
) -> Published:
    """The image, uploaded once; it may be asked for under the prefix and at the root."""
    url = f"{gateway.url}/filestore/files"
    await upload(http, url, thing.headers, "fw 1.bin", IMAGE.content, content_type=CONTENT_TYPE)
    return Published(IMAGE, "fw 1.bin", "/filestore/files/fw%201.bin")


@pytest_asyncio.fixture(loop_scope="module")
async def raw(port: int) -> AsyncIterator[RawConnection]:
    """A connection of the test's own, either way."""
    async with raw_connection(port) as connection:
        yield connection


@pytest.fixture
def key(thing: Thing) -> tuple[str, str]:
    """The thing's credential as a header."""
    [pair] = thing.headers.items()
    return pair


def last_modified(head: Head) -> str:
    return head.one("Last-Modified")


def dated(head: Head, seconds: int) -> str:
    """The file's date, shifted."""
    moment = parsedate_to_datetime(last_modified(head)) + timedelta(seconds=seconds)
    return format_datetime(moment, usegmt=True)


def check_validators(answer: Answer) -> None:
    assert answer.head.one("ETag") == ETAG
    assert answer.head.one("Last-Modified")


def check_file_headers(answer: Answer) -> None:
    """What every 200 and 206 of the image says of it."""
    head = answer.head
    check_validators(answer)
    assert head.one("Repr-Digest") == REPR_DIGEST
    assert head.one("Content-Type") == CONTENT_TYPE
    assert head.one("Content-Disposition") == 'attachment; filename="fw 1.bin"'
    assert head.one("X-Content-Type-Options") == "nosniff"
    assert head.one("Accept-Ranges") == "bytes"
    assert head.all("Content-Encoding") == []
    assert head.all("Transfer-Encoding") == []


def check_refusal(answer: Answer, status: int, sentence: str) -> None:
    assert answer.status == status
    assert answer.head.one("Content-Type").startswith("application/json")
    assert json.loads(answer.body)["error"] == sentence


async def test_the_whole_file(
    raw: RawConnection, key: tuple[str, str], published: Published
) -> None:
    answer = await raw.ask("GET", published.path, [key])
    assert (answer.status, answer.head.one("Content-Length")) == (200, str(SIZE))
    assert answer.body == IMAGE.content
    assert answer.head.all("Content-Range") == []
    check_file_headers(answer)


async def test_a_request_has_one_id_in_its_answer_and_in_every_log(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    way: str,
    gateway: GatewayProcess,
    nginx: Nginx,
    edge: Nginx,
) -> None:
    """Whoever sends, and whoever refuses: the last one is nginx's own refusal, where there is one.

    Directly the test is a trusted proxy, which may name its requests; of others nginx takes nothing.
    """
    chosen = "chosen-by-who-asks"
    asked = [
        (published.path, [key, ("X-Request-Id", chosen)]),
        (published.path, [key, ("Range", "bytes=0-4095")]),
        (published.path, [key, ("Range", "bytes=9-5")]),
        ("/filestore/files/none", [key, ("X-Request-Id", "no id, but words")]),
        ("/filestore/metrics", []),
    ]
    seen = [(await raw.ask("GET", path, headers)).head for path, headers in asked]
    ids = [head.one("X-Request-Id") for head in seen]
    assert [len(ids), way == "direct"] == [len(set(ids)), chosen in ids]
    assert "no id, but words" not in ids
    front = {"nginx": nginx, "edge": edge}.get(way)
    if front is not None:
        log = front.folder / "access.log"
        await until(lambda: all(f'"request_id":"{name}"' in log.read_text() for name in ids))
    told = {"direct": ids[:4], "nginx": ids[:4], "edge": ids[2:4]}[way]
    await until(lambda: all(f'"request_id":"{name}"' in gateway.log for name in told))


async def test_the_root_has_the_same_file_as_the_prefix(
    raw: RawConnection, key: tuple[str, str], published: Published
) -> None:
    prefixed = await raw.ask("GET", published.path, [key])
    at_root = await raw.ask("GET", published.path.removeprefix("/filestore"), [key])
    assert at_root.body == prefixed.body
    check_file_headers(at_root)


async def test_head_has_the_headers_of_get_and_ignores_a_range(
    raw: RawConnection, key: tuple[str, str], published: Published
) -> None:
    got = await raw.ask("GET", published.path, [key])
    for asked in ([key], [key, ("Range", "bytes=0-9")], [key, ("Range", f"bytes={SIZE}-")]):
        answer = await raw.ask("HEAD", published.path, asked)
        assert answer.status == 200
        check_file_headers(answer)
        assert comparable(answer.head) == comparable(got.head)


def comparable(head: Head) -> set[tuple[str, str]]:
    return {
        (name.lower(), value)
        for name, value in head.headers
        if name.lower() not in {"date", "x-request-id"}
    }


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        pytest.param("bytes=0-0", 0, 1, id="the first byte"),
        pytest.param("bytes=0-3", 0, 4, id="rauc's first question"),
        pytest.param("bytes=1000-1999", 1000, 2000, id="a thousand in the middle"),
        pytest.param("bytes=1000-100999", 1000, 101_000, id="more than one write"),
        pytest.param("bytes=299999-299999", 299_999, 300_000, id="the last byte"),
        pytest.param("bytes=299000-", 299_000, 300_000, id="open end"),
        pytest.param("bytes=0-", 0, 300_000, id="everything is still a range"),
        pytest.param("bytes=0-299999", 0, 300_000, id="everything, spelt out"),
        pytest.param("bytes=299990-300000", 299_990, 300_000, id="one past the end"),
        pytest.param("bytes=5-9999999", 5, 300_000, id="far past the end"),
        pytest.param(f"bytes=5-{18 * '9'}", 5, 300_000, id="eighteen digits"),
        pytest.param(f"bytes=5-{19 * '9'}", 5, 300_000, id="nineteen digits"),
        pytest.param(f"bytes=5-{40 * '9'}", 5, 300_000, id="forty digits"),
        pytest.param("bytes=-500", 299_500, 300_000, id="suffix"),
        pytest.param("bytes=-300000", 0, 300_000, id="suffix as long as the file"),
        pytest.param("bytes=-300001", 0, 300_000, id="suffix longer than the file"),
        pytest.param(f"bytes=-{19 * '9'}", 0, 300_000, id="absurd suffix"),
        pytest.param("BYTES=0-9", 0, 10, id="the unit has no case"),
        pytest.param("bytes= 0-9", 0, 10, id="space before the element"),
        pytest.param("bytes=0-9,", 0, 10, id="empty element"),
    ],
)
async def test_a_satisfiable_range_is_a_206(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    header: str,
    start: int,
    end: int,
) -> None:
    answer = await raw.ask("GET", published.path, [key, ("Range", header)])
    assert answer.status == 206
    assert answer.head.one("Content-Range") == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.head.one("Content-Length") == str(end - start)
    assert answer.body == IMAGE.content[start:end]
    check_file_headers(answer)


@pytest.mark.parametrize(
    ("header", "status", "sentence"),
    [
        pytest.param("bytes=0-1,3-4", 400, SEVERAL, id="two"),
        pytest.param("bytes=0-1, 0-1", 400, SEVERAL, id="the same twice"),
        pytest.param("bytes=0-1,300000-", 400, SEVERAL, id="one of two unsatisfiable"),
        pytest.param("bytes=", 400, MALFORMED, id="empty"),
        pytest.param("bytes=-", 400, MALFORMED, id="lone dash"),
        pytest.param("bytes=abc", 400, MALFORMED, id="letters"),
        pytest.param("bytes=9-5", 400, MALFORMED, id="reversed"),
        pytest.param("bytes=0 - 9", 400, MALFORMED, id="spaces within"),
        pytest.param("bytes=300000-", 416, UNSATISFIABLE, id="behind the end"),
        pytest.param("bytes=300000-300010", 416, UNSATISFIABLE, id="wholly behind the end"),
        pytest.param(f"bytes={19 * '9'}-", 416, UNSATISFIABLE, id="absurdly far away"),
        pytest.param("bytes=-0", 416, UNSATISFIABLE, id="no last bytes"),
    ],
)
async def test_any_other_range_is_refused_in_json(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    header: str,
    status: int,
    sentence: str,
) -> None:
    """curl and wget take a 416 with the size for "you have it all"; ESP-IDF starts again on one."""
    answer = await raw.ask("GET", published.path, [key, ("Range", header)])
    check_refusal(answer, status, sentence)
    assert json.loads(answer.body)["code"] == "bad_request"
    expected = [f"bytes */{SIZE}"] if status == 416 else []
    assert answer.head.all("Content-Range") == expected


async def test_two_range_headers_are_two_ranges(
    raw: RawConnection, key: tuple[str, str], published: Published
) -> None:
    asked = [key, ("Range", "bytes=0-1"), ("Range", "bytes=3-4")]
    answer = await raw.ask("GET", published.path, asked)
    assert answer.status == 400


async def test_a_range_header_without_a_value_is_malformed(
    raw: RawConnection, key: tuple[str, str], published: Published
) -> None:
    answer = await raw.ask("GET", published.path, [key, ("Range", "")])
    check_refusal(answer, 400, MALFORMED)


@pytest.mark.parametrize("size", [1, 7, 10, 99, 100, 101, 8191, 90_000, 98_765, 100_000])
async def test_the_edge_knows_a_satisfiable_range_from_another(
    gateway: GatewayProcess,
    edge: Nginx,
    http: aiohttp.ClientSession,
    thing: Thing,
    key: tuple[str, str],
    size: int,
) -> None:
    """Whatever the numbers: it sends what is satisfiable itself, and leaves the rest to the gateway."""
    content = IMAGE.content[:size]
    await upload(http, f"{gateway.url}/files", thing.headers, f"{size}.bin", content)
    refused, log = 0, edge.folder / "access.log"
    lines = len(log.read_text().splitlines())
    numbers = sorted({0, 1, 9, 10, 11, 89, 90, 98, 99, 1000, size - 1, size, size + 1, size * 10})
    async with raw_connection(edge.port) as connection:
        for first in numbers:
            for last in ("", *(str(n) for n in numbers)):
                header = f"bytes={first}-{last}"
                answer = await connection.ask("GET", f"/files/{size}.bin", [key, ("Range", header)])
                expected = _expected_status(first, last, size)
                assert (header, answer.status) == (header, expected)
                if expected == 206:
                    assert answer.body == content[first : int(last) + 1 if last else size]
                else:
                    refused += 1
                    assert answer.head.one("Content-Type") == "application/json"
        await connection.ask("GET", f"/files/{size}.bin", [key])  # the one before is logged now
    logged = [json.loads(line) for line in log.read_text().splitlines()[lines:]]
    assert sum(line["upstream_seconds"] not in {"", "-"} for line in logged) == refused


def _expected_status(first: int, last: str, size: int) -> int:
    if last and int(last) < first:
        return 400
    return 206 if first < size else 416


async def test_an_unknown_unit_is_ignored(
    raw: RawConnection, key: tuple[str, str], published: Published
) -> None:
    answer = await raw.ask("GET", published.path, [key, ("Range", "lines=0-9")])
    assert (answer.status, answer.body) == (200, IMAGE.content)


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        pytest.param({"If-None-Match": ETAG}, 304, id="the etag is known"),
        pytest.param({"If-None-Match": f'W/{ETAG}, "x"'}, 304, id="known weakly, in a list"),
        pytest.param({"If-None-Match": "*"}, 304, id="anything is known"),
        pytest.param({"If-None-Match": OTHER_ETAG}, 200, id="another etag is known"),
        pytest.param({"If-Match": ETAG}, 200, id="must be ours"),
        pytest.param({"If-Match": f'"x", {ETAG}'}, 200, id="must be in a list"),
        pytest.param({"If-Match": "*"}, 200, id="must be there"),
        pytest.param({"If-Match": OTHER_ETAG}, 412, id="must be another"),
        pytest.param({"If-Match": f"W/{ETAG}"}, 412, id="weak is not strong"),
        pytest.param({"If-Unmodified-Since": FUTURE}, 200, id="unmodified since the future"),
        pytest.param({"If-Unmodified-Since": EPOCH}, 412, id="unmodified since long ago"),
        pytest.param({"If-Modified-Since": EPOCH}, 200, id="modified since long ago"),
        pytest.param({"If-Modified-Since": FUTURE}, 304, id="modified since the future"),
        pytest.param({"If-Modified-Since": "yesterday"}, 200, id="no date at all"),
        pytest.param(
            {"If-Match": ETAG, "If-Unmodified-Since": EPOCH}, 200, id="if-match beats the date"
        ),
        pytest.param(
            {"If-None-Match": OTHER_ETAG, "If-Modified-Since": FUTURE}, 200, id="etag beats date"
        ),
        pytest.param({"If-Match": ETAG, "If-None-Match": ETAG}, 304, id="ours, and known"),
        pytest.param({"If-Match": OTHER_ETAG, "If-None-Match": ETAG}, 412, id="412 comes first"),
        pytest.param({"If-None-Match": ETAG, "Range": "bytes=0-9"}, 304, id="before the range"),
        pytest.param({"If-None-Match": ETAG, "Range": "bytes=x"}, 304, id="before a bad range"),
        pytest.param({"If-Match": ETAG, "Range": "bytes=0-9"}, 206, id="a range of ours"),
        pytest.param({"If-Match": OTHER_ETAG, "Range": "bytes=0-9"}, 412, id="a range of another"),
        pytest.param({"If-Unmodified-Since": FUTURE, "Range": "bytes=0-9"}, 206, id="dated range"),
        pytest.param({"If-Range": OTHER_ETAG}, 200, id="if-range without a range"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_conditions_are_judged_in_order(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    method: str,
    conditions: dict[str, str],
    status: int,
) -> None:
    """RFC 9110, section 13.2.2; a HEAD has no ranges."""
    expected = 200 if (method, status) == ("HEAD", 206) else status
    answer = await raw.ask(method, published.path, [key, *conditions.items()])
    assert answer.status == expected
    if expected == 412:
        assert method == "HEAD" or "error" in json.loads(answer.body)
    else:
        check_validators(answer)
    if expected == 200 and method == "GET":
        assert answer.body == IMAGE.content
    if expected == 206:
        assert answer.body == IMAGE.content[:10]


@pytest.mark.parametrize(
    ("shift", "since", "unmodified_since"),
    [
        pytest.param(-1, 200, 412, id="a second before"),
        pytest.param(0, 304, 200, id="that very second"),
        pytest.param(1, 304, 200, id="a second after"),
    ],
)
async def test_dates_are_compared_by_the_second(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    shift: int,
    since: int,
    unmodified_since: int,
) -> None:
    head = (await raw.ask("HEAD", published.path, [key])).head
    for name, status in {
        "If-Modified-Since": since,
        "If-Unmodified-Since": unmodified_since,
    }.items():
        answer = await raw.ask("GET", published.path, [key, (name, dated(head, shift))])
        assert (name, answer.status) == (name, status)


@pytest.mark.parametrize(
    ("validator", "status"),
    [
        pytest.param(ETAG, 206, id="our etag"),
        pytest.param(OTHER_ETAG, 200, id="another etag"),
        pytest.param(f"W/{ETAG}", 200, id="weak"),
        pytest.param("nonsense", 200, id="neither etag nor date"),
        pytest.param(EPOCH, 200, id="an old date"),
        pytest.param(FUTURE, 200, id="a later date"),
    ],
)
async def test_a_resumption_never_mixes_versions(
    raw: RawConnection, key: tuple[str, str], published: Published, validator: str, status: int
) -> None:
    asked = [key, ("Range", "bytes=100-"), ("If-Range", validator)]
    answer = await raw.ask("GET", published.path, asked)
    assert answer.status == status
    assert answer.body == IMAGE.content[100 if status == 206 else 0 :]
    check_file_headers(answer)


@pytest.mark.parametrize(
    ("shift", "status"),
    [
        pytest.param(-1, 200, id="a second before"),
        pytest.param(0, 206, id="exactly"),
        pytest.param(1, 200, id="a second after"),
    ],
)
async def test_a_resumption_by_date_needs_exactly_that_date(
    raw: RawConnection, key: tuple[str, str], published: Published, shift: int, status: int
) -> None:
    head = (await raw.ask("HEAD", published.path, [key])).head
    asked = [key, ("Range", "bytes=100-199"), ("If-Range", dated(head, shift))]
    assert (await raw.ask("GET", published.path, asked)).status == status


async def test_a_failed_if_range_makes_a_bad_range_harmless(
    raw: RawConnection, key: tuple[str, str], published: Published
) -> None:
    """A device holds more bytes than the new file has: it gets the new file, not a 416."""
    asked = [key, ("Range", f"bytes={SIZE + 5}-"), ("If-Range", OTHER_ETAG)]
    answer = await raw.ask("GET", published.path, asked)
    assert (answer.status, answer.body) == (200, IMAGE.content)


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        pytest.param("plain.bin", 'attachment; filename="plain.bin"', id="plain"),
        pytest.param(
            "Überraschung.bin",
            "attachment; filename=\"_berraschung.bin\"; filename*=UTF-8''%C3%9Cberraschung.bin",
            id="umlaut",
        ),
        pytest.param(
            "прошивка.bin",
            "attachment; filename=\"________.bin\"; filename*=UTF-8''"
            "%D0%BF%D1%80%D0%BE%D1%88%D0%B8%D0%B2%D0%BA%D0%B0.bin",
            id="cyrillic",
        ),
        pytest.param(
            'say "hi"; 🚀.bin',
            'attachment; filename="say \\"hi\\"; _.bin"; '
            "filename*=UTF-8''say%20%22hi%22%3B%20%F0%9F%9A%80.bin",
            id="quotes and a rocket",
        ),
    ],
)
async def test_a_name_of_any_script_comes_back(
    gateway: GatewayProcess,
    http: aiohttp.ClientSession,
    thing: Thing,
    raw: RawConnection,
    key: tuple[str, str],
    name: str,
    disposition: str,
) -> None:
    path = f"/filestore/files/{urllib.parse.quote(name)}"
    async with http.head(gateway.url + path, headers=thing.headers) as known:
        missing = known.status == 404
    if missing:
        await upload(http, f"{gateway.url}/files", thing.headers, name, b"content")
    answer = await raw.ask("GET", path, [key])
    assert (answer.status, answer.body) == (200, b"content")
    assert answer.head.one("Content-Disposition") == disposition


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br, zstd", "*", "identity;q=0, gzip"])
@pytest.mark.parametrize("ranges", [(), (("Range", "bytes=0-99"),)], ids=["whole", "range"])
async def test_bytes_are_never_encoded(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    accepted: str,
    ranges: tuple[tuple[str, str], ...],
) -> None:
    answer = await raw.ask("GET", published.path, [key, ("Accept-Encoding", accepted), *ranges])
    assert answer.body == IMAGE.content[: 100 if ranges else SIZE]
    check_file_headers(answer)


@pytest.mark.parametrize("ranges", [(), (("Range", "bytes=7-99"),)], ids=["whole", "range"])
async def test_an_http_1_0_client_gets_a_length_and_the_end(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    ranges: tuple[tuple[str, str], ...],
) -> None:
    """ESP32's updater speaks HTTP/1.0 and needs Content-Length."""
    answer = await raw.ask("GET", published.path, [key, *ranges], version="1.0")
    assert answer.status == (206 if ranges else 200)
    assert answer.body == (IMAGE.content[7:100] if ranges else IMAGE.content)
    check_file_headers(answer)
    assert await raw.read_ending() == (b"", "eof")


@pytest.mark.parametrize("ranges", [(), (("Range", "bytes=0-4095"),)], ids=["whole", "range"])
async def test_the_headers_are_small(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    ranges: tuple[tuple[str, str], ...],
) -> None:
    """An nRF91 has 2 KB for headers and data."""
    answer = await raw.ask("GET", published.path, [key, *ranges])
    assert answer.head.size < 600
    assert answer.head.all("Set-Cookie") == []


async def test_two_thousand_ranges_on_one_connection(
    raw: RawConnection, key: tuple[str, str], published: Published
) -> None:
    step = SIZE // 2000
    received = bytearray()
    for start in range(0, SIZE, step):
        ranges = ("Range", f"bytes={start}-{start + step - 1}")
        answer = await raw.ask("GET", published.path, [key, ranges])
        assert answer.status == 206
        received += answer.body
    assert bytes(received) == IMAGE.content


@pytest.mark.parametrize("method", ["PATCH", "POST", "OPTIONS", "PROPFIND"])
async def test_an_unknown_method_is_refused_in_json(
    raw: RawConnection, key: tuple[str, str], published: Published, method: str
) -> None:
    answer = await raw.ask(method, published.path, [key])
    check_refusal(answer, 405, "method not allowed")


async def test_an_invented_method_is_refused_in_json(
    raw: RawConnection, key: tuple[str, str], published: Published
) -> None:
    answer = await raw.ask("BREW", published.path, [key])
    assert answer.status in {400, 405, 501}
    assert answer.head.one("Content-Type").startswith("application/json")
    assert set(json.loads(answer.body)) == {"error"}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("/filestore/files/none.bin", True, 404, id="no such file"),
        pytest.param("/filestore/nowhere", True, 404, id="no such route"),
        pytest.param("/filestore/files/fw%201.bin", False, 401, id="no credential"),
        pytest.param("/filestore/groupfiles/fw%201.bin", True, 404, id="not in a group"),
    ],
)
@pytest.mark.parametrize("ranges", [(), (("Range", "bytes=900000-"),)], ids=["whole", "range"])
async def test_other_refusals_come_before_ranges(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    path: str,
    headers: bool,
    status: int,
    ranges: tuple[tuple[str, str], ...],
) -> None:
    answer = await raw.ask("GET", path, [*([key] if headers else []), *ranges])
    assert answer.status == status
    assert "error" in json.loads(answer.body)


async def test_an_empty_file_is_a_file(
    gateway: GatewayProcess,
    http: aiohttp.ClientSession,
    thing: Thing,
    raw: RawConnection,
    key: tuple[str, str],
) -> None:
    path = "/filestore/files/empty.bin"
    async with http.head(gateway.url + path, headers=thing.headers) as known:
        missing = known.status == 404
    if missing:
        await upload(http, f"{gateway.url}/files", thing.headers, "empty.bin", b"")
    answer = await raw.ask("GET", path, [key])
    assert (answer.status, answer.head.one("Content-Length"), answer.body) == (200, "0", b"")
    refused = await raw.ask("GET", path, [key, ("Range", "bytes=0-0")])
    check_refusal(refused, 416, UNSATISFIABLE)
    assert refused.head.one("Content-Range") == "bytes */0"


async def test_behind_nginx_it_is_nginx_that_sends(
    gateway: GatewayProcess,
    nginx: Nginx,
    edge: Nginx,
    http: aiohttp.ClientSession,
    thing: Thing,
    published: Published,
) -> None:
    """The gateway counts the bytes that it sends itself: none through nginx, all directly."""

    async def sent_by_itself(base: str) -> float:
        before = await _metric(http, gateway.url, "gateway_sent_bytes_total")
        async with http.get(base + published.path, headers=thing.headers) as answer:
            assert await answer.read() == IMAGE.content
        return await _metric(http, gateway.url, "gateway_sent_bytes_total") - before

    assert await sent_by_itself(nginx.url) == 0
    assert await sent_by_itself(edge.url) == 0
    assert await sent_by_itself(gateway.url) == SIZE


async def test_a_client_cannot_ask_for_the_place_of_a_blob(
    gateway: GatewayProcess, nginx: Nginx, edge: Nginx, thing: Thing, published: Published
) -> None:
    """X-Accel-Redirect is for a trusted peer that names our location, and nginx swallows it."""
    [credential] = thing.headers.items()
    for port, location in ((edge.port, ACCEL), (nginx.port, ACCEL), (gateway.port, "/elsewhere")):
        async with raw_connection(port) as connection:
            asked = [credential, ("X-Filestore-Accel", location)]
            answer = await connection.ask("GET", published.path, asked)
        assert answer.body == IMAGE.content
        assert answer.head.all("X-Accel-Redirect") == []


async def test_a_stranger_cannot_ask_for_the_place_of_a_blob_either(
    tmp_path: Path, postgres_server: str, http: aiohttp.ClientSession
) -> None:
    """The right location, from a peer that is no trusted proxy: it gets bytes like anybody."""
    async with running_gateway(tmp_path, database_server=postgres_server, accel=ACCEL) as gateway:
        thing = await (await sign_in(http, gateway.url)).thing()
        await upload(http, f"{gateway.url}/files", thing.headers, "a.bin", b"content")
        asked = {**thing.headers, "X-Filestore-Accel": ACCEL}
        async with http.get(f"{gateway.url}/files/a.bin", headers=asked) as answer:
            assert await answer.read() == b"content"
            assert "X-Accel-Redirect" not in answer.headers


async def _metric(http: aiohttp.ClientSession, base: str, name: str) -> float:
    async with http.get(f"{base}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[1]) for line in lines if line.split(" ")[0] == name)
