"""The table of targets: one row per scenario, in the words of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.results import Aim, Check, Target

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario's title and its checks, by label."""

    title: str
    targets: dict[str, Target]

    def check(self, label: str, values: tuple[float, ...] = (), peer: str = "") -> Check:
        """The check of that label with what was measured. Raises ``KeyError``."""
        return Check(label, self.targets[label], values, peer)

    def unmeasured(self) -> list[Check]:
        """Every check of the row, without a value."""
        return [self.check(label) for label in self.targets]


def _least(target: float, stretch: float, unit: str = "x") -> Target:
    return Target(Aim.AT_LEAST, target, stretch, unit)


def _most(target: float, stretch: float, unit: str) -> Target:
    return Target(Aim.AT_MOST, target, stretch, unit)


def _reported(unit: str) -> Target:
    return Target(Aim.REPORTED, unit=unit)


ROWS: Final[dict[int, Row]] = {
    1: Row(
        "authorised 4 KiB ranges through nginx (cached decision) / bare nginx static",
        {
            "edge / nginx": _least(0.75, 0.85),
            "edge / nginx, processor time": _reported("x"),
            "auth_request alone / nginx": _reported("x"),
        },
    ),
    2: Row(
        "authorised 4 KiB ranges, gateway alone / aiohttp FileResponse without authorisation",
        {"gateway / FileResponse": _least(4, 6)},
    ),
    3: Row(
        "authorised 128 KiB ranges, gateway alone / nginx static",
        {"gateway / nginx": _least(0.75, 0.95)},
    ),
    4: Row(
        "whole file, gateway alone / nginx static",
        {"gateway / nginx": _least(0.90, 0.98)},
    ),
    5: Row(
        "whole file through nginx + X-Accel / nginx static",
        {"X-Accel / nginx": _least(0.90, 0.98)},
    ),
    6: Row(
        "multipart upload with SHA-256, fsync, hook and commit / nginx DAV PUT, sha256sum, sync",
        {
            "gateway / DAV, sha256sum, sync": _least(1.2, 2),
            "gateway / DAV (no hash, no sync)": _reported("x"),
            "gateway / dd conv=fsync": _reported("x"),
        },
    ),
    7: Row(
        "the same upload / the naive aiohttp handler with hash and fsync",
        {"gateway / naive + fsync": _least(2, 3.5), "gateway / naive (no sync)": _reported("x")},
    ),
    8: Row(
        "the same upload / receive, hash and write on two threads without HTTP",
        {"gateway / limit": _least(0.6, 0.85)},
    ),
    9: Row(
        "peak memory growth during uploads",
        {"one large upload": _most(8, 4, "MiB"), "16 uploads at once": _most(64, 32, "MiB")},
    ),
    10: Row("memory per stalled download", {"per connection": _most(10, 6, "KiB")}),
    11: Row(
        "devices held at once on one core, resuming at a slow rate with random cuts",
        {
            "devices at once": _least(20_000, 40_000, "devices"),
            "wrong or lost": _most(0, 0, "devices"),
        },
    ),
    12: Row(
        "small uploads (64 KiB form, SHA-256, fsync, commit): processor time each, and rate",
        {
            "processor, no hook": _most(0.8, 0.4, "ms"),
            "processor, with a hook": _most(1.0, 0.5, "ms"),
            "uploads / tusd with a hook": _least(0.5, 1),
            "uploads / naive + fsync": _reported("x"),
            "uploads / inserts": _reported("x"),
            "processor of PostgreSQL": _reported("ms"),
        },
    ),
    13: Row(
        "p99 as the catalogue grows a thousandfold",
        {
            "look-up": _most(1.3, 1.1, "x"),
            "list page": _most(1.3, 1.1, "x"),
            "small range": _most(1.3, 1.1, "x"),
        },
    ),
    14: Row(
        "CPU seconds per GiB",
        {"uploaded": _reported("s/GiB"), "downloaded": _reported("s/GiB")},
    ),
    15: Row(
        "p99 of 4 KiB ranges at 1,000/s beside 16 uploads and 5,000 trickling devices / quiet",
        {"p99, mixed load / quiet": _most(3, 1.5, "x")},
    ),
    16: Row(
        "longest stand-still of the event loop in that time",
        {"longest stand-still": _most(20, 5, "ms")},
    ),
    17: Row(
        "4 KiB ranges over TLS through the edge / nginx static with the same TLS lines",
        {
            "kept connection": _least(0.75, 0.9),
            "kept connection, processor time": _reported("x"),
            "new connection, resumed": _least(0.95, 0.98),
            "new connection, whole handshake": _reported("x"),
        },
    ),
    18: Row(
        "several ranges in one request (8 of 4 KiB) / one request each",
        {"ranges / ranges": _least(3, 6)},
    ),
    19: Row(
        "a list of each API where there are many files / where there are few, p50",
        {
            "Mainflux": _most(1.3, 1.1, "x"),
            "Losant": _most(1.3, 1.1, "x"),
            "Gravwell": _most(1.3, 1.1, "x"),
        },
    ),
    20: Row(
        "whole files through a bucket / the store's own client by itself",
        {
            "upload / obstore": _least(0.8, 0.95),
            "download / obstore": _least(0.7, 0.9),
            "processor per 4 KiB range": _reported("ms"),
        },
    ),
    21: Row(
        "authorised 4 KiB ranges of a bucket from nginx's slices / nginx static",
        {"slices / nginx": _least(0.5, 0.75), "slices, edge / nginx": _reported("x")},
    ),
    22: Row(
        "memory growth, 16 uploads and slow downloads through a bucket at once / what it may be",
        {"growth / (64 MiB + 32 KiB each)": _most(1, 0.6, "x")},
    ),
}
