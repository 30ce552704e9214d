"""RAUC, rauc-hawkbit-updater, SWUpdate, Mender and BITS: updaters of systems with a disk.

Numbers in docstrings are those of the devices' requirements, see docs/devices.md.
"""

from __future__ import annotations

import aiohttp
import pytest

from tests.devices.conftest import IMAGE, SIZE, Device, check_part, check_whole
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, upload
from tests.tools.rawhttp import RawConnection

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSING = ("Date", "X-Request-Id")
RAUC = """
GET {path} HTTP/1.1
Host: {host}
Range: bytes={first}-{last}
User-Agent: rauc/1.13
Accept: */*
Accept-Encoding: deflate, gzip, br, zstd
"""
RAUC_FIRST = (
    RAUC
    + """RAUC-Boot-ID: 3f6ea3cd-5b67-4d4f-8a9c-5f4b7c9f7d61
RAUC-Uptime: 1234
RAUC-System-Version: 1.2.2
"""
)
RAUC_POLL = RAUC_FIRST + "If-None-Match: {etag}"


async def test_rauc_streams_blocks_in_any_order(device: Device, raw: RawConnection) -> None:
    """2, 9, 11: the first answer says the size, every later one is a 206 on the same connection."""
    first = await device.ask(raw, RAUC_FIRST, first=0, last=3)
    check_part(first, 0, 3)
    assert first.head.one("Last-Modified")
    for start in (262_144, 4_096, 131_072, 0, 299_008):
        last = min(start + 128 * 1024, SIZE) - 1
        check_part(await device.ask(raw, RAUC, first=start, last=last), start, last)


async def test_rauc_polls_and_hears_that_nothing_is_new(device: Device, raw: RawConnection) -> None:
    """13: 304 for the ETag that it knows, before the range is looked at; else the range."""
    etag = (await device.ask(raw, RAUC_FIRST, first=0, last=3)).head.one("ETag")
    answer = await device.ask(raw, RAUC_POLL, first=0, last=3, etag=etag)
    assert (answer.status, answer.body, answer.head.one("ETag")) == (304, b"", etag)
    check_part(await device.ask(raw, RAUC_POLL, first=0, last=3, etag='"older"'), 0, 3)


async def test_rauc_hawkbit_updater_gets_a_plain_200(device: Device) -> None:
    """2, 4: one GET, Content-Length, nothing else."""
    check_whole(
        await device.ask_anew("""
GET {path} HTTP/1.1
Host: {host}
User-Agent: rauc-hawkbit-c-agent/1.0
Accept: application/octet-stream
""")
    )


SWUPDATE_HEAD = """
HEAD {path} HTTP/1.1
Host: {host}
User-Agent: libcurl-agent/1.0
Accept: */*
"""
SWUPDATE_GET = SWUPDATE_HEAD.replace("HEAD", "GET", 1)
SWUPDATE_RESUME = """
GET {path} HTTP/1.1
Host: {host}
Range: bytes={first}-
User-Agent: libcurl-agent/1.0
Accept: */*
"""


async def test_swupdate_learns_the_size_by_head_and_resumes(
    device: Device, raw: RawConnection
) -> None:
    """3: HEAD has the headers of GET, so the size is known before a byte comes."""
    head = await device.ask(raw, SWUPDATE_HEAD)
    whole = await device.ask(raw, SWUPDATE_GET)
    check_whole(whole)
    assert head.status == 200
    assert {n: v for n, v in head.head.headers if n not in PASSING} == {
        n: v for n, v in whole.head.headers if n not in PASSING
    }
    check_part(await device.ask(raw, SWUPDATE_RESUME, first=123_456), 123_456, SIZE - 1)


MENDER = """
GET {path} HTTP/1.1
Host: {host}
User-Agent: Mender/4.0.4
"""
MENDER_RESUME = MENDER + "Range: bytes={first}-{last}"


async def test_mender_resumes_with_exactly_the_range_it_asked_for(device: Device) -> None:
    """2: start, end and total of Content-Range are compared with what the first 200 announced."""
    check_whole(await device.ask_anew(MENDER))
    for first in (1, 65_536, SIZE - 1):
        check_part(
            await device.ask_anew(MENDER_RESUME, first=first, last=SIZE - 1), first, SIZE - 1
        )


BITS_HEAD = """
HEAD {path} HTTP/1.1
Connection: Keep-Alive
Accept: */*
Accept-Encoding: identity
User-Agent: Microsoft BITS/7.8
Host: {host}
"""
BITS_RANGE = """
GET {path} HTTP/1.1
Connection: Keep-Alive
Accept: */*
Accept-Encoding: identity
If-Unmodified-Since: {date}
Range: bytes={first}-{last}
User-Agent: Microsoft BITS/7.8
Host: {host}
"""


async def test_bits_needs_the_size_on_head_and_both_lengths_on_ranges(
    device: Device, raw: RawConnection
) -> None:
    """3, 4: HTTP/1.1, Content-Length and Content-Range; it holds each range to the first date."""
    head = (await device.ask(raw, BITS_HEAD)).head
    assert head.one("Content-Length") == str(SIZE)
    date = head.one("Last-Modified")
    for first, last in ((0, 9_999), (10_000, 199_999), (200_000, SIZE - 1)):
        answer = await device.ask(raw, BITS_RANGE, first=first, last=last, date=date)
        check_part(answer, first, last)


@pytest.mark.parametrize(
    "resumption",
    [
        pytest.param(RAUC, id="RAUC"),
        pytest.param(SWUPDATE_RESUME, id="SWUpdate"),
        pytest.param(MENDER_RESUME, id="Mender"),
    ],
)
async def test_an_address_with_a_digest_keeps_clients_without_if_range_from_mixing(
    gateway: GatewayProcess,
    http: aiohttp.ClientSession,
    published: Thing,
    port: int,
    way: str,
    resumption: str,
) -> None:
    """17: they say nothing of a version; the address does. After a replacement it answers 412.

    An nginx in edge mode may go on for a moment, with the bytes that were asked for.
    """
    name = f"replaced-{port}-{len(resumption)}.bin"
    await upload(http, f"{gateway.url}/files", published.headers, name, IMAGE.content)
    pinned = Device(port, published, f"/filestore/files/{name}?sha256={IMAGE.sha256}")
    values = {"first": 100_000, "last": SIZE - 1}
    check_part(await pinned.ask_anew(resumption, **values), 100_000, SIZE - 1)
    other = Firmware(71, SIZE).content
    url = f"{gateway.url}/files/{name}"
    await upload(http, url, published.headers, name, other, method="PUT")
    answer = await pinned.ask_anew(resumption, **values)
    while way == "edge" and answer.status == 206:
        check_part(answer, 100_000, SIZE - 1)
        answer = await pinned.ask_anew(resumption, **values)
    assert answer.status == 412
    assert len(answer.body) < 100
