"""Scenario 10: what a download costs whose client reads nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from urllib.parse import urlsplit

from benchmarks.bench import Bench
from benchmarks.children import HOST
from benchmarks.peers import aiohttp_peers, nginx
from benchmarks.procfs import children_of, descriptors, pss_bytes
from benchmarks.results import BEFORE, GATEWAY, Finding, Series, Timeline
from benchmarks.scenarios.site import Subject, site
from benchmarks.stats import slope
from benchmarks.targets import ROWS

_STEPS: Final = 4
_SETTLE_SECONDS: Final = 1.0
_ACCEPT_SECONDS: Final = 60.0


def per_connection(bench: Bench, finding: Finding) -> None:
    """The rise of PSS per stalled connection, as the line through five counts has it."""
    names = (GATEWAY, nginx.NAME, aiohttp_peers.FILE_RESPONSE)
    found: dict[str, float] = {}
    for name, subject in site(bench).choose(finding, *names).items():
        count = bench.scale.stalled
        points = _measure(bench, name, subject, count)
        each = found[name] = slope(points) / 1024
        finding.series.append(Series(name, "memory per stalled download", "KiB", (each,)))
        line = tuple((count, value / 1024**2) for count, value in points)
        finding.timelines.append(Timeline(name, "PSS over connections", "MiB", line))
        bench.teller.measured(f"{name}: {each:.1f} KiB per stalled download")
        if name == GATEWAY:
            finding.settle(ROWS[finding.number].check("per connection", (each,)))
    if BEFORE in found:
        finding.beside_before((found[GATEWAY] / found[BEFORE],))
    finding.note(
        f"{bench.scale.stalled} connections ask for the whole file with a receive buffer of 4 KiB "
        "and read nothing; PSS of the server's processes, without the kernel's socket buffers"
    )


def _measure(bench: Bench, name: str, subject: Subject, count: int) -> list[tuple[float, float]]:
    bench.teller.step(f"{name}: stalling {count} downloads")
    points = []
    with ExitStack() as stack:
        held = _Held(subject)
        for step in range(_STEPS + 1):
            wanted = count * step // _STEPS
            opened = [stack.enter_context(_stalled(subject)) for _ in range(wanted - held.count)]
            held.count += len(opened)
            held.wait()
            time.sleep(_SETTLE_SECONDS)
            points.append((float(held.count), float(_pss(subject.pid))))
    return points


class _Held:
    """How many connections are ours, and a wait until the server has them all."""

    def __init__(self, subject: Subject) -> None:
        self._pid = subject.pid
        self._before = self._descriptors()
        self.count = 0

    def wait(self) -> None:
        deadline = time.monotonic() + _ACCEPT_SECONDS
        while self._descriptors() - self._before < self.count and time.monotonic() < deadline:
            time.sleep(0.1)

    def _descriptors(self) -> int:
        return sum(descriptors(pid) for pid in children_of(self._pid))


def _pss(pid: int) -> int:
    return sum(pss_bytes(each) for each in children_of(pid))


@contextmanager
def _stalled(subject: Subject) -> Iterator[None]:
    address = urlsplit(subject.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect((HOST, address.port))
        lines = [f"GET {address.path} HTTP/1.1", f"Host: {HOST}:{address.port}"]
        lines += (f"{name}: {value}" for name, value in subject.headers.items())
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        yield
