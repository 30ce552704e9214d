"""What a run found, as values that go to JSON and back.

Knows no scenario and no plot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from benchmarks.machine import ROOT
from benchmarks.stats import Spread, spread_of

GATEWAY: Final = "gateway"
BEFORE: Final = "gateway before"
_KEY: Final = re.compile(rb"Thing [A-Za-z0-9_-]{20,}")


class Aim(StrEnum):
    """Which way a target points."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    REPORTED = "reported"


class Verdict(StrEnum):
    """How a check ended."""

    STRETCH = "stretch met"
    MET = "met"
    UNMET = "not met"
    REPORTED = "reported"
    MISSING = "not measured"


@dataclass(frozen=True, slots=True)
class Target:
    """A number to reach, and the one to dream of."""

    aim: Aim
    target: float | None = None
    stretch: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A target and what was measured for it, one value per round; none if it could not be."""

    label: str
    target: Target
    values: tuple[float, ...] = ()
    peer: str = ""

    @property
    def spread(self) -> Spread | None:
        """Median and extremes, if anything was measured."""
        return spread_of(self.values) if self.values else None

    @property
    def verdict(self) -> Verdict:
        """Whether the median reaches the target."""
        if self.spread is None:
            return Verdict.MISSING
        if self.target.aim is Aim.REPORTED:
            return Verdict.REPORTED
        if self._reaches(self.target.stretch):
            return Verdict.STRETCH
        return Verdict.MET if self._reaches(self.target.target) else Verdict.UNMET

    def _reaches(self, bound: float | None) -> bool:
        if bound is None or self.spread is None:
            return False
        reached = self.spread.median
        return reached >= bound if self.target.aim is Aim.AT_LEAST else reached <= bound


@dataclass(frozen=True, slots=True)
class Series:
    """One subject's figure, one value per round."""

    subject: str
    metric: str
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Latency:
    """One subject's distribution: pairs of percent and milliseconds."""

    subject: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A figure over time: pairs of seconds and value."""

    subject: str
    metric: str
    unit: str
    points: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class Finding:
    """What one scenario found. ``failure`` says why there is nothing, or not everything."""

    number: int
    title: str
    checks: list[Check] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str | None = None

    def settle(self, check: Check) -> None:
        """Put a measured check in the place of the unmeasured one of its label, or behind all."""
        labels = [each.label for each in self.checks]
        if check.label in labels:
            self.checks[labels.index(check.label)] = check
        else:
            self.checks.append(check)

    def beside_before(self, values: tuple[float, ...]) -> None:
        """What the same tree was worth earlier: this one divided by that one, round by round."""
        self.settle(Check(f"{GATEWAY} / {BEFORE}", Target(Aim.REPORTED, unit="x"), values, BEFORE))

    def note(self, text: str) -> None:
        """Add a remark, once."""
        if text not in self.notes:
            self.notes.append(text)

    def command(self, text: str) -> None:
        """Add a command line, once."""
        if text not in self.commands:
            self.commands.append(text)


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run: when, where, with what, and what it found."""

    started: str
    seconds: float
    scale: str
    machine: dict[str, str]
    versions: dict[str, str]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


_RUN: TypeAdapter[Run] = TypeAdapter(Run)


def run_to_json(run: Run) -> bytes:
    """The run as indented JSON.

    Keys, and where this machine keeps the checkout and its user's files, are of no use to anybody:
    command lines have ``KEY``, ``CHECKOUT`` and ``HOME`` instead.
    """
    text = _KEY.sub(b"Thing KEY", _RUN.dump_json(run, indent=1))
    for place, name in ((ROOT, b"CHECKOUT"), (Path.home(), b"HOME")):
        if place != Path(place.anchor):
            text = text.replace(f"{place}/".encode(), name + b"/")
    return text + b"\n"


def run_from_json(text: bytes) -> Run:
    """The run that was written. Raises ``ValueError`` if it is none."""
    return _RUN.validate_json(text)


def load_run(path: Path) -> Run:
    """The run in a file. Raises ``OSError`` and ``ValueError``."""
    return run_from_json(path.read_bytes())
