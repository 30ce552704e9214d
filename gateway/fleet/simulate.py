"""A fleet over several processes: shares the devices out, follows them, adds up."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.fleet.mission import MISSION, Mission, share_out
from gateway.fleet.tally import TALLY, Tally

DEVICES_PER_SOURCE: Final = 5_000
_STOP_SECONDS: Final = 20.0


class SwarmFailed(RuntimeError):
    """A process of the fleet ended early; the message has its last words."""


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
    starting: contextlib.AbstractContextManager[object] | None = None,
    watch: Callable[[State], None] = lambda _: None,
) -> Flight:
    """Send the fleet off and wait for it; its processes are started within ``starting``.

    Raises ``SwarmFailed``.
    """
    began = time.monotonic()
    with starting or contextlib.nullcontext():
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
        for swarm, reader in zip(swarms, readers, strict=True):
            _stop(swarm)
            reader.join(_STOP_SECONDS)
            _close(swarm)


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
        [sys.executable, "-m", "gateway.fleet.swarm"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert swarm.stdin is not None
    swarm.stdin.write(MISSION.dump_json(mission))
    swarm.stdin.close()
    return swarm


def _stop(swarm: subprocess.Popen[bytes]) -> None:
    """Ask it to end; if it does not listen, end it."""
    if swarm.poll() is None:
        swarm.terminate()
    try:
        swarm.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        swarm.kill()
        swarm.wait()


def _close(swarm: subprocess.Popen[bytes]) -> None:
    for pipe in (swarm.stdout, swarm.stderr):
        if pipe is not None:
            pipe.close()


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
                raise SwarmFailed(f"a process of the fleet ended early: {line['end']}")
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
