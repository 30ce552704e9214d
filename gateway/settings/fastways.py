"""The fast ways: every shorter way to a response that has a plain way beside it, by name.

Knows their names, what each leaves out, and how a choice of them is written. Does not know how
any of them works; each is asked for by whoever takes it.

Rule: a fast way decides by a smaller idea of the state than the plain way has, so it must never
be told from it. Each can be switched off (``GATEWAY_FAST_WAYS``), and has a test in
``tests/differential`` that compares every byte with it on and off.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum, unique
from typing import Annotated, Final

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


@unique
class FastWay(StrEnum):
    """A way by its name."""

    CONNECTION = "connection"
    BYPASS = "bypass"
    FAST_PATH = "fast-path"
    SENDFILE = "sendfile"
    HANDOVER = "handover"
    PUBLISH_TOGETHER = "publish-together"
    COMMIT_TOGETHER = "commit-together"
    WRITE_BACK = "write-back"
    READ_READY = "read-ready"
    READ_CACHE = "read-cache"
    CREDENTIAL_CACHE = "credential-cache"
    ACCEL = "accel"
    EDGE = "edge"

    @property
    def does(self) -> str:
        """What it does in place of the plain way."""
        return _DOES[self]


_DOES: Final = {
    FastWay.CONNECTION: "a connection is aiohttp's taken apart, heads are rendered by us; "
    "`bypass`, `fast-path` and `sendfile` need it",
    FastWay.BYPASS: "a large body is read into its own memory, past the HTTP parser",
    FastWay.FAST_PATH: "a small range of what was looked up a moment ago needs no handler",
    FastWay.SENDFILE: "the kernel sends the bytes from the file, by their offset",
    FastWay.HANDOVER: "a large piece of a body is hashed and written where it came, not copied",
    FastWay.PUBLISH_TOGETHER: "a small upload becomes a file in one go, and shares the sync of "
    "its folder with others",
    FastWay.COMMIT_TOGETHER: "new files of one holder that are ready at once are committed "
    "by one statement",
    FastWay.WRITE_BACK: "the disk begins with a large upload before it is synced",
    FastWay.READ_READY: "what the page cache holds is read on the loop, without a thread",
    FastWay.READ_CACHE: "what a read came to (right, row, open blob) is kept for a moment",
    FastWay.CREDENTIAL_CACHE: "whom a credential proves is kept for a moment",
    FastWay.ACCEL: "nginx sends the bytes when told, and reads a canonical range by itself",
    FastWay.EDGE: "nginx keeps the decision for a moment, and judges ranges and If-Range by itself",
}
ALL_WAYS: Final = frozenset(FastWay)
_NAMES: Final = ", ".join(FastWay)


def parse_ways(text: str) -> frozenset[FastWay]:
    """The ways that are on: ``all``, ``off``, those named, or all but those with a ``-`` before.

    Raises ``ValueError`` for anything else.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names in (["all"], ["off"]):
        return ALL_WAYS if names == ["all"] else frozenset()
    without = [name.removeprefix("-") for name in names if name.startswith("-")]
    if len(without) not in (0, len(names)):
        raise ValueError("names either what is on or, each with a -, what is off")
    named = _ways(without or names)
    return ALL_WAYS - named if without else named


def written_ways(ways: Iterable[FastWay]) -> str:
    """The same as text, in the shortest of its forms."""
    on = frozenset(ways)
    if on in (ALL_WAYS, frozenset()):
        return "all" if on else "off"
    return ",".join(way for way in FastWay if way in on)


def _ways(names: Iterable[str]) -> frozenset[FastWay]:
    try:
        return frozenset(map(FastWay, names))
    except ValueError:
        raise ValueError(f"must be all, off, or of these: {_NAMES}") from None


def _parsed(value: object) -> object:
    return parse_ways(value) if isinstance(value, str) else value


FastWays = Annotated[frozenset[FastWay], NoDecode, BeforeValidator(_parsed)]
