"""wrk: many small requests, from a script of ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.bench import CannotRun
from benchmarks.children import output_of, shown

LUA: Final = Path(__file__).parent / "lua"
_MARK: Final = "WRK "


@dataclass(frozen=True, slots=True)
class Loaded:
    """What wrk saw: requests per second, bytes per second, pairs of percent and milliseconds."""

    rate: float
    bytes_per_second: float
    latency: tuple[tuple[float, float], ...]
    command: str

    def at(self, percent: float) -> float:
        """The latency in milliseconds that this percentage of requests did not exceed."""
        return dict(self.latency)[percent]


@dataclass(frozen=True, slots=True)
class Load:
    """A load to be put on a URL: a script of ``lua/``, its arguments, connections, seconds."""

    url: str
    script: str
    arguments: tuple[str, ...]
    connections: int
    seconds: int

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [
            *("wrk", "--threads", "1", "--connections", str(self.connections)),
            *("--duration", f"{self.seconds}s", "--timeout", "10s"),
            *("--script", self.script, self.url, "--", *self.arguments),
        ]


def run_wrk(load: Load) -> Loaded:
    """Put the load on. Raises ``CannotRun`` if wrk is missing or anything was not answered."""
    if shutil.which("wrk") is None:
        raise CannotRun("wrk is missing: apt install wrk")
    output = output_of(load.command, timeout=load.seconds + 30, cwd=LUA)
    return parsed(output, shown(load.command))


def header_lines(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Headers as the scripts take them."""
    return tuple(f"{name}: {value}" for name, value in headers.items())


def parsed(output: str, command: str) -> Loaded:
    """What the script's last line says. Raises ``CannotRun`` if a request failed."""
    lines: Sequence[str] = [x for x in output.splitlines() if x.startswith(_MARK)]
    if not lines:
        raise CannotRun(f"wrk said nothing of use: {output[-300:]}")
    said = json.loads(lines[-1].removeprefix(_MARK))
    if said["errors"] or said["refused"]:
        raise CannotRun(
            f"{said['errors']} failed and {said['refused']} refused of {said['requests']} requests"
        )
    if not said["requests"]:
        raise CannotRun("not one request was answered")
    seconds = said["seconds"]
    latency = tuple((float(percent), float(time)) for percent, time in said["latency"])
    return Loaded(said["requests"] / seconds, said["bytes"] / seconds, latency, command)
