"""``python -m benchmarks.peers.programs.socket_limit FOLDER PORT``: the physical limit.

A PUT's body is received into large buffers on one thread, hashed and written on another. Of HTTP
there is just enough for curl to be satisfied: nothing is parsed but the length.
"""

from __future__ import annotations

import hashlib
import queue
import re
import socket
import sys
import threading
from pathlib import Path

from benchmarks.children import HOST

_BUFFER = 1024 * 1024
_BUFFERS = 4
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def main() -> None:
    """Take one connection after the other."""
    path, port = Path(sys.argv[1]) / "newest", int(sys.argv[2])
    with socket.create_server((HOST, port)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                _take(connection, path)


def _take(connection: socket.socket, path: Path) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(_BUFFER)
        if not piece:
            return  # somebody only looked whether we listen
        head += piece
    head, _, rest = head.partition(b"\r\n\r\n")
    match = _LENGTH.search(head)
    if match is None:
        return
    digest = _receive(connection, path, rest, int(match[1]))
    answer = f"HTTP/1.1 201 Created\r\nContent-Length: {len(digest)}\r\nConnection: close\r\n\r\n"
    connection.sendall(answer.encode() + digest.encode())


def _receive(connection: socket.socket, path: Path, rest: bytes, length: int) -> str:
    """The body into the file; its digest."""
    free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
    full: queue.SimpleQueue[tuple[bytearray, int] | None] = queue.SimpleQueue()
    for _ in range(_BUFFERS):
        free.put(bytearray(_BUFFER))
    digest = hashlib.sha256(rest)
    with path.open("wb", buffering=0) as file:
        file.write(rest)

        def absorb() -> None:
            while (item := full.get()) is not None:
                buffer, count = item
                view = memoryview(buffer)[:count]
                digest.update(view)
                file.write(view)
                free.put(buffer)

        worker = threading.Thread(target=absorb)
        worker.start()
        left = length - len(rest)
        while left:
            buffer = free.get()
            count = connection.recv_into(buffer, min(left, _BUFFER), socket.MSG_WAITALL)
            if not count:
                break
            full.put((buffer, count))
            left -= count
        full.put(None)
        worker.join()
    return digest.hexdigest()


if __name__ == "__main__":
    main()
