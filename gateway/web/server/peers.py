"""How many connections each address has, and who may have another.

Descriptors are for all; one address gets so many of them and no more, for else one host, idle,
keeps everybody out. Many devices may share an address behind a router, so the bound is generous;
proxies that are trusted speak for many, and have none.

Rule: who has no address, on a Unix socket, is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from gateway.model.address import host_of

_QUARTERS: Final = 4


def most_of(ceiling: int) -> int:
    """What one address may have of ``ceiling`` descriptors unless it is said: three quarters."""
    return ceiling * (_QUARTERS - 1) // _QUARTERS


def _nobody(_: str) -> bool:
    return False


class PeerCount:
    """At most ``most`` connections of one address, but for those that are ``excepted``."""

    def __init__(self, most: int, excepted: Callable[[str], bool] = _nobody) -> None:
        self._most = most
        self._excepted = excepted
        self._open: Counter[str] = Counter()

    def admit(self, peer: str) -> bool:
        """Count a connection from there, unless it is one too many; whether it may stay."""
        if not peer:
            return True
        host = host_of(peer)
        if self._open[host] >= self._most and not self._excepted(peer):
            return False
        self._open[host] += 1
        return True

    def leave(self, peer: str) -> None:
        """A connection that was admitted has ended."""
        if not peer:
            return
        host = host_of(peer)
        self._open[host] -= 1
        if self._open[host] <= 0:
            del self._open[host]
