"""What uploads work with: one value on the application, and the bounds of what is received."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from gateway.blobs.port import BlobWriter
from gateway.model.claims import Claims
from gateway.model.digest import MD5
from gateway.model.file import Scope
from gateway.traffic.limits import ConcurrencyLimit
from gateway.web.uploads.underway import UploadsUnderWay

FILE_SETTING: Final = "GATEWAY_MAX_FILE_BYTES"


def too_large(what: str, most: int, setting: str | None = None) -> str:
    """The sentence for what is more than ``most`` bytes, and which ``setting`` says so."""
    return f"{what} is larger than {most} bytes" + (f" ({setting})" if setting else "")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the body of any request may be. Sizes in bytes, times in seconds.

    However fast it comes, it is received for ``body_seconds`` at most; 0: for as long as it takes.
    """

    file_bytes: int
    stall_seconds: float
    min_upload_bytes_per_second: int
    body_seconds: float = 0.0
    json_bytes: int = 1024 * 1024


class Staging(Protocol):
    """Where uploads begin: the ``Filestore``."""

    def stage(
        self, scope: Scope, *, algorithms: Collection[str] = (), expected_bytes: int | None = None
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin an upload; what is not deposited by the end of the block leaves no trace."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """What uploads work with. ``store_md5``: every file gets an MD5 digest, too."""

    files: Staging
    limits: Limits
    concurrency: ConcurrencyLimit
    store_md5: bool = False
    under_way: UploadsUnderWay = field(default_factory=UploadsUnderWay)

    def stage(
        self, scope: Scope, claims: Claims, expected_bytes: int | None
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin an upload that is hashed in all that ``claims`` need. Raises ``StorageFull``."""
        algorithms = {*claims.algorithms, MD5} if self.store_md5 else claims.algorithms
        return self.files.stage(scope, algorithms=algorithms, expected_bytes=expected_bytes)


UPLOADS: Final = web.AppKey("uploads", Uploads)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in: what its sender says of it, and where its bytes went."""

    filename: str
    content_type: str
    claims: Claims
    writer: BlobWriter
