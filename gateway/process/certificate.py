"""The certificate that the gateway serves TLS with, as its two files are now.

Theory of operation. A context of OpenSSL is made of both files at once and given to connections as
they come, so a renewed pair is for those that come later, and nothing is cut. The files are looked
at every few seconds, and when SIGHUP says so. A pair is renewed file by file, and what does not fit
together is no reason to stop: until it does, the pair before stays, and the log says so.

Knows files and OpenSSL. Does not know HTTP, nor who listens.

Rule: nobody speaks anything older than TLS 1.2, and no passphrase is ever asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from gateway.process.background import running
from gateway.process.supervisor import ListenFailed

_LOOK_SECONDS: Final = 5.0
_TCP_ULP: Final = 31  # linux/tcp.h
# OpenSSL 3 (openssl/ssl.h); Python names it since 3.12.
_ENABLE_KTLS: Final[int] = getattr(ssl, "OP_ENABLE_KTLS", 1 << 3)
_log: Final = logging.getLogger(__name__)

_State = tuple[tuple[int, ...], ...]


class ServerCertificate:
    """What to serve TLS with: ``context``, which may be another one at any time.

    ``by_kernel`` lets the kernel encrypt, where it can. Raises ``ListenFailed`` if the files cannot
    be used.
    """

    def __init__(self, certificate: Path, key: Path, *, by_kernel: bool) -> None:
        self._certificate, self._key = certificate, key
        self._by_kernel = by_kernel and kernel_encrypts()
        self._refused: _State | None = None
        try:
            self._seen = self._state()
            self.context = self._loaded()
        except OSError as exc:
            raise ListenFailed(f"cannot serve TLS: {_worded(exc)} ({certificate}, {key})") from exc

    def look(self, *, again: bool = False) -> None:
        """Take the files as they are now, if they have changed or are to be read ``again``."""
        try:
            state = self._state()
            if state == self._seen and not again:
                return
            self._seen = state
            self.context = self._loaded()
        except OSError as exc:
            self._stay(exc)
        else:
            _log.info("certificate read again", extra={"certificate": str(self._certificate)})

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the files in the block, now and then and when SIGHUP says so.

        Not where it ends us: with a terminal, which has gone then.
        """
        told = asyncio.Event()
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, told.set)
        async with running(self._look_for_ever(told)):
            yield

    async def _look_for_ever(self, told: asyncio.Event) -> None:
        while True:
            waiting = asyncio.create_task(told.wait())
            try:
                await asyncio.wait({waiting}, timeout=_LOOK_SECONDS)
            finally:
                waiting.cancel()
            again = told.is_set()
            told.clear()
            await asyncio.to_thread(self.look, again=again)

    def _stay(self, error: OSError) -> None:
        """Say so, once for each state of the files; one that is away is a state, too."""
        state: _State = ()
        with contextlib.suppress(OSError):
            state = self._state()
        if state != self._refused:
            _log.error(
                "the new certificate cannot be used: the one before stays",
                extra={"certificate": str(self._certificate), "cause": _worded(error)},
            )
        self._refused = state

    def _state(self) -> _State:
        """What changes with the files. Raises ``OSError`` if one is not there."""
        found = [path.stat() for path in (self._certificate, self._key)]
        return tuple((s.st_ino, s.st_size, s.st_mtime_ns) for s in found)

    def _loaded(self) -> ssl.SSLContext:
        """A context of both files. Raises ``OSError`` (``ssl.SSLError`` among them)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self._by_kernel:
            context.options |= _ENABLE_KTLS
        context.load_cert_chain(self._certificate, self._key, password="")
        return context


def kernel_encrypts() -> bool:
    """Whether the kernel has TLS: it then misses the connection, and nothing else."""
    with socket.socket() as unconnected:
        try:
            unconnected.setsockopt(socket.IPPROTO_TCP, _TCP_ULP, b"tls")
        except OSError as exc:
            return exc.errno == errno.ENOTCONN
    return True


def _worded(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)
