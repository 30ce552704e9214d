"""Names of hosts, looked up apart: those that tenants gave, and the deployment's own.

Tenants' names are anybody's, and so are the servers that answer for them, or never do. They go
through c-ares, which has no thread for each: a look-up that nobody answers is an entry in a
table until its time is over. The deployment's own names go the system's way (its hosts file, its
name service switch), one thread for each name, and the last good answer stands in for one that
does not come.

Knows no reason to look anything up, and judges no address.

Rule: a tenant's look-up never waits for another's nor keeps the house's waiting; what is looked up
at a time is bounded; no stop waits for an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import pycares
from aiohttp.abc import AbstractResolver, ResolveResult

_log: Final = logging.getLogger(__name__)
_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_TRIES: Final = 2
# c-ares keeps answers for as long as they say, however many: a new channel forgets them. One that
# is closed cancels what it was asked, so that waits for a quiet moment, but not for ever.
_ENOUGH_ANSWERS: Final = 1000
_TOO_MANY_ANSWERS: Final = 10 * _ENOUGH_ANSWERS
_PATIENCE_SECONDS: Final = 0.5

LookUp = Callable[[str, int, int], list[ResolveResult]]


def literal_address(host: str) -> str | None:
    """The address that a host is in itself, in any spelling that the system takes; else ``None``.

    ``127.1``, ``0x7f.1`` and ``2130706433`` are addresses, too, and so are those with a dot behind.
    """
    bare = host.removesuffix(".")
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(bare))
    try:
        return socket.inet_ntoa(socket.inet_aton(bare))
    except (OSError, UnicodeEncodeError):
        return None


class ForeignNames(AbstractResolver):
    """Names that tenants gave. ``servers`` are asked, or those that the system names.

    An answer is waited for ``seconds`` long. At most ``most`` look-ups are under way, those that
    are not waited for any more included.
    """

    def __init__(
        self, servers: Sequence[str] = (), *, seconds: float = 5.0, most: int = 256
    ) -> None:
        self._servers = servers
        self._seconds = seconds
        self._most = most
        self._channel: pycares.Channel | None = None
        self._asked = 0
        self._under_way: set[asyncio.Future[list[ResolveResult]]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises ``OSError``, of which ``TimeoutError`` is one."""
        literal = literal_address(host)
        if literal is not None:
            kind = socket.AF_INET6 if ":" in literal else socket.AF_INET
            return [_result(host, literal, port, kind)]
        if len(self._under_way) >= self._most:
            raise OSError("too many look-ups are under way")
        async with asyncio.timeout(self._seconds):
            return await self._ask(host, port, family)

    async def close(self) -> None:
        """Give up whatever is under way."""
        if self._channel is not None:
            self._channel.cancel()
            self._channel.close()
            self._channel = None

    def _ask(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> asyncio.Future[list[ResolveResult]]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def told(found: pycares.AddrInfoResult | None, error: int | None) -> None:
            """In a thread of c-ares, perhaps after the loop."""
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._settle, answer, host, found, error)

        self._under_way.add(answer)
        try:
            self._fresh_channel().getaddrinfo(
                host, port, family=family, type=socket.SOCK_STREAM, callback=told
            )
        except (pycares.AresError, UnicodeError) as exc:
            self._under_way.discard(answer)
            raise OSError("the name cannot be looked up") from exc
        return answer

    def _settle(
        self,
        answer: asyncio.Future[list[ResolveResult]],
        host: str,
        found: pycares.AddrInfoResult | None,
        error: int | None,
    ) -> None:
        self._under_way.discard(answer)
        if answer.done():
            return
        if error is not None or found is None:
            answer.set_exception(OSError("the name has no address"))
            return
        nodes = [node for node in found.nodes if node.family in (socket.AF_INET, socket.AF_INET6)]
        answer.set_result(
            [_result(host, _text(node.addr[0]), node.addr[1], node.family) for node in nodes]
        )

    def _fresh_channel(self) -> pycares.Channel:
        """One that has not heard too many answers yet."""
        enough = _TOO_MANY_ANSWERS if len(self._under_way) > 1 else _ENOUGH_ANSWERS
        if self._channel is not None and self._asked >= enough:
            self._channel.close()
            self._channel = None
        if self._channel is None:
            share = self._seconds / (2**_TRIES - 1)  # each try waits twice as long as the last
            self._channel = pycares.Channel(
                timeout=share, tries=_TRIES, servers=self._servers or None
            )
            self._asked = 0
        self._asked += 1
        return self._channel


def _text(address: str | bytes) -> str:
    return address.decode() if isinstance(address, bytes) else address


def _result(host: str, address: str, port: int, family: int) -> ResolveResult:
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=_NUMERIC
    )


class OwnNames(AbstractResolver):
    """The deployment's own names, a few of them.

    If an answer is not there after ``patience_seconds``, or is none, the last good one is.
    """

    def __init__(
        self, look_up: LookUp | None = None, *, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._look_up = look_up or system_look_up
        self._patience_seconds = patience_seconds
        self._good: dict[tuple[str, int, int], list[ResolveResult]] = {}
        self._under_way: dict[tuple[str, int, int], asyncio.Future[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises ``OSError`` if they were never known."""
        key = (host, port, int(family))
        if key not in self._under_way:
            self._begin(key)
        answer = self._under_way[key]
        good = self._good.get(key)
        if good is None:
            return await asyncio.shield(answer)
        await asyncio.wait({answer}, timeout=self._patience_seconds)
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            return answer.result()
        _log.warning("a name is not answered for: its last address is used", extra={"host": host})
        return good

    async def close(self) -> None:
        """Wait for nothing."""
        for answer in list(self._under_way.values()):
            answer.cancel()

    def _begin(self, key: tuple[str, int, int]) -> None:
        """Ask the system in a thread that the process does not wait for when it ends."""
        loop = asyncio.get_running_loop()
        answer = self._under_way[key] = loop.create_future()
        answer.add_done_callback(lambda done: self._ended(key, done))

        def ask() -> None:
            found: Any = None
            try:
                found = self._look_up(*key)
            except (OSError, UnicodeError) as exc:
                found = exc
            with contextlib.suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(_conclude, answer, found)

        threading.Thread(target=ask, name="look-up", daemon=True).start()

    def _ended(
        self, key: tuple[str, int, int], answer: asyncio.Future[list[ResolveResult]]
    ) -> None:
        self._under_way.pop(key, None)
        if not answer.cancelled() and answer.exception() is None:
            self._good[key] = answer.result()


def _conclude(
    answer: asyncio.Future[list[ResolveResult]], found: list[ResolveResult] | Exception
) -> None:
    if answer.done():
        return
    if isinstance(found, Exception):
        answer.set_exception(OSError("the name cannot be looked up"))
    else:
        answer.set_result(found)


def system_look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    """What the system says, for as long as it takes. Raises ``OSError``."""
    found: list[Any] = socket.getaddrinfo(
        host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [_result(host, _numeric(address), address[1], kind) for kind, _, _, _, address in found]


def _numeric(address: tuple[Any, ...]) -> str:
    """The address with its zone, without which a link-local one cannot be connected to."""
    if len(address) < 4 or not address[3]:
        return str(address[0])
    return socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
