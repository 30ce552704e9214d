"""A device's connection: non-blocking socket, paced reading, a round trip, an abrupt end.

Not reading is what makes a device slow for the server: the kernel's buffer is kept small and
stays full, as that of a modem does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final

from gateway.fleet.aim import Aim

_WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError)
_RESET: Final = struct.pack("ii", 1, 0)
_SMALLEST_READ: Final = 1024
_LARGEST_READ: Final = 64 * 1024
_SEGMENT: Final = 1400
# Half of it is the kernel's own bookkeeping; in less, segments are dropped instead of delayed.
_RECEIVE_BUFFER: Final = 32 * 1024
_NO_BUFFERS: Final = (errno.EADDRNOTAVAIL, errno.EMFILE)


class LinkLost(Exception):
    """The server ended the connection, or said nothing for too long."""


class LocalLimit(Exception):
    """This machine has no port or descriptor left for another device."""


class DeviceLink:
    """One TCP or TLS connection.

    ``bandwidth`` is in bytes per second, 0 for unlimited; ``patience`` in seconds.
    """

    def __init__(self, connection: socket.socket, bandwidth: float, patience: float) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._bandwidth = bandwidth
        self._most = _read_size(bandwidth)
        self._patience = patience
        self._ready_at = 0.0

    async def send(self, request: bytes) -> None:
        """A request's head, which always fits the kernel's buffer."""
        await self.paced()
        try:
            self._socket.send(request)
        except OSError as exc:
            raise LinkLost from exc

    async def receive(self, most: int = _LARGEST_READ) -> bytes:
        """What is there, at least one byte, no faster than the bandwidth. Raises ``LinkLost``."""
        await self.paced()
        while True:
            try:
                piece = self._socket.recv(min(most, self._most))
            except _WOULD_BLOCK:
                await self._readable()
                continue
            except OSError as exc:
                raise LinkLost from exc
            if not piece:
                raise LinkLost
            self._spend(len(piece))
            return piece

    async def paced(self) -> None:
        """Wait until the bandwidth allows more."""
        if (wait := self._ready_at - self._loop.time()) > 0:
            await asyncio.sleep(wait)

    def cut(self) -> None:
        """End it as a device does whose power fails: RST instead of FIN."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._socket.close()

    def _spend(self, count: int) -> None:
        if self._bandwidth:
            self._ready_at = max(self._ready_at, self._loop.time()) + count / self._bandwidth

    async def _readable(self) -> None:
        await _until(self._loop.add_reader, self._loop.remove_reader, self._socket, self._patience)


async def connect(
    target: Aim,
    *,
    source: str | None,
    bandwidth: float,
    patience: float,
    tls: ssl.SSLContext | None,
) -> DeviceLink:
    """A link to ``target``. Raises ``LinkLost``, or ``LocalLimit`` if it is our own fault."""
    loop = asyncio.get_running_loop()
    try:
        connection = socket.socket(socket.AF_INET6 if target.is_ipv6 else socket.AF_INET)
    except OSError as exc:
        raise LocalLimit(str(exc)) from exc
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if bandwidth:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            # Loopback's segments of 64 KiB would never fit such a buffer.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
        if source is not None:
            connection.bind((source, 0))
        async with asyncio.timeout(patience):
            await loop.sock_connect(connection, (target.address, target.port))
        if tls is not None:
            connection = await _encrypted(connection, tls, target, patience)
    except OSError as exc:  # a TimeoutError is one
        connection.close()
        if exc.errno in _NO_BUFFERS:
            raise LocalLimit(str(exc)) from exc
        raise LinkLost from exc
    except BaseException:
        connection.close()
        raise
    return DeviceLink(connection, bandwidth, patience)


async def _encrypted(
    connection: socket.socket, tls: ssl.SSLContext, target: Aim, patience: float
) -> socket.socket:
    name = target.host.rpartition(":")[0] or target.host
    wrapped = tls.wrap_socket(
        connection, server_hostname=name.strip("[]"), do_handshake_on_connect=False
    )
    loop = asyncio.get_running_loop()
    while True:
        try:
            wrapped.do_handshake()
        except ssl.SSLWantReadError:
            await _until(loop.add_reader, loop.remove_reader, wrapped, patience)
        except ssl.SSLWantWriteError:
            await _until(loop.add_writer, loop.remove_writer, wrapped, patience)
        else:
            return wrapped


async def _until(
    add: Callable[..., None],
    remove: Callable[[int], bool],
    connection: socket.socket,
    patience: float,
) -> None:
    """Wait for the kernel's word on a socket. Raises ``LinkLost`` after ``patience``."""
    descriptor = connection.fileno()
    ready = asyncio.get_running_loop().create_future()
    add(descriptor, _resolve, ready)
    try:
        async with asyncio.timeout(patience):
            await ready
    except TimeoutError as exc:
        raise LinkLost from exc
    finally:
        remove(descriptor)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _read_size(bandwidth: float) -> int:
    """About a second's worth, so that ten thousand devices wake ten thousand times a second."""
    if not bandwidth:
        return _LARGEST_READ
    return int(max(_SMALLEST_READ, min(bandwidth, _LARGEST_READ)))
