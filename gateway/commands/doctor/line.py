"""One thing that was looked at, and how it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Level(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Line:
    """What was looked at, how it is, what was found; and what to do, unless it is well."""

    level: Level
    about: str
    found: str
    advice: str = ""


def ok(about: str, found: str) -> Line:
    """It is well."""
    return Line(Level.OK, about, found)


def warn(about: str, found: str, advice: str) -> Line:
    """The gateway runs, and somebody should look."""
    return Line(Level.WARN, about, found, advice)


def fail(about: str, found: str, advice: str) -> Line:
    """The gateway does not run so, or not rightly."""
    return Line(Level.FAIL, about, found, advice)
