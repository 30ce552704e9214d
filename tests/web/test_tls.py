"""TLS that the gateway speaks itself, with two workers: the same bytes, and certificates that are renewed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import ssl
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from gateway.process.certificate import ServerCertificate, kernel_encrypts
from gateway.process.supervisor import ListenFailed
from gateway.settings.core import BadSettings, read_configuration
from tests.tools.certificates import Authority
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayDied, GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, sign_in, upload
from tests.tools.ports import HOST
from tests.tools.rawhttp import raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 3_000_000
IMAGE = Firmware(41, SIZE)
SECONDS = 60  # eight handshakes in a row take many turns of a busy processor


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway that speaks TLS, the file with its certificate and key, and a client that trusts it."""

    gateway: GatewayProcess
    file: Path
    authority: Authority
    http: aiohttp.ClientSession
    thing: Thing

    def renew(self, name: str) -> str:
        """Another certificate in the file; its fingerprint."""
        issued = self.authority.issue(name)
        self.file.write_bytes(issued.file.read_bytes())
        return issued.sha256

    async def shown(self, context: ssl.SSLContext | None = None) -> ssl.SSLObject:
        """A new connection, for a moment: what its handshake came to. Raises ``ssl.SSLError``."""
        context = context or self.authority.client(None)
        _, writer = await asyncio.open_connection(HOST, self.gateway.port, ssl=context)
        try:
            found = writer.get_extra_info("ssl_object")
            assert isinstance(found, ssl.SSLObject)
            return found
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def certificates(self, connections: int = 8) -> set[str]:
        """The fingerprints that so many connections are shown, of either worker."""
        found = [(await self.shown()).getpeercert(binary_form=True) for _ in range(connections)]
        return {hashlib.sha256(der or b"").hexdigest() for der in found}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    file = folder / "pair.pem"
    shutil.copy(authority.issue("first").file, file)
    connector = aiohttp.TCPConnector(ssl=authority.client(None))
    async with (
        running_gateway(
            folder,
            database_server=postgres_server,
            tls_certificate=file,
            tls_key=file,
            workers=2,
            several_ranges="true",
        ) as gateway,
        aiohttp.ClientSession(connector=connector, auto_decompress=False) as http,
    ):
        thing = await (await sign_in(http, gateway.url)).thing()
        made = await upload(http, f"{gateway.url}/files", thing.headers, "fw.bin", IMAGE.content)
        assert made
        yield Site(gateway, file, authority, http, thing)


@pytest.mark.parametrize(
    ("start", "count"),
    [
        pytest.param(0, 4096, id="a small one"),
        pytest.param(1_000_000, 65_536, id="one write"),
        pytest.param(5, 200_000, id="more than one"),
        pytest.param(7, SIZE - 7, id="nearly all"),
        pytest.param(SIZE - 1, 1, id="the last byte"),
    ],
)
async def test_a_range_is_the_same_over_tls(site: Site, start: int, count: int) -> None:
    """Several times, on connections of either worker: later ones come by the fast path."""
    headers = {**site.thing.headers, "Range": f"bytes={start}-{start + count - 1}"}
    for _ in range(4):
        async with site.http.get(f"{site.gateway.url}/files/fw.bin", headers=headers) as answer:
            assert (answer.status, await answer.read()) == (206, IMAGE.read(start, count))


async def test_a_whole_file_and_its_resumption_are_the_same_over_tls(site: Site) -> None:
    url = f"{site.gateway.url}/files/fw.bin"
    async with site.http.get(url, headers=site.thing.headers) as answer:
        etag = answer.headers["ETag"]
        assert await answer.content.readexactly(100_000) == IMAGE.read(0, 100_000)
        answer.close()
    resumed = {**site.thing.headers, "Range": "bytes=100000-", "If-Range": etag}
    async with site.http.get(url, headers=resumed) as answer:
        assert (answer.status, await answer.read()) == (206, IMAGE.content[100_000:])


async def test_several_ranges_go_over_tls(site: Site) -> None:
    headers = {**site.thing.headers, "Range": "bytes=0-9,100-109,2000000-2000999"}
    async with site.http.get(f"{site.gateway.url}/files/fw.bin", headers=headers) as answer:
        body = await answer.read()
    assert answer.status == 206
    assert answer.headers["Content-Type"].startswith("multipart/byteranges")
    assert all(IMAGE.read(s, n) in body for s, n in ((0, 10), (100, 10), (2_000_000, 1000)))


async def test_what_is_uploaded_over_tls_is_what_is_read(site: Site) -> None:
    small, large = Firmware(42, 1000), Firmware(43, 9_000_000)
    for name, image in (("small.bin", small), ("large.bin", large)):
        url = f"{site.gateway.url}/files"
        await upload(site.http, url, site.thing.headers, name, image.content)
        async with site.http.get(f"{url}/{name}", headers=site.thing.headers) as answer:
            assert await answer.read() == image.content
    assert "Traceback" not in site.gateway.log


async def test_addresses_that_are_handed_out_say_https(site: Site) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b"content", filename="address.bin")
    url = f"{site.gateway.url}/files"
    async with site.http.post(url, data=form, headers=site.thing.headers) as answer:
        assert answer.status == 201
    assert site.gateway.url.startswith("https://")
    assert f"{site.gateway.url}\n" in site.gateway.log.replace("/filestore", "\n")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(site: Site, version: ssl.TLSVersion) -> None:
    context = site.authority.client(None)
    context.minimum_version = context.maximum_version = version
    assert (await site.shown(context)).version() == version.name.replace("_", ".")


async def test_nothing_older_is_spoken(site: Site) -> None:
    context = site.authority.client(None)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await site.shown(context)


async def test_who_does_not_speak_tls_is_nobody(site: Site) -> None:
    async with raw_connection(site.gateway.port) as connection:
        await connection.send_head("GET", "/health")
        body, _ = await connection.read_ending()
    assert b"HTTP/1.1" not in body
    assert (await site.shown()).version() == "TLSv1.3"
    assert "Traceback" not in site.gateway.log


async def until_shown(site: Site, fingerprint: str) -> None:
    async with asyncio.timeout(SECONDS):
        while await site.certificates() != {fingerprint}:
            await asyncio.sleep(0.05)


async def test_a_renewed_certificate_is_shown_after_sighup_and_cuts_nothing(site: Site) -> None:
    context = site.authority.client(None)
    reader, writer = await asyncio.open_connection(HOST, site.gateway.port, ssl=context)
    try:
        fingerprint = site.renew("second")
        os.kill(site.gateway.pid, signal.SIGHUP)
        await until_shown(site, fingerprint)
        writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
    finally:
        writer.close()


async def test_a_wrong_certificate_keeps_the_one_before_and_is_told(site: Site) -> None:
    """And the files are looked at without being told so."""
    fingerprint = site.renew("third")
    os.kill(site.gateway.pid, signal.SIGHUP)
    await until_shown(site, fingerprint)
    site.file.write_text("no certificate")
    os.kill(site.gateway.pid, signal.SIGHUP)
    async with asyncio.timeout(SECONDS):
        while site.gateway.log.count("the one before stays") < 2:
            await asyncio.sleep(0.05)
    assert await site.certificates() == {fingerprint}
    await until_shown(site, site.renew("fourth"))


def broken(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Pairs of which none can be used."""
    authority = Authority(folder)
    one, other = authority.issue("one").file, authority.issue("other").file
    words = folder / "words.pem"
    words.write_text("no certificate")
    locked = folder / "locked.pem"
    text = one.read_text()
    locked.write_text(text[: text.index("-----BEGIN PRIVATE")] + _LOCKED)
    yield from ((folder / "none.pem", one), (one, folder / "none.pem"), (words, one), (one, words))
    yield from ((folder, folder), (one, other), (one, locked))


_LOCKED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAj2hmpLkqvFRAICCAAw
-----END ENCRYPTED PRIVATE KEY-----
"""


async def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    for certificate, key in broken(tmp_path):
        with pytest.raises(ListenFailed, match="cannot serve TLS"):
            ServerCertificate(certificate, key, by_kernel=True)


async def test_a_pair_is_taken_when_both_files_fit(tmp_path: Path) -> None:
    authority, pair = Authority(tmp_path), (tmp_path / "c.pem", tmp_path / "k.pem")
    for file in pair:
        shutil.copy(authority.issue("old").file, file)
    shutil.copy(pair[1], pair[0])
    served = ServerCertificate(*pair, by_kernel=kernel_encrypts())
    first, new = served.context, authority.issue("new").file
    served.look()
    assert served.context is first
    for file, changed in zip(pair, (False, True), strict=True):
        shutil.copy(new, file)
        served.look()
        assert (served.context is not first) is changed
    pair[0].unlink()
    last = served.context
    served.look()
    assert served.context is last


async def test_the_gateway_does_not_start_with_what_cannot_be_used(
    tmp_path: Path, postgres_server: str
) -> None:
    with pytest.raises(GatewayDied, match="cannot serve TLS"):
        async with running_gateway(
            tmp_path,
            database_server=postgres_server,
            tls_certificate=tmp_path / "none",
            tls_key=tmp_path / "none",
        ):
            pass


async def test_there_are_both_files_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TLS_KEY", "/key.pem")
    with pytest.raises(BadSettings, match="both or none"):
        read_configuration(())
