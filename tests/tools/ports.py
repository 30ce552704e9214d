"""Ports for servers that take a number and not a socket."""

from __future__ import annotations

import asyncio
import random
import socket

HOST = "127.0.0.1"
# Below Linux's ephemeral ports (32768 and up): no outgoing connection takes one meanwhile.
_CANDIDATES = range(10240, 32768)


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens now."""
    while True:
        port = random.SystemRandom().choice(_CANDIDATES)
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind((HOST, port))
            except OSError:
                continue
        return port


async def answers(port: int) -> bool:
    """Whether something accepts connections on the port."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
