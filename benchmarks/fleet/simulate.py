"""A fleet over several processes: shares the devices out, follows them, adds up."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from benchmarks.children import ChildFailed, pinned, stop
from benchmarks.fleet.mission import MISSION, Mission, share_out
from benchmarks.fleet.tally import TALLY, Tally

ROOT: Final = Path(__file__).parents[2]
DEVICES_PER_SOURCE: Final = 5_000


@dataclass(slots=True)
class State:
    """All processes together at one moment."""

    active: int = 0
    links: int = 0
    completed: int = 0
    failed: int = 0
    received: int = 0


@dataclass(slots=True)
class Flight:
    """What became of a fleet: its tally, how long it took, and its links over time."""

    tally: Tally
    elapsed: float
    links: list[tuple[float, float]] = field(default_factory=list)

    @property
    def peak_links(self) -> int:
        """The most links that were open at one moment."""
        return int(max((count for _, count in self.links), default=0))


def simulate(
    mission: Mission,
    *,
    processes: int = 1,
    cpu: int | None = None,
    watch: Callable[[State], None] = lambda _: None,
) -> Flight:
    """Send the fleet off and wait for it. Raises ``ChildFailed`` if one of its processes does."""
    began = time.monotonic()
    with pinned(cpu):
        swarms = [_start(part) for part in _parts(mission, processes)]
    lines: queue.SimpleQueue[tuple[int, dict[str, object]]] = queue.SimpleQueue()
    readers = [
        threading.Thread(target=_read, args=(place, swarm, lines), daemon=True)
        for place, swarm in enumerate(swarms)
    ]
    try:
        for reader in readers:
            reader.start()
        return _follow(swarms, lines, began, watch)
    finally:
        for swarm in swarms:
            stop(swarm)


def _parts(mission: Mission, processes: int) -> list[Mission]:
    parts = []
    for place, devices in enumerate(share_out(mission.devices, processes)):
        source = mission.source
        if source is None and mission.target.is_loopback and not mission.target.is_ipv6:
            source = f"127.0.0.{place + 2}"  # ports enough: each address has its own
        parts.append(
            replace(mission, devices=devices, source=source, seed=mission.seed * 1000 + place)
        )
    return parts


def _start(mission: Mission) -> subprocess.Popen[bytes]:
    swarm = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fleet.swarm"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert swarm.stdin is not None
    swarm.stdin.write(MISSION.dump_json(mission))
    swarm.stdin.close()
    return swarm


def _read(
    place: int,
    swarm: subprocess.Popen[bytes],
    lines: queue.SimpleQueue[tuple[int, dict[str, object]]],
) -> None:
    assert swarm.stdout is not None
    assert swarm.stderr is not None
    for line in swarm.stdout:
        lines.put((place, json.loads(line)))
    words = swarm.stderr.read().decode(errors="replace")[-1500:]
    lines.put((place, {"end": words}))


def _follow(
    swarms: Sequence[subprocess.Popen[bytes]],
    lines: queue.SimpleQueue[tuple[int, dict[str, object]]],
    began: float,
    watch: Callable[[State], None],
) -> Flight:
    states: dict[int, dict[str, object]] = {}
    tallies: dict[int, Tally] = {}
    links: list[tuple[float, float]] = []
    open_ends = len(swarms)
    while open_ends:
        place, line = lines.get()
        if "tally" in line:
            tallies[place] = TALLY.validate_python(line["tally"])
        elif "end" in line:
            open_ends -= 1
            if place not in tallies:
                raise ChildFailed(f"a process of the fleet ended early: {line['end']}")
        else:
            states[place] = line
            state = _sum(states)
            links.append((time.monotonic() - began, float(state.links)))
            watch(state)
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    return Flight(total, time.monotonic() - began, links)


def _sum(states: dict[int, dict[str, object]]) -> State:
    total = State()
    for line in states.values():
        for name, value in line.items():
            setattr(total, name, getattr(total, name) + int(str(value)))
    return total
