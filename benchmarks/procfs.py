"""What the kernel says of a process: memory, CPU time, descriptors.

Linux only. A process that has gone reads as zero.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> Iterator[int]:
    """The process and everything it started, itself first."""
    yield pid
    with contextlib.suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from children_of(int(child))


def pss_bytes(pid: int) -> int:
    """Memory that is the process's own, with its share of what it shares."""
    return _rollup(pid).get("Pss", 0)


def rss_bytes(pid: int) -> int:
    """Memory that is resident."""
    return _rollup(pid).get("Rss", 0)


def cpu_seconds(pid: int) -> float:
    """CPU time that the process and its living children have used, in user and kernel."""
    return sum(_own_cpu_seconds(each) for each in children_of(pid))


def lineage_seconds(pid: int) -> float:
    """The same, with those of its children that have ended and were waited for."""
    return cpu_seconds(pid) + sum(_ended_seconds(each) for each in children_of(pid))


def running_seconds(pid: int) -> float:
    """As ``cpu_seconds``, of the threads that live, and to the nanosecond instead of the tick."""
    return sum(_thread_seconds(task) for each in children_of(pid) for task in _threads(each))


def _threads(pid: int) -> list[Path]:
    with contextlib.suppress(OSError):
        return list((PROC / str(pid) / "task").iterdir())
    return []


def _thread_seconds(task: Path) -> float:
    with contextlib.suppress(OSError):
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    return 0.0


def descriptors(pid: int) -> int:
    """How many descriptors are open."""
    with contextlib.suppress(OSError):
        return len(os.listdir(PROC / str(pid) / "fd"))  # noqa: PTH208 - ten thousand names, often
    return 0


def _own_cpu_seconds(pid: int) -> float:
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _ended_seconds(pid: int) -> float:
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[13]) + int(fields[14])) / _TICKS


def _rollup(pid: int) -> dict[str, int]:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {name.rstrip(":"): int(amount) * 1024 for name, amount, *_ in pairs}


class Sampler:
    """Reads a figure again and again in a thread, for as long as the block runs."""

    def __init__(self, read: Callable[[], float], *, every_seconds: float = 0.05) -> None:
        self._read = read
        self._every = every_seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._began = 0.0
        self.points: list[tuple[float, float]] = []

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._sample()

    @property
    def first(self) -> float:
        """The figure when the block began."""
        return self.points[0][1]

    @property
    def peak(self) -> float:
        """The greatest seen."""
        return max(value for _, value in self.points)

    def _run(self) -> None:
        while not self._done.wait(self._every):
            self._sample()

    def _sample(self) -> None:
        self.points.append((time.monotonic() - self._began, self._read()))
