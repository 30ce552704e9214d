"""What Linux knows of a TCP connection: how much of what was written its peer has acknowledged.

Knows ``struct tcp_info``. Does not know HTTP.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

# struct tcp_info (linux/tcp.h): 8 bytes of flags, 24 times u32 (the fifth: segments that are not
# acknowledged), two rates, bytes acked and received, segments out and in, bytes not sent.
_BYTES_ACKED: Final = struct.Struct("@120xQ")
_OUTSTANDING: Final = struct.Struct("@24xI116xI")


def bytes_acknowledged(transport: asyncio.BaseTransport) -> int | None:
    """Bytes that the peer has acknowledged on this connection; ``None`` if not TCP."""
    info = _tcp_info(transport, _BYTES_ACKED)
    return int(info[0]) if info else None


def is_acknowledged(transport: asyncio.BaseTransport) -> bool:
    """Whether the peer has acknowledged all that was written; true if that cannot be known."""
    return not any(_tcp_info(transport, _OUTSTANDING))


def _tcp_info(transport: asyncio.BaseTransport, layout: struct.Struct) -> tuple[int, ...]:
    """Fields of the connection's ``tcp_info``; none if it is not TCP."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None:
        return ()
    try:
        return layout.unpack(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, layout.size))
    except (OSError, struct.error):
        return ()
