"""ESP-IDF, Arduino, ESPHome, Zephyr and nRF Connect: clients that hold two kilobytes.

Numbers in docstrings are those of the devices' requirements, see docs/devices.md.
"""

from __future__ import annotations

import aiohttp
import pytest

from tests.devices.conftest import IMAGE, MD5, SIZE, Device, check_part, check_whole
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, upload
from tests.tools.rawhttp import RawConnection

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDF_HEAD = """
HEAD {path} HTTP/1.1
User-Agent: ESP32 HTTP Client/1.0
Host: {host}
"""
IDF = """
GET {path} HTTP/1.1
User-Agent: ESP32 HTTP Client/1.0
Host: {host}
Range: bytes={range}
"""


async def test_esp_idf_downloads_in_parts_of_which_the_last_end_is_beyond_the_file(
    device: Device,
) -> None:
    """1, 2, 3, 4: the size by HEAD, a new connection for each part, an end one past EOF clamped."""
    head = await device.ask_anew(IDF_HEAD)
    assert (head.status, head.head.one("Content-Length")) == (200, str(SIZE))
    check_part(await device.ask_anew(IDF, range="0-0"), 0, 0)
    step = 65_536
    for start in range(0, SIZE - step, step):
        part = await device.ask_anew(IDF, range=f"{start}-{start + step - 1}")
        check_part(part, start, start + step - 1)
    check_part(await device.ask_anew(IDF, range=f"{4 * step}-{SIZE}"), 4 * step, SIZE - 1)
    check_part(await device.ask_anew(IDF, range=f"{4 * step}-"), 4 * step, SIZE - 1)


async def test_esp_idf_resumption_of_nothing_is_a_206_of_everything(device: Device) -> None:
    """2: with resumption on it asks for ``bytes=0-`` even when it has nothing."""
    check_part(await device.ask_anew(IDF, range="0-"), 0, SIZE - 1)


async def test_esp_idf_begins_again_when_it_holds_more_than_there_is(device: Device) -> None:
    """15: only a 416 makes it start from zero."""
    answer = await device.ask_anew(IDF, range=f"{SIZE}-")
    assert answer.status == 416
    assert answer.head.one("Content-Range") == f"bytes */{SIZE}"


ESP32 = """
GET {path} HTTP/1.0
Host: {host}
User-Agent: ESP32-http-Update
Connection: close
Cache-Control: no-cache
x-ESP32-STA-MAC: 18:FE:AA:AA:AA:AA
x-ESP32-AP-MAC: 1A:FE:AA:AA:AA:AA
x-ESP32-free-space: 671744
x-ESP32-sketch-size: 373940
x-ESP32-sketch-md5: a56f8ef78a0bebd812f62067daf1408a
x-ESP32-chip-size: 4194304
x-ESP32-sdk-version: 1.3.0
x-ESP32-mode: sketch
x-ESP32-version: DOOR-7-g14f53a19
"""
ESP8266 = ESP32.replace("ESP32", "ESP8266")


@pytest.mark.parametrize("request_text", [ESP32, ESP8266], ids=["ESP32", "ESP8266"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_arduino_gets_a_length_and_the_md5_of_what_it_gets(
    device: Device, raw: RawConnection, request_text: str, version: str
) -> None:
    """4, 10, 13: HTTP/1.0 or 1.1, Content-Length above zero, x-MD5 in hex, and then the end."""
    answer = await device.ask(raw, request_text.replace("HTTP/1.0", f"HTTP/{version}"))
    check_whole(answer)
    assert answer.head.one("x-MD5") == MD5
    assert answer.head.all("Connection") in ([], ["close"])
    assert await raw.read_ending() == (b"", "eof")


async def test_arduino_is_told_when_there_is_nothing_for_it(device: Device) -> None:
    """It maps 403 and 404 to errors of its own; anything else is "wrong code"."""
    missing = Device(device.port, device.thing, "/filestore/files/none.bin")
    assert (await missing.ask_anew(ESP32)).status == 404
    stranger = Device(device.port, Thing("", "0" * 64))
    assert (await stranger.ask_anew(ESP32)).status == 403


ESPHOME = """
GET {path} HTTP/1.1
User-Agent: ESPHome/2025.2.0 (https://esphome.io)
Host: {host}
"""


async def test_esphome_reads_the_md5_beside_the_image(device: Device) -> None:
    """4: its address is the image's with ``.md5``; of what is there the first 32 characters count."""
    check_whole(await device.ask_anew(ESPHOME))
    beside = Device(device.port, device.thing, f"{device.path}.md5")
    answer = await beside.ask_anew(ESPHOME)
    assert (answer.status, answer.body[:32]) == (200, MD5.encode())


FOTA = """
GET {path} HTTP/1.1
Host: {host}
"""
FOTA_RESUME = (
    FOTA
    + """Range: bytes={first}-
If-Range: {validator}
"""
)


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
async def test_zephyr_fota_resumes_under_the_validator_it_kept(device: Device, header: str) -> None:
    """5, 6: the validator is shorter than 64 bytes, Content-Range than 48; it is sent as If-Range."""
    whole = await device.ask_anew(FOTA)
    check_whole(whole)
    validator = whole.head.one(header)
    assert len(validator) < 64
    answer = await device.ask_anew(FOTA_RESUME, first=2_048, validator=validator)
    check_part(answer, 2_048, SIZE - 1)
    assert len(answer.head.one("Content-Range")) < 48


@pytest.mark.parametrize(
    "validator",
    ['"an older version"', "Thu, 01 Jan 2026 00:00:00 GMT"],
    ids=["an ETag", "a date"],
)
async def test_zephyr_fota_restarts_when_the_file_was_replaced(
    device: Device, validator: str
) -> None:
    """6: a 200 with the new file, whole; also if it holds more than that has."""
    for first in (2_048, SIZE + 1):
        check_whole(await device.ask_anew(FOTA_RESUME, first=first, validator=validator))


async def test_zephyr_addresses_are_short(device: Device) -> None:
    """8: 255 characters for fota_http with its buffer's end, 200 for hawkBit, with a digest or not."""
    assert len(f"{device.url}?sha256={IMAGE.sha256}") < 200


HAWKBIT = """
GET {path} HTTP/1.1
Host: {host}
Accept: */*
"""


async def test_zephyr_hawkbit_downloads_and_resumes(device: Device, raw: RawConnection) -> None:
    """2, 4: 200 with Content-Length, and with SAVE_PROGRESS 206 from an offset."""
    check_whole(await device.ask(raw, HAWKBIT))
    check_part(await device.ask(raw, HAWKBIT + "Range: bytes=640-"), 640, SIZE - 1)


NRF = """
GET {path} HTTP/1.1
Host: {host}
Connection: keep-alive
"""
NRF_RANGE = """
GET {path} HTTP/1.1
Host: {host}
Range: bytes={range}
Connection: keep-alive
"""


async def test_nrf_downloads_in_parts_that_fit_its_modem(
    device: Device, raw: RawConnection
) -> None:
    """1, 2, 7, 11: exactly 206 for every range, on one connection, headers small beside 2048 bytes."""
    for start in range(0, 200 * 2048, 2048):
        if start >= SIZE:
            break
        answer = await device.ask(raw, NRF_RANGE, range=f"{start}-{start + 2047}")
        check_part(answer, start, min(start + 2047, SIZE - 1))
        assert [v.lower() for v in answer.head.all("Connection")] in ([], ["keep-alive"])


async def test_nrf_gets_exactly_200_without_a_range_and_206_from_an_offset(device: Device) -> None:
    """2: any other status ends its download."""
    check_whole(await device.ask_anew(NRF))
    check_part(await device.ask_anew(NRF_RANGE, range="4096-"), 4096, SIZE - 1)


async def test_a_range_of_a_small_file_may_end_far_beyond_it(
    gateway: GatewayProcess, http: aiohttp.ClientSession, device: Device
) -> None:
    """1: nRF asks for its first 2048 bytes before it knows how many there are."""
    content, url = Firmware(72, 100).content, f"{gateway.url}/files"
    async with http.head(f"{url}/small.bin", headers=device.thing.headers) as known:
        if known.status == 404:
            await upload(http, url, device.thing.headers, "small.bin", content)
    small = Device(device.port, device.thing, "/filestore/files/small.bin")
    answer = await small.ask_anew(NRF_RANGE, range="0-2047")
    assert (answer.status, answer.head.one("Content-Range")) == (206, "bytes 0-99/100")
    assert answer.body == content
