"""The real SWUpdate of Debian installs an image that the gateway serves, and survives cuts.

Its downloader can send no credential but Basic (``-a``), so the thing's key is the password. Debian
builds it for signed images only: the test signs one.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.tools.clients import Ran, run
from tests.tools.cutproxy import Cut, running_cutproxy
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, upload
from tests.tools.ports import HOST

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAYLOAD = Firmware(80, 3_000_000)
OTHER = Firmware(81, 3_000_000)
_DESCRIPTION = """
software = {{
    version = "1.2.3";
    hardware-compatibility = ["1.0"];
    images = ({{ filename = "rootfs.bin"; type = "raw"; device = "{device}"; sha256 = "{sha256}"; }});
}};
"""


@dataclass(frozen=True)
class Site:
    """A board's folder: where its partition is, and the certificate that it trusts."""

    folder: Path
    signer: Signer

    @property
    def partition(self) -> Path:
        return self.folder / "partition"

    def image(self, payload: Firmware) -> bytes:
        """A signed ``.swu``: description, signature and payload in a cpio archive with sums."""
        text = _DESCRIPTION.format(device=self.partition, sha256=payload.sha256).encode()
        entries = {
            "sw-description": text,
            "sw-description.sig": self.signer.sign(text),
            "rootfs.bin": payload.content,
            "TRAILER!!!": b"",
        }
        return b"".join(_entry(name, content) for name, content in entries.items())

    async def update(self, url: str, key: str) -> Ran:
        """``swupdate -d``, as the board runs it: a user and a password is all that it can send."""
        self.partition.write_bytes(b"")
        config = self.folder / "swupdate.cfg"
        config.write_text("globals : {\n    verbose = true;\n};\n")
        certificate = self.folder / "certificate.pem"
        certificate.write_bytes(self.signer.certificate.public_bytes(Encoding.PEM))
        return await run(
            *("swupdate", "-v", "-f", config, "-k", certificate, "-H", "board:1.0"),
            *("-d", f"-u {url} -r 5 -a board:{key}"),
            cwd=self.folder,
            env={**os.environ, "TMPDIR": str(self.folder)},
        )


class Signer:
    """A key with a self-made certificate."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "publisher")])
        now, day = datetime.now(UTC), timedelta(days=1)
        builder = x509.CertificateBuilder(
            name, name, self._key.public_key(), 1, now - day, now + day
        )
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        self.certificate = builder.add_extension(usage, critical=False).sign(self._key, SHA256())

    def sign(self, text: bytes) -> bytes:
        """A detached CMS signature."""
        builder = pkcs7.PKCS7SignatureBuilder().set_data(text)
        builder = builder.add_signer(self.certificate, self._key, SHA256())
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        return builder.sign(Encoding.DER, options)


def _entry(name: str, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    numbers = [int.from_bytes(hashlib.sha256(path).digest()[:2], "big"), 0o100644, 0, 0, 1, 0]
    numbers += [len(content), 0, 0, 0, 0, len(path), sum(content) & 0xFFFFFFFF]
    head = b"070702" + b"".join(b"%08X" % number for number in numbers) + path
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, Signer())


@pytest.mark.parametrize("cuts", [0, 2], ids=["in one go", "cut twice"])
async def test_swupdate_installs_what_was_published(
    gateway: GatewayProcess,
    http: aiohttp.ClientSession,
    thing: Thing,
    port: int,
    site: Site,
    cuts: int,
) -> None:
    """2, 3: HEAD, GET, and after each cut a range; the partition has the payload's bytes."""
    name = f"update-{port}-{cuts}.swu"
    await upload(http, f"{gateway.url}/files", thing.headers, name, site.image(PAYLOAD))
    plan = [Cut("response", 900_000)] * (cuts + 1) if cuts else []
    async with running_cutproxy(port, plan[:cuts]) as proxy:
        ran = await site.update(f"http://{HOST}:{proxy.port}/filestore/files/{name}", thing.key)
        assert len(proxy.made) == cuts
    assert ran.status == 0, ran.stdout[-2000:]
    assert site.partition.read_bytes() == PAYLOAD.content


async def test_swupdate_installs_no_mixture(
    gateway: GatewayProcess,
    http: aiohttp.ClientSession,
    thing: Thing,
    port: int,
    way: str,
    site: Site,
) -> None:
    """17: replaced during the cut, an address with a digest ends the update instead.

    An nginx in edge mode may still have all of the version that the address names.
    """
    name, image = f"replaced-{port}.swu", site.image(PAYLOAD)
    await upload(http, f"{gateway.url}/files", thing.headers, name, image)
    url = f"{gateway.url}/files/{name}"

    async def replace(_: Cut) -> None:
        await upload(http, url, thing.headers, name, site.image(OTHER), method="PUT")

    async with running_cutproxy(port, [Cut("response", 900_000)], on_cut=replace) as proxy:
        pinned = f"/filestore/files/{name}?sha256={hashlib.sha256(image).hexdigest()}"
        ran = await site.update(f"http://{HOST}:{proxy.port}{pinned}", thing.key)
    if ran.status == 0:
        assert (way, site.partition.read_bytes()) == ("edge", PAYLOAD.content)
