"""Clients of a mixed load: ``python -m benchmarks.crowd KIND``, the task on stdin.

``ranges`` asks at a fixed rate, whatever comes back (open loop), and tells at the end how long
each answer took from when it was due. ``uploads`` send as fast as they are let, ``trickles`` read
a large file a little at a time, until stdin ends. They stand for other machines, so the last two
have the last priority of this one.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import selectors
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

HOST: Final = "127.0.0.1"
RANGE_BYTES: Final = 4096
_LAST: Final = 19
_PIECE: Final = bytes(1024 * 1024)
_TIMEOUT: Final = 60.0
_TRICKLE_BYTES: Final = 1024
_BEGUN_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Task:
    """``count`` clients of a path; ``size`` of the file or of each upload; ``rate`` a second."""

    port: int
    path: str
    headers: Mapping[str, str]
    size: int
    count: int
    rate: float = 0.0
    seconds: float = 0.0

    def head(self, method: str, path: str, **more: str) -> bytes:
        """A request's head."""
        fields = {"Host": f"{HOST}:{self.port}", **self.headers}
        fields |= {name.replace("_", "-"): value for name, value in more.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    def written(self) -> str:
        """For another process."""
        return json.dumps(asdict(self))


async def ranges(task: Task) -> list[float]:
    """Milliseconds of every request, from when it was due."""
    waited = list[float]()
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(task.count):
        idle.put_nowait(await asyncio.open_connection(HOST, task.port))
    async with asyncio.timeout(task.seconds + _TIMEOUT), asyncio.TaskGroup() as group:
        began = time.perf_counter()
        for number in range(int(task.rate * task.seconds)):
            due = began + number / task.rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            group.create_task(_range(task, number, due, idle, waited))
    return waited


async def _range(
    task: Task,
    number: int,
    due: float,
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]],
    waited: list[float],
) -> None:
    reader, writer = line = await idle.get()
    start = number * RANGE_BYTES * 7 % (task.size - RANGE_BYTES)
    writer.write(task.head("GET", task.path, Range=f"bytes={start}-{start + RANGE_BYTES - 1}"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 206"), head
    await reader.readexactly(RANGE_BYTES)
    waited.append(1e3 * (time.perf_counter() - due))
    idle.put_nowait(line)


def uploads(task: Task) -> None:
    """Each again and again, over the one before."""
    for number in range(task.count):
        threading.Thread(target=_upload_for_ever, args=(task, number), daemon=True).start()
    sys.stdin.read()


def _upload_for_ever(task: Task, number: int) -> None:
    with socket.create_connection((HOST, task.port), _TIMEOUT) as line:
        while True:
            more = {"Content_Type": "application/octet-stream", "Content_Length": str(task.size)}
            line.sendall(task.head("PUT", f"{task.path}-{number}", **more))
            for _ in range(task.size // len(_PIECE)):
                line.sendall(_PIECE)
            if not line.recv(65536).startswith(b"HTTP/1.1 20"):
                return


def trickles(task: Task) -> None:
    """A KiB each a second, of a receive buffer as small as may be."""
    watched = selectors.DefaultSelector()
    watched.register(sys.stdin, selectors.EVENT_READ)
    lines = list[socket.socket]()
    while not watched.select(0):
        began = time.perf_counter()
        for line in lines:
            line.recv(_TRICKLE_BYTES)
        for _ in range(min(_BEGUN_AT_ONCE, task.count - len(lines))):
            lines.append(_trickling(task))
        rest = 1.0 if len(lines) == task.count else 0.05
        time.sleep(max(0.0, began + rest - time.perf_counter()))


def _trickling(task: Task) -> socket.socket:
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(_TIMEOUT)
    line.connect((HOST, task.port))
    line.sendall(task.head("GET", task.path))
    return line


def main(kind: str) -> None:
    """Do as ``kind`` does."""
    task = Task(**json.loads(sys.stdin.readline()))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if kind == "ranges":
        print(json.dumps(asyncio.run(ranges(task))))
        return
    os.setpriority(os.PRIO_PROCESS, 0, _LAST)
    (uploads if kind == "uploads" else trickles)(task)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
