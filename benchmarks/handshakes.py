"""Ranges over new TLS connections: ``python -m benchmarks.handshakes``, the task on stdin.

Each client connects, asks for one range and goes; with ``resumes`` it takes the session of its
last connection with it, as a device may. Prints in how many seconds it was, how many connections
were resumed, and how long each range took in milliseconds.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from benchmarks.gateway import trusting

HOST: Final = "127.0.0.1"
_TIMEOUT: Final = 30.0
_READ_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Task:
    """``count`` clients of a path for some seconds; ranges of ``span`` bytes of ``size``."""

    port: int
    path: str
    headers: Mapping[str, str]
    size: int
    span: int
    count: int
    seconds: float
    resumes: bool

    def written(self) -> str:
        """For another process."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class Came:
    """What clients saw."""

    waited: list[float] = field(default_factory=list)
    resumed: int = 0


def clients(task: Task) -> Came:
    """All of them, each in a thread. Raises what one of them raised."""
    came, failed = [Came() for _ in range(task.count)], list[BaseException]()

    def run(number: int) -> None:
        try:
            _ask_again_and_again(task, number, came[number])
        except BaseException as exc:  # noqa: BLE001 - a thread has nobody else to tell
            failed.append(exc)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(task.count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return Came([one for each in came for one in each.waited], sum(each.resumed for each in came))


def _ask_again_and_again(task: Task, number: int, came: Came) -> None:
    context, chance, session = trusting(), random.Random(number), None
    end = time.perf_counter() + task.seconds
    while (began := time.perf_counter()) < end:
        with (
            socket.create_connection((HOST, task.port), _TIMEOUT) as line,
            context.wrap_socket(line, server_hostname=HOST, session=session) as connection,
        ):
            _ask(task, connection, chance.randrange(task.size - task.span))
            came.waited.append(1e3 * (time.perf_counter() - began))
            came.resumed += bool(connection.session_reused)
            session = connection.session if task.resumes else None


def _ask(task: Task, connection: ssl.SSLSocket, start: int) -> None:
    lines = {
        "Host": f"{HOST}:{task.port}",
        "Connection": "close",
        **task.headers,
        "Range": f"bytes={start}-{start + task.span - 1}",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    connection.sendall(f"GET {task.path} HTTP/1.1\r\n{head}\r\n".encode())
    said = b"".join(iter(lambda: connection.recv(_READ_BYTES), b""))
    if not said.startswith(b"HTTP/1.1 206") or len(said.partition(b"\r\n\r\n")[2]) != task.span:
        raise RuntimeError(f"no range: {said[:200]!r}")


def main() -> None:
    """Do the task."""
    task = Task(**json.loads(sys.stdin.readline()))
    began = time.perf_counter()
    came = clients(task)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "resumed": came.resumed, "waited": came.waited}))


if __name__ == "__main__":
    main()
