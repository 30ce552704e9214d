"""A span of a blob on its way to one client, and who follows it.

Knows that a transfer is watched for stalls, paced and followed. Does not know what for: who
follows transfers (the guard of resumed downloads is one) is told of each and otherwise unknown
here, and so is how the bytes travel.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gateway.blobs.port import BlobReader
from gateway.model.byterange import ByteRange
from gateway.traffic.bandwidth import Pace
from gateway.web import metrics
from gateway.web.server.exchange import on_receipt
from gateway.web.server.response import RawResponse
from gateway.web.server.stall import StallWatch


class BlobCut(ConnectionResetError):
    """A download was cut because of its blob: too few bytes, others, or none that can be read."""


class TransferObserver(Protocol):
    """Follows one transfer to its end."""

    def sent(self, start: int, stop: int) -> None:
        """The bytes of the file from ``start`` up to ``stop`` are about to leave."""

    def end(self) -> None:
        """The last byte has left us."""

    def acknowledged(self, received: bool) -> None:
        """It is known whether the client got all of it."""


class TransferWatch(Protocol):
    """Is asked before a transfer, told of it, and may follow it.

    A read (``read_id``) is one caller's of one file; ``version`` is the file's entity tag.
    """

    def read_id(self, credential: Hashable, *file: Hashable) -> bytes:
        """What a caller's reads of a file are told apart by, without the credential."""

    def continues_other_version(self, read_id: bytes, version: str, header: str) -> bool:
        """Whether ``header``, a ``Range`` that names no version, goes on with another one."""

    def record_response(
        self, read_id: bytes, version: str, span: ByteRange, size: int
    ) -> TransferObserver | None:
        """Take note of a response before it is sent: ``span`` of ``size`` bytes of ``version``.

        Returns who is to be told how it goes on, if anybody.
        """

    def forget(self, read_id: bytes) -> None:
        """The read goes on where it is not seen."""


@dataclass(slots=True)
class Transfer:
    """``span`` of an open blob to one client: watched for stalls, at ``pace``, followed.

    ``left`` is how many bytes have left us, each counted once it is known: of what the kernel
    sends that is a slice at a time.
    """

    reader: BlobReader
    span: ByteRange
    stalls: StallWatch
    pace: Pace | None = None
    observer: TransferObserver | None = None
    left: int = 0
    awaited: bool = False

    def sent(self, start: int, stop: int) -> None:
        """The bytes from ``start`` up to ``stop`` are about to leave; those before have left."""
        self._count(start)
        if self.observer is not None:
            self.observer.sent(start, stop)

    def await_receipt(self, request: web.Request) -> None:
        """The last bytes leave in this turn of the loop; who has them may say so in the next."""
        if self.observer is not None:
            on_receipt(request, self.observer.acknowledged)
            self.awaited = True

    def end(self, request: web.Request, response: RawResponse) -> RawResponse:
        """All of it has left us; the response, ended."""
        self._count(self.span.stop)
        response.end()
        if self.observer is not None:
            self.observer.end()
        if not self.awaited:
            self.await_receipt(request)
        return response

    def _count(self, stop: int) -> None:
        metrics.sent(stop - self.span.start - self.left)
        self.left = stop - self.span.start
