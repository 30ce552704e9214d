"""The fast ways: every shorter way to an answer that has a plain way beside it, by name.

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
    """A way by its name; what it says is what the way leaves out."""

    CONNECTION = "connection"
    """aiohttp's connection is taken apart: heads are rendered by us, files sent by the kernel.

    ``bypass`` and ``fast-path`` stand on it. Without it everything has a plain handler.
    """

    BYPASS = "bypass"
    """A large body is read from the socket into its own memory, past the HTTP parser."""

    HANDOVER = "handover"
    """A large piece of a body is hashed and written in the memory it came in, never copied."""

    PUBLISH_TOGETHER = "publish-together"
    """A small upload becomes a file in one go, and shares one sync of its folder with others."""

    WRITE_BACK = "write-back"
    """The disk is asked to begin with the bytes of a large upload before they are synced."""

    FAST_PATH = "fast-path"
    """A small range of what was looked up a moment ago is sent without a handler."""

    READ_READY = "read-ready"
    """Bytes that the page cache holds are read on the loop, without a thread."""

    READ_CACHE = "read-cache"
    """What a read came to (the right, the row, the open blob) is kept for a moment."""

    CREDENTIAL_CACHE = "credential-cache"
    """Whom a credential proves is kept for a moment."""

    ACCEL = "accel"
    """A front server sends the bytes, and reads a canonical range by itself."""

    EDGE = "edge"
    """A front server keeps the decision for a moment, and judges ranges and If-Range by itself."""


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
