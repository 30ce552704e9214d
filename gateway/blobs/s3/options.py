"""How a bucket is reached, as one value. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique
from urllib.parse import urlsplit

from gateway.blobs.s3.signing import Credential


@unique
class Checksum(StrEnum):
    """Which checksum the store is sent with every part, to compare."""

    CRC64NVME = "crc64nvme"
    SHA256 = "sha256"


@dataclass(frozen=True, slots=True)
class S3Options:
    """A bucket, who asks, and for how long an answer is waited for.

    ``endpoint`` of ``None`` is Amazon's in the ``region``. Without a ``credential`` one is looked
    for in the ways that Amazon's own tools have. ``silence_seconds`` is how long the store may send
    nothing, ``retry_seconds`` how long a request that failed is tried again.
    ``longest_upload_seconds`` is the age at which an unfinished upload is nobody's any more,
    ``signed_seconds`` how long a signature for a front server holds at least. A client that fetches
    by itself finds the store at ``redirect_endpoint`` (``None``: at ``endpoint``), and may begin
    within ``redirect_seconds``.
    """

    bucket: str
    region: str = "us-east-1"
    endpoint: str | None = None
    prefix: str = ""
    virtual_host: bool = False
    credential: Credential | None = None
    authorities: bytes | None = None
    checksum: Checksum = Checksum.CRC64NVME
    signed_payload: bool = False
    read_back: bool | None = None
    silence_seconds: float = 30.0
    retry_seconds: float = 10.0
    longest_upload_seconds: float = 86_400.0
    most_bytes: int = 16 * 1024**3
    signed_seconds: float = 86_400.0
    redirect_endpoint: str | None = None
    redirect_seconds: int = 60

    @property
    def base(self) -> str:
        """The address of the service, without the bucket."""
        return (self.endpoint or f"https://s3.{self.region}.amazonaws.com").rstrip("/")

    @property
    def bucket_url(self) -> str:
        """The address of the bucket."""
        return self._bucket_at(self.base)

    @property
    def client_url(self) -> str:
        """The address of the bucket for clients."""
        return self._bucket_at((self.redirect_endpoint or self.base).rstrip("/"))

    def _bucket_at(self, base: str) -> str:
        if not self.virtual_host:
            return f"{base}/{self.bucket}"
        parts = urlsplit(base)
        return f"{parts.scheme}://{self.bucket}.{parts.netloc}{parts.path}"

    @property
    def within(self) -> str:
        """What all of our keys begin with: empty, or with a slash at its end."""
        return f"{self.prefix.strip('/')}/" if self.prefix.strip("/") else ""

    @property
    def identity(self) -> str:
        """Which store this is: two gateways of one deployment have the same."""
        return f"s3 {self.base} {self.bucket}/{self.within}"
