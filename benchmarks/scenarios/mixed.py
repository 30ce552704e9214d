"""Scenarios 15 and 16: small ranges at a fixed rate, beside uploads and trickling devices."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from benchmarks.bench import Bench, CannotRun
from benchmarks.children import stop
from benchmarks.crowd import Task
from benchmarks.gateway import Gateway, running_gateway
from benchmarks.machine import ROOT
from benchmarks.results import Finding, Latency, Series
from benchmarks.stats import ratios
from benchmarks.targets import MIB, ROWS
from gateway.fleet.tally import percentile

_RATE: Final = 1_000.0
_LINES: Final = 64
_DEVICES: Final = 5_000
_UPLOADS: Final = 16
_UPLOAD_BYTES: Final = 32 * MIB
_FILE_BYTES: Final = 64 * MIB
_PERCENTS: Final = (50, 90, 99, 99.9, 100)
_QUIET, _MIXED = "quiet", "mixed load"


@dataclass(slots=True)
class Mixture:
    """What each round gave, in milliseconds: each range, and the longest stand-still."""

    waited: dict[str, list[list[float]]] = field(default_factory=lambda: {_QUIET: [], _MIXED: []})
    still: list[float] = field(default_factory=list)

    def p99(self, name: str) -> tuple[float, ...]:
        """Of each round."""
        return tuple(percentile(sorted(each), 99) for each in self.waited[name])


def ranges_beside(bench: Bench, finding: Finding) -> None:
    """p99 of the ranges, mixed to quiet."""
    found = _mixture(bench)
    for name in (_QUIET, _MIXED):
        finding.series.append(Series(name, "p99 of 4 KiB ranges", "ms", found.p99(name)))
        every = sorted(value for each in found.waited[name] for value in each)
        finding.latencies.append(Latency(name, tuple((p, percentile(every, p)) for p in _PERCENTS)))
    values = ratios(found.p99(_MIXED), found.p99(_QUIET))
    finding.settle(ROWS[finding.number].check("p99, mixed load / quiet", values, _QUIET))
    _note(bench, finding)


def still_stands(bench: Bench, finding: Finding) -> None:
    """The longest stand-still of the event loop, as the gateway itself says."""
    found = _mixture(bench)
    finding.settle(ROWS[finding.number].check("longest stand-still", tuple(found.still)))
    _note(bench, finding)


def _note(bench: Bench, finding: Finding) -> None:
    finding.note(
        f"open loop, {_RATE:.0f} ranges of 4 KiB a second on {_LINES} connections, timed from when "
        f"each was due; {_UPLOADS} uploads of {_UPLOAD_BYTES // MIB} MiB at full speed, "
        f"{min(_DEVICES, bench.scale.devices // 2)} devices that read a KiB a second; those two "
        "are processes of the last priority (nice 19)"
    )


def _mixture(bench: Bench) -> Mixture:
    return bench.shared("mixture", lambda: _measured(bench))


def _measured(bench: Bench) -> Mixture:
    found = Mixture()
    with running_gateway(bench, "mixed") as gateway:
        device, sender = gateway.new_thing("device"), gateway.new_thing("sender")
        gateway.upload(device, bench.image(_FILE_BYTES), "image.bin")
        port = urlsplit(gateway.url).port or 0
        asked = Task(port, "/files/image.bin", device.headers, _FILE_BYTES, _LINES, _RATE)
        asked = replace(asked, seconds=2.0 * bench.scale.load_seconds)
        trickles = replace(asked, count=min(_DEVICES, bench.scale.devices // 2), rate=0.0)
        uploads = Task(port, "/files/sent", sender.headers, _UPLOAD_BYTES, _UPLOADS)
        for number in range(bench.scale.rounds):
            bench.teller.step(f"ranges, quiet (round {number + 1})")
            found.waited[_QUIET].append(_ask(asked))
            bench.teller.step(f"ranges, mixed load (round {number + 1})")
            with crowd("trickles", trickles):
                wait_for_connections(gateway, trickles.count)
                with crowd("uploads", uploads), _stand_still(gateway, found.still):
                    found.waited[_MIXED].append(_ask(asked))
            bench.teller.measured(
                f"p99 {found.p99(_QUIET)[-1]:.2f} ms, mixed {found.p99(_MIXED)[-1]:.2f} ms; "
                f"longest stand-still {found.still[-1]:.1f} ms"
            )
    return found


def _ask(task: Task) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.crowd", "ranges"],
        cwd=ROOT,
        input=task.written(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotRun(f"ranges at a fixed rate: {done.stderr[-300:]}")
    waited: list[float] = json.loads(done.stdout)
    return waited


@contextlib.contextmanager
def crowd(kind: str, task: Task) -> Iterator[None]:
    """These clients, as long as the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crowd", kind], cwd=ROOT, stdin=subprocess.PIPE
    )
    try:
        assert process.stdin is not None
        process.stdin.write(task.written().encode() + b"\n")
        process.stdin.flush()
        yield
    finally:
        stop(process)


def wait_for_connections(gateway: Gateway, count: int) -> None:
    """Until so many are connected. Raises ``CannotRun``."""
    deadline = time.monotonic() + 120
    while _metric(gateway, "gateway_connections") < count:
        if time.monotonic() > deadline:
            raise CannotRun(f"{count} devices did not connect")
        time.sleep(0.5)


@contextlib.contextmanager
def _stand_still(gateway: Gateway, found: list[float]) -> Iterator[None]:
    """The longest within the block, in milliseconds, put into ``found``: looked at all the time.

    The gateway tells the longest of a minute or two, and how many were in each range: the
    highest of these that grew bounds the former, which may have been before the block.
    """
    before = _late(gateway)
    yield
    grown = [le for le, count in _late(gateway).items() if count > before[le]]
    longest = _metric(gateway, "gateway_loop_longest_seconds")
    found.append(1e3 * min(longest, max(grown, default=0.0)))


def _late(gateway: Gateway) -> dict[float, float]:
    """How many stand-stills were in each range, by its end in seconds."""
    lines = re.findall(
        r'^gateway_loop_late_seconds_bucket\{le="([^"]+)"\} (\S+)$', _exposed(gateway), re.MULTILINE
    )
    totals = [(float(le), float(count)) for le, count in lines]
    lower = [0.0, *(count for _, count in totals)]
    return {le: count - less for (le, count), less in zip(totals, lower, strict=False)}


def _metric(gateway: Gateway, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", _exposed(gateway), re.MULTILINE)
    if found is None:
        raise CannotRun(f"there is no metric {name}")
    return float(found[1])


def _exposed(gateway: Gateway) -> str:
    with urllib.request.urlopen(f"{gateway.url}/metrics", timeout=30) as answer:
        text: bytes = answer.read()
    return text.decode()
