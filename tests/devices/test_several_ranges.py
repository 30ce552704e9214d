"""Delta updates: several ranges in one request, as SWUpdate's delta handler, zckdl and zsync ask and parse.

The requests are what those programs sent; how an answer is taken apart is written as each of them does it,
where a parser that is more tolerant would let something pass. On every route that has files.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from tests.devices.conftest import IMAGE, NAME, SIZE, Device, check_frame, check_part, check_whole
from tests.tools.gateway import GatewayProcess
from tests.tools.gravwell import put_user_file
from tests.tools.losant import new_application
from tests.tools.mainflux import Thing, User, upload
from tests.tools.rawhttp import Answer, RawConnection, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

ZCKDL = """
GET {path} HTTP/1.1
Host: {host}
Range: bytes={ranges}
Accept: */*
"""
ZSYNC = """
GET {path} HTTP/1.1
User-Agent: zsync/0.6.2
Host: {host}
Referer: http://{host}{path}.zsync
Range: bytes={ranges}
Connection: close
"""
SWUPDATE = """
GET {path} HTTP/1.1
Host: {host}
Range: bytes={ranges}
User-Agent: libcurl-agent/1.0
Content-Type: application/octet-stream
Accept: application/octet-stream
"""
TEN = ((4096, 4099), (8192, 77_000), *((100_000 + 9000 * n, 104_095 + 9000 * n) for n in range(8)))
Parts = Sequence[tuple[int, int]]


def written(parts: Parts) -> str:
    """As a list, ends included."""
    return ",".join(f"{first}-{last}" for first, last in parts)


def bodies(parts: Parts) -> list[bytes]:
    return [IMAGE.read(first, last - first + 1) for first, last in parts]


def taken_apart(answer: Answer) -> list[tuple[str, bytes]]:
    """The parts of a body, each with its Content-Range. Strictly: not a byte may be left over."""
    kind, _, boundary = answer.head.one("Content-Type").partition("; boundary=")
    assert kind == "multipart/byteranges"
    assert re.fullmatch("[0-9a-f]{32}", boundary)
    delimiter = b"\r\n--" + boundary.encode()
    first, *parts, end = answer.body.split(delimiter)
    assert (first, end) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        assert head.startswith(b"\r\nContent-Type: application/octet-stream\r\nContent-Range: ")
        found.append((head.rpartition(b": ")[2].decode(), content))
    return found


def check_parts(answer: Answer, parts: Parts) -> None:
    assert (answer.status, answer.head.all("Content-Range")) == (206, [])
    assert answer.head.one("Accept-Ranges") == "bytes"
    assert answer.head.one("ETag")
    expected = [
        (f"bytes {first}-{last}/{SIZE}", IMAGE.read(first, last - first + 1))
        for first, last in parts
    ]
    assert expected == taken_apart(answer)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def empty(gateway: GatewayProcess, http: aiohttp.ClientSession, published: Thing) -> Thing:
    await upload(http, f"{gateway.url}/files", published.headers, "empty.bin", b"")
    return published


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        pytest.param("bytes=0-0,2-2", [(0, 0), (2, 2)], id="two bytes"),
        pytest.param("bytes=0-9, 10-19", [(0, 9), (10, 19)], id="side by side"),
        pytest.param("bytes=-5,0-4", [(SIZE - 5, SIZE - 1), (0, 4)], id="in the order asked for"),
        pytest.param("Bytes= 5-6 ,, 9-", [(5, 6), (9, SIZE - 1)], id="as the grammar allows"),
        pytest.param("bytes=0-99999,100000-199999", [(0, 99_999), (100_000, 199_999)], id="large"),
        pytest.param(f"bytes=0-1,{SIZE}-,4-5", [(0, 1), (4, 5)], id="two of three are there"),
        pytest.param(f"bytes=0-1,9-{SIZE}", [(0, 1), (9, SIZE - 1)], id="clamped"),
    ],
)
async def test_the_parts_that_are_there_come_in_the_order_asked_for(
    device: Device, raw: RawConnection, header: str, parts: Parts
) -> None:
    """And the connection is at its next request."""
    key, value = device.key.split(": ", 1)
    for _ in range(2):
        check_parts(await raw.ask("GET", device.path, [(key, value), ("Range", header)]), parts)


@pytest.mark.parametrize(
    ("method", "headers", "status", "content_range"),
    [
        pytest.param("HEAD", {}, 200, None, id="HEAD has no ranges"),
        pytest.param("GET", {"Range": f"bytes={SIZE}-,-0"}, 416, f"bytes */{SIZE}", id="none is there"),
        pytest.param("GET", {"Range": f"bytes=3-4,{SIZE}-"}, 206, f"bytes 3-4/{SIZE}", id="one is there"),
        pytest.param("GET", {"If-Range": '"another"'}, 200, None, id="of another version"),
        pytest.param("GET", {"Range": "bytes=0-9,5-9"}, 200, None, id="which overlap"),
        pytest.param(
            "GET", {"Range": f"bytes={','.join(f'{2 * n}-{2 * n}' for n in range(257))}"}, 200, None,
            id="too many",
        ),
        pytest.param("GET", {"Range": "bytes=0-1,x"}, 400, None, id="which nobody understands"),
        pytest.param("GET", {"If-None-Match": "*"}, 304, None, id="which the client has"),
        pytest.param("GET", {"If-Match": '"another"'}, 412, None, id="if they were others"),
    ],
)  # fmt: skip
async def test_what_else_comes_of_several(
    device: Device,
    raw: RawConnection,
    method: str,
    headers: dict[str, str],
    status: int,
    content_range: str | None,
) -> None:
    key, value = device.key.split(": ", 1)
    asked = {key: value, "Range": "bytes=0-1,4-5"} | headers
    answer = await raw.ask(method, device.path, asked.items())
    assert status == answer.status
    assert [content_range] * (content_range is not None) == answer.head.all("Content-Range")
    if answer.status == 200:
        assert answer.head.one("Content-Length") == str(SIZE)
        assert method == "HEAD" or answer.body == IMAGE.content


async def test_if_range_of_this_version_holds_for_all_parts(
    device: Device, raw: RawConnection
) -> None:
    key, value = device.key.split(": ", 1)
    head = (await raw.ask("HEAD", device.path, [(key, value)])).head
    for name in ("ETag", "Last-Modified"):
        asked = [(key, value), ("Range", "bytes=0-1,4-5"), ("If-Range", head.one(name))]
        check_parts(await raw.ask("GET", device.path, asked), [(0, 1), (4, 5)])


@pytest.mark.parametrize(("header", "status"), [("bytes=0-1,4-5", 416), ("bytes=0-1,-5", 200)])
async def test_several_of_an_empty_file(
    empty: Thing, device: Device, raw: RawConnection, header: str, status: int
) -> None:
    key, value = device.key.split(": ", 1)
    answer = await raw.ask("GET", "/files/empty.bin", [(key, value), ("Range", header)])
    assert (status, answer.head.all("Content-Range")) == (
        answer.status,
        ["bytes */0"] if status == 416 else [],
    )


async def test_swupdate_takes_ten_ranges(device: Device) -> None:
    """It splits each header at white space, and the third word at ``=``; its parser's headers have
    letters and dashes only. Each part is fed to chunks of just that size.
    """
    answer = await device.ask_anew(SWUPDATE, ranges=written(TEN))
    [line] = [f"{n}: {v}" for n, v in answer.head.headers if n.lower() == "content-type"]
    name, _, third = line.split()
    assert (name.lower(), third.split("=")[0]) == ("content-type:", "boundary")
    [_, boundary] = third.split("=")
    delimiter, found = b"--" + boundary.encode(), []
    assert answer.body.index(delimiter) == 2
    for part in answer.body[2:].split(b"\r\n" + delimiter):
        head, _, content = part.removeprefix(delimiter).partition(b"\r\n\r\n")
        names = [each.partition(b":")[0] for each in head.strip().splitlines()]
        assert all(re.fullmatch(rb"[A-Za-z-]*", each) for each in names)
        found.append(content)
    assert [*bodies(TEN), b""] == found


async def test_zckdl_asks_255_ranges_at_once_on_the_connection_of_the_header(
    device: Device, raw: RawConnection
) -> None:
    """Its expressions, put together with the boundary, must match what stands before each part."""
    check_part(await device.ask(raw, ZCKDL, ranges="0-88"), 0, 88)
    many = [(1000 * n, 1000 * n + 99) for n in range(255)]
    answer = await device.ask(raw, ZCKDL, ranges=written(many))
    line = f"Content-Type: {answer.head.one('Content-Type')}\r\n"
    [boundary] = re.findall(r"boundary *= *(.*) *\r", line)
    frame = (
        rf"\r?\n?--{boundary}\r\n.*content-range: *bytes *([0-9]+) *- *([0-9]+) */[0-9]+"
    ).encode()
    rest, found = answer.body, []
    while not re.match(rb"\r\n--%b--" % boundary.encode(), rest, re.IGNORECASE):
        head, _, rest = rest.partition(b"\r\n\r\n")
        match = re.search(frame, head, re.IGNORECASE | re.DOTALL)
        assert match is not None, head
        length = int(match[2]) - int(match[1]) + 1
        found.append(rest[:length])
        rest = rest[length:]
    assert bodies(many) == found


async def test_zsync_asks_for_blocks_and_closes(device: Device) -> None:
    blocks = [(4096, 6143), (20_480, 24_575), (299_008, SIZE - 1)]
    async with raw_connection(device.port) as raw:
        answer = await device.ask(raw, ZSYNC, ranges=written(blocks))
        check_parts(answer, blocks)
        assert (await raw.read_ending())[0] == b""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def places(
    gateway: GatewayProcess, http: aiohttp.ClientSession, admin: User, published: Thing
) -> AsyncIterator[dict[str, tuple[str, dict[str, str]]]]:
    """Where the image is on every route that has files, and who may read it there."""
    group = await admin.group("line", published.id)
    await upload(http, f"{gateway.url}/groups/{group}/files", admin.headers, NAME, IMAGE.content)
    guid = await put_user_file(admin, IMAGE.content, Name=NAME)
    application = await new_application(admin)
    link = urlsplit(await application.link(await application.publish(NAME, IMAGE.content)))
    by_id = f"{gateway.url}/v1/file/deltas"
    async with http.put(by_id, data=IMAGE.content, headers=admin.headers) as answer:
        assert answer.status == 200, await answer.text()
    yield {
        "file": (f"/filestore/files/{NAME}", published.headers),
        "file at the root, pinned": (f"/files/{NAME}?sha256={IMAGE.sha256}", published.headers),
        "group file": (f"/groupfiles/{NAME}", published.headers),
        "file of a group": (f"/groups/{group}/files/{NAME}", admin.headers),
        "user file": (f"/api/files/{guid}", admin.headers),
        "signed link": (f"{link.path}?{link.query}", {}),
        "hasura": ("/v1/file/deltas", admin.headers),
    }


@pytest.mark.parametrize(
    "place",
    [
        "file",
        "file at the root, pinned",
        "group file",
        "file of a group",
        "user file",
        "signed link",
    ],
)
async def test_every_route_of_files_takes_several(
    places: dict[str, tuple[str, dict[str, str]]], raw: RawConnection, place: str
) -> None:
    path, credential = places[place]
    for _ in range(2):  # looked up, and then known
        answer = await raw.ask("GET", path, [*credential.items(), ("Range", "bytes=7-8,100-199")])
        check_parts(answer, [(7, 8), (100, 199)])


@pytest.mark.parametrize("name", ["Range", "X-Hasura-Filestore-Range"])
async def test_hasuras_route_refuses_them_to_the_letter(
    places: dict[str, tuple[str, dict[str, str]]], raw: RawConnection, name: str
) -> None:
    path, credential = places["hasura"]
    answer = await raw.ask("GET", path, [*credential.items(), (name, "bytes=7-8,100-199")])
    text = (
        b'{"code":"bad_request","message":"expected one and atmost one byte range in the header"}'
    )
    assert (400, text) == (answer.status, answer.body)


async def test_the_frame_of_a_delta_fits_a_small_device(device: Device, raw: RawConnection) -> None:
    answer = await device.ask(raw, ZCKDL, ranges="0-1,4-5")
    check_frame(answer.head)
    check_whole(await device.ask(raw, ZCKDL.replace("Range: bytes={ranges}\n", "")))
