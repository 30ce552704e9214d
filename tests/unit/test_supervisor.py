"""Several workers behind one socket: shared, replaced, drained, and never orphaned."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.process.supervisor import ListenFailed, bind

ROOT = Path(__file__).parent.parent.parent

PARENT = """
import asyncio, os, sys
from gateway.process.supervisor import Supervisor, bind
import gateway.process.supervisor as s
s._FIRST_PAUSE_SECONDS = 0.01
with bind("127.0.0.1", 0) as sock:
    print(sock.getsockname()[1], flush=True)
    command = [sys.executable, "-c", sys.argv[1], str(sock.fileno()), str(os.getpid())]
    supervisor = Supervisor(command, 3, sock.fileno(), dict(os.environ), 2.0, sock.close)
    sys.exit(asyncio.run(supervisor.run()))
"""

# Answers each connection with its pid and metrics folder; at SIGTERM ends after its connection.
WORKER = """
import os, signal, socket, sys
from gateway.process.supervisor import die_with_parent
signal.alarm(100)  # whatever a broken supervisor does, this test leaves no process
die_with_parent(int(sys.argv[2]))
busy, told = False, False
def leave(*_):
    global told
    told = True
    if not busy: sys.exit(0)
signal.signal(signal.SIGTERM, leave)
sock = socket.socket(fileno=int(sys.argv[1]))
sock.listen()
while not told:
    client, _ = sock.accept()
    busy = True
    client.sendall(f"{os.getpid()} {os.environ['PROMETHEUS_MULTIPROC_DIR']}\\n".encode())
    if client.recv(9) == b"die": os._exit(3)
    client.sendall(b"done")
    client.close()
    busy = False
"""
STUBBORN = WORKER.replace(
    "signal.signal(signal.SIGTERM, leave)", "signal.signal(15, signal.SIG_IGN)"
)
DRAINING = WORKER.replace("told = True", "told = True; sock.close()")
HOPELESS = "raise SystemExit(2)"


class Service:
    def __init__(self, worker: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, worker],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},  # a killed parent leaves its metrics
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def connect(self) -> tuple[socket.socket, int, str]:
        """A connection, the pid of the worker that took it, and its metrics folder."""
        client = until(lambda: socket.create_connection(("127.0.0.1", self.port), 30))
        pid, folder = client.makefile().readline().split()
        return client, int(pid), folder

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def until(attempt: Callable[[], socket.socket]) -> socket.socket:
    """The workers listen some time after the socket is bound."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return attempt()
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_for_end(pid: int) -> None:
    while lives(pid):
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Service]]:
    services: list[Service] = []

    def start(worker: str) -> Service:
        services.append(Service(worker, tmp_path))
        return services[-1]

    yield start
    for service in services:
        service.process.kill()
        service.process.wait()
        assert service.process.stdout is not None
        service.process.stdout.close()


def test_workers_share_the_port(start: Callable[[str], Service]) -> None:
    service = start(WORKER)
    held = [service.connect() for _ in range(3)]
    assert 3 == len({pid for _, pid, _ in held})
    assert 1 == len({folder for _, _, folder in held})
    for client, _, _ in held:
        client.close()
    assert 0 == service.end(signal.SIGTERM)
    assert not Path(held[0][2]).exists()


def test_a_dead_worker_is_replaced(start: Callable[[str], Service]) -> None:
    service = start(WORKER)
    held = [service.connect() for _ in range(3)]
    held[0][0].sendall(b"die")
    replacement, pid, _ = service.connect()
    assert pid not in {pid for _, pid, _ in held}
    for client in (replacement, *(client for client, _, _ in held)):
        client.close()
    assert 0 == service.end(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_finish_what_they_do(
    start: Callable[[str], Service], number: signal.Signals
) -> None:
    service = start(WORKER)
    client, pid, _ = service.connect()
    ending = threading.Thread(target=service.end, args=[number])
    ending.start()
    client.sendall(b"more")
    assert b"done" == client.recv(9)
    client.close()
    ending.join()
    assert 0 == service.process.returncode
    assert not lives(pid)


def test_a_worker_that_will_not_finish_is_killed(start: Callable[[str], Service]) -> None:
    service = start(STUBBORN)
    client, pid, _ = service.connect()
    assert 0 == service.end(signal.SIGTERM)
    assert not lives(pid)
    client.close()


def test_workers_end_when_their_parent_is_killed(start: Callable[[str], Service]) -> None:
    service = start(WORKER)
    held = [service.connect() for _ in range(3)]
    service.end(signal.SIGKILL)
    for client, _, _ in held:
        client.close()
    for _, pid, _ in held:
        wait_for_end(pid)


def test_workers_that_only_die_end_the_service(start: Callable[[str], Service]) -> None:
    assert 1 == start(HOPELESS).process.wait(60)


def test_a_taken_port_is_refused_with_its_reason() -> None:
    with bind("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(ListenFailed, match=f"port {port}: Address already in use"):
            bind("127.0.0.1", port)


def test_an_unknown_host_is_refused_with_its_reason() -> None:
    with pytest.raises(ListenFailed, match=r"no\.such\.host\.invalid"):
        bind("no.such.host.invalid", 0)


def test_a_socket_left_by_a_killed_gateway_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with bind(f"unix:{path}", 0):
        pass
    assert path.exists()
    with bind(f"unix:{path}", 0) as sock:
        sock.listen()
        assert 0o660 == path.stat().st_mode & 0o777
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_socket_that_answers_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with bind(f"unix:{path}", 0) as sock:
        sock.listen()
        with pytest.raises(ListenFailed, match="already in use"):
            bind(f"unix:{path}", 0)


def test_a_file_in_the_place_of_the_socket_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ListenFailed):
        bind(f"unix:{tmp_path / 'notes'}", 0)
    assert "mine" == (tmp_path / "notes").read_text()
    assert ["notes"] == [path.name for path in tmp_path.iterdir()]


def test_who_comes_while_workers_drain_is_refused_and_not_left_waiting(
    start: Callable[[str], Service],
) -> None:
    service = start(DRAINING)
    client, _, _ = service.connect()
    service.process.send_signal(signal.SIGTERM)
    while service.process.poll() is None:
        with socket.socket() as late:
            if late.connect_ex(("127.0.0.1", service.port)) == errno.ECONNREFUSED:
                break
            with contextlib.suppress(ConnectionError):  # it waited while the last socket closed
                late.sendall(b"end")
                late.recv(100)
    assert service.process.poll() is None  # the first one is still being served
    with client:
        client.sendall(b"end")
        assert b"done" == client.recv(4)
    assert 0 == service.process.wait(30)
