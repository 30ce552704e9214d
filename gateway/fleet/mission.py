"""What a fleet is told to do, as a value that goes to a child process."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter

from gateway.fleet.aim import Aim
from gateway.fleet.plans import PROFILES

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)([kmg]?)", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_LONGEST_SECONDS: Final = 7 * 86_400.0
_MOST: Final = 1_000_000
DEFAULT_MIX: Final = dict.fromkeys(PROFILES, 1)


@dataclass(frozen=True, slots=True)
class LinkConditions:
    """The link of each device.

    Bytes per second between the two bandwidths (0: unlimited), the round trip in seconds, the
    mean number of bytes between two cuts (0: never), the pause after a cut in seconds.
    """

    slowest: float = 0.0
    fastest: float = 0.0
    round_trip: float = 0.0
    cut_every: float = 0.0
    pause: float = 1.0


@dataclass(frozen=True, slots=True)
class Mission:
    """A fleet: how many devices, of which clients, when they start, under which conditions.

    ``ramp`` is the time in seconds over which they start; 0: all at once. ``seconds``: when whoever
    is still on the way has failed. ``patience``: how long a device waits for a byte.
    ``attempts``: how often in a row it may get none.
    """

    target: Aim
    image: str
    devices: int
    headers: dict[str, str] = field(default_factory=dict)
    mix: dict[str, int] = field(default_factory=lambda: dict(DEFAULT_MIX))
    conditions: LinkConditions = LinkConditions()
    ramp: float = 0.0
    seconds: float = 3600.0
    patience: float = 120.0
    attempts: int = 20
    seed: int = 1
    source: str | None = None
    verify_tls: bool = True


MISSION: Final[TypeAdapter[Mission]] = TypeAdapter(Mission)


def size_of(text: str) -> float:
    """``8k``, ``1.5M`` or ``1000`` in bytes. Raises ``ValueError``."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no size such as 8k or 1.5M")
    return float(match[1]) * _UNITS[match[2].lower()]


def seconds_of(text: str) -> float:
    """A time in seconds. Raises ``ValueError`` for one that is not finite, or negative."""
    seconds = float(text)
    if not 0 <= seconds <= _LONGEST_SECONDS:
        raise ValueError(f"{text!r} is not between 0 and {_LONGEST_SECONDS:.0f} seconds")
    return seconds


def count_of(text: str) -> int:
    """A number of things, at least one. Raises ``ValueError``."""
    if not 1 <= (count := int(text)) <= _MOST:
        raise ValueError(f"{text!r} is not between 1 and {_MOST}")
    return count


def bandwidth_of(text: str) -> tuple[float, float]:
    """``8k`` or ``4k-16k`` in bytes per second: slowest and fastest. Raises ``ValueError``."""
    low, _, high = text.partition("-")
    slowest, fastest = size_of(low), size_of(high or low)
    if slowest > fastest:
        raise ValueError("the slower bandwidth comes first")
    return slowest, fastest


def mix_of(text: str) -> dict[str, int]:
    """``rauc=3,nrf=1`` or ``rauc,nrf`` as shares. Raises ``ValueError``."""
    mix: dict[str, int] = {}
    for item in text.split(","):
        name, _, share = item.strip().partition("=")
        if name not in PROFILES:
            raise ValueError(f"no profile {name!r}; there are {', '.join(PROFILES)}")
        mix[name] = int(share or 1)
    if not any(share > 0 for share in mix.values()):
        raise ValueError("a mix needs a share above 0")
    return mix


def share_out(devices: int, processes: int) -> list[int]:
    """How many devices each process gets: as even as can be."""
    least, more = divmod(devices, processes)
    return [least + (place < more) for place in range(processes)]
