"""What a fleet went through, counted; tallies of several processes add up."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter

_MOST_SAMPLES: Final = 50_000


@dataclass(slots=True)
class Tally:
    """Counts, and samples of times in seconds.

    ``received`` counts body bytes, ``needed`` those of every completed device's image;
    ``wrong`` the devices that saw a wrong byte or ended with a wrong digest.
    """

    devices: int = 0
    completed: int = 0
    wrong: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    cuts: int = 0
    losses: int = 0
    refused: int = 0
    received: int = 0
    needed: int = 0
    hashing_seconds: float = 0.0
    peak_links: int = 0
    seconds: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    first_bytes_seen: int = 0
    by_profile: dict[str, int] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        """Count a device that did not end as it should."""
        self.failures[reason] = self.failures.get(reason, 0) + 1

    def complete(self, profile: str, seconds: float, size: int) -> None:
        """Count a device that has the right image."""
        self.completed += 1
        self.needed += size
        self.seconds.append(seconds)
        self.by_profile[profile] = self.by_profile.get(profile, 0) + 1

    def first_byte(self, seconds: float, rng: random.Random) -> None:
        """Note a time to first byte; of many, a random sample is kept."""
        self.first_bytes_seen += 1
        if len(self.first_bytes) < _MOST_SAMPLES:
            self.first_bytes.append(seconds)
        elif (place := rng.randrange(self.first_bytes_seen)) < _MOST_SAMPLES:
            self.first_bytes[place] = seconds

    def add(self, other: Tally) -> None:
        """Count another process's fleet in."""
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for counts, more in (
            (self.failures, other.failures),
            (self.by_profile, other.by_profile),
        ):
            for key, count in more.items():
                counts[key] = counts.get(key, 0) + count

    @property
    def overhead(self) -> float:
        """Bytes received for each byte needed."""
        return self.received / self.needed if self.needed else float("nan")


_SUMMED: Final = (
    *("devices", "completed", "wrong", "requests", "cuts", "losses", "refused", "received"),
    *("needed", "hashing_seconds", "peak_links", "seconds", "first_bytes", "first_bytes_seen"),
)
TALLY: Final[TypeAdapter[Tally]] = TypeAdapter(Tally)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` of 100 lie, between neighbours in proportion.

    Raises ``ValueError`` for no values, or a percentage outside 0-100.
    """
    if not values or not 0 <= percent <= 100:
        raise ValueError("a percentile needs values, and lies between 0 and 100")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
