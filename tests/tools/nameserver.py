"""A small DNS server on loopback whose every word is the test's, silence included."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import cast

from tests.tools.ports import HOST

_ANSWERED, _NO_SUCH_NAME = 0x8180, 0x8183
_A, _INTERNET, _POINTER = 1, 1, 0xC00C


class Nameserver(asyncio.DatagramProtocol):
    """Gives ``addresses`` (IPv4, none: no such name) of a host, and none for one it does not know.

    ``asked`` are the hosts that questions were about, in lower case.
    """

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self.addresses = dict(addresses)
        self.asked: list[str] = []
        self.place = ""
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        host, port = transport.get_extra_info("sockname")
        self.place = f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        host, end = _name_at(data, 12)
        self.asked.append(host)
        known = self.addresses.get(host)
        if known is None or self._transport is None:
            return  # silence: it never answers
        question, (kind,) = data[12 : end + 4], struct.unpack_from("!H", data, end)
        found = known if kind == _A else []
        flags = _ANSWERED if known else _NO_SUCH_NAME
        head = data[:2] + struct.pack("!5H", flags, 1, len(found), 0, 0)
        record = struct.pack("!3HIH", _POINTER, _A, _INTERNET, 60, 4)
        records = b"".join(record + socket.inet_aton(address) for address in found)
        self._transport.sendto(head + question + records, addr)


def _name_at(data: bytes, at: int) -> tuple[str, int]:
    """The name, and where it ends."""
    labels = list[str]()
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels).lower(), at + 1


@contextlib.asynccontextmanager
async def running_nameserver(**addresses: Sequence[str]) -> AsyncIterator[Nameserver]:
    """One that knows ``addresses``; underscores in their names stand for dots."""
    known = {name.replace("_", "."): found for name, found in addresses.items()}
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Nameserver(known), local_addr=(HOST, 0)
    )
    try:
        yield server
    finally:
        transport.close()
