"""From a file to the socket by the kernel: no byte enters this process.

``sendfile`` says nothing of a file that ends early, so the file is asked afterwards. Few frames,
and no coroutine for a slice: thousands of downloads wait in here, and each frame costs memory.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable
from typing import BinaryIO, Final, cast

from aiohttp import web

from gateway.blobs.port import Descriptor
from gateway.traffic.bandwidth import Schedule
from gateway.web.downloads.transfer import BlobCut, Transfer
from gateway.web.server.exchange import ending_with_client
from gateway.web.server.response import RawResponse, Wire

_SLICE_BYTES: Final = 4 * 1024 * 1024
_OF_DISK: Final = frozenset(
    {errno.EIO, errno.ESTALE, errno.EUCLEAN, errno.EBADMSG, errno.EREMOTEIO, errno.ENXIO}
)


async def send_file(
    request: web.Request, response: RawResponse, transfer: Transfer, file: Descriptor
) -> RawResponse:
    """Send the span of ``file``, in slices, at the transfer's pace. Raises ``ConnectionError``."""
    wire, span = await response.begin(request), transfer.span
    try:
        if transfer.pace is None:
            transfer.stalls.watch(wire.transport)
            for start in range(span.start, span.stop, _SLICE_BYTES):
                if start > span.start:
                    await asyncio.sleep(0)  # others get their turn
                count = min(_SLICE_BYTES, span.stop - start)
                rest = _send_slice(wire, transfer, file, start, count)
                if rest is not None:
                    await rest
        else:
            with ending_with_client(request), transfer.pace.begun() as schedule:
                await _send_paced(wire, transfer, file, schedule)
        if not file.is_whole():
            raise BlobCut("the blob has another size than its row says")
    except OSError as exc:
        wire.cut()
        raise _worded(exc) from exc
    except BaseException:
        wire.cut()
        raise
    finally:
        transfer.stalls.unwatch(wire.transport)
    return transfer.end(request, response)


def is_of_disk(error: BaseException) -> bool:
    """Whether ``sendfile`` failed in reading, not in writing to the client."""
    return isinstance(error, OSError) and error.errno in _OF_DISK


def _worded(error: OSError) -> ConnectionError:
    if is_of_disk(error):
        return BlobCut("the blob could not be read to its end")
    return error if isinstance(error, ConnectionError) else ConnectionResetError("the client left")


def _send_slice(
    wire: Wire, transfer: Transfer, file: Descriptor, start: int, count: int
) -> Awaitable[None] | None:
    """Send one slice; what is still to be waited for, if anything."""
    wire.check_open()
    transfer.sent(start, start + count)
    return wire.send_file(cast(BinaryIO, file), start, count)


async def _send_paced(wire: Wire, transfer: Transfer, file: Descriptor, schedule: Schedule) -> None:
    """In slices as they are granted. Who waits for us has not stalled."""
    start, stop = transfer.span.start, transfer.span.stop
    while start < stop:
        count = await schedule.next(stop - start)
        with transfer.stalls.watching(wire.transport):
            rest = _send_slice(wire, transfer, file, start, count)
            if rest is not None:
                await rest
        start += count
