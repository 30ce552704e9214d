"""Downloads that were begun and not received whole, so that none is continued with other bytes.

Most clients resume by a bare offset, which names no version. Whoever began a file at its first
byte and goes on where that download stopped is told when the file is another one by now.
Knows offsets and the form of a ``Range``; does not know requests, nor how bytes are sent.

Theory of operation. For each caller of each file (``read_id``) one ``Download`` is remembered: the
version, and how far an unbroken run of bytes from the first one was handed out (``stop``). Two
kinds of response move it on. One that runs to the end of the file moves it byte by byte, since it
may be cut anywhere: its sender tells ``sent`` as bytes leave. One that stops short of the end is a
piece of a client that reads in pieces, and counts as a whole, at once: such a client asks for the
next piece only when it has this one.

A later range continues the download if it begins where a client that holds any prefix of what
was handed out could go on (``is_continued_by``). If the file's version is another one by then,
that range would mix two files, and is refused until the caller begins at zero.

The end is the hard part. The last byte left us; whether it arrived is known only when the
connection says more (``acknowledged``). Until then the download counts as ended, because to
refuse a client that has everything would be wrong for ever, while to serve one that has not is
wrong for a moment.

Rule: a request is only refused if it continues a download of other bytes. Whatever is not
certain (a new start, a read elsewhere, what was forgotten) is served.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Hashable
from typing import Final

from gateway.model.byterange import ByteRange
from gateway.traffic.cache import BoundedCache

REMEMBERED_SECONDS: Final = 24 * 60 * 60.0
_CONTINUATION: Final = re.compile("bytes=([0-9]{1,18})-([0-9]{0,18})", re.IGNORECASE)


class Download:
    """How far somebody came with one version of a file, from its first byte on.

    ``piece`` is where the newest response began, ``stop`` the furthest offset handed out.
    ``ended`` is whether the last byte was, as far as is known.
    """

    __slots__ = ("_begun", "_read_id", "ended", "piece", "stop", "version")

    def __init__(self, begun: _Begun, read_id: bytes, version: str, stop: int) -> None:
        self._begun = begun
        self._read_id = read_id
        self.version = version
        self.piece = 0
        self.stop = stop
        self.ended = False

    def sent(self, start: int, stop: int) -> None:
        """The bytes from ``start`` up to ``stop`` leave; those apart from the rest do not count."""
        if start <= self.stop:
            self.stop = max(self.stop, stop)

    def end(self) -> None:
        """The last byte has left us."""
        self.ended = True

    def acknowledged(self, received: bool) -> None:
        """It is known whether the client got all of it; then it is over, if it is the newest."""
        self.ended = received
        if received and self._begun.find(self._read_id) is self:
            self._begun.drop(self._read_id)

    def is_continued_by(self, header: str) -> bool:
        """Whether a ``Range`` goes on with this download, or asks for its newest piece again.

        Of what an open-ended response handed out the client may hold any part. Whoever reads
        pieces holds them whole, so the next is just behind. Suffixes and lists continue nothing.
        """
        match = _CONTINUATION.fullmatch(header)
        if match is None or (start := int(match[1])) == 0:
            return False
        if not match[2]:
            return start <= self.stop
        return int(match[2]) >= start and start in (self.stop, self.piece)


_Begun = BoundedCache[bytes, Download]


class ResumeGuard:
    """The unfinished downloads of this process, the ``entries`` most recent ones."""

    def __init__(self, entries: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._begun: _Begun = BoundedCache(entries, clock=clock)
        self._secret = secrets.token_bytes(32)

    def __len__(self) -> int:
        return len(self._begun)

    def read_id(self, credential: Hashable, *file: Hashable) -> bytes:
        """What a caller's reads of a file are remembered under; the credential is not in it.

        ``file`` is whatever tells it from others, the same for as long as the gateway runs.
        """
        text = repr((credential, *file))
        encoded = text.encode("utf-8", "backslashreplace")
        return hashlib.blake2b(encoded, digest_size=16, key=self._secret).digest()

    def continues_other_version(self, read_id: bytes, version: str, header: str) -> bool:
        """Whether ``header``, responded to with ``version``, would continue other bytes."""
        download = self._begun.find(read_id)
        if download is None or download.version == version or download.ended:
            return False
        return download.is_continued_by(header)

    def record_response(
        self, read_id: bytes, version: str, span: ByteRange, size: int
    ) -> Download | None:
        """Take note of a response before it is sent: ``span`` of ``size`` bytes of ``version``.

        Returns the download if this response is to end it; its sender says what leaves.
        """
        if span.start == 0:
            return self._begin(read_id, version, span.stop, size)
        download = self._begun.find(read_id)
        if download is None or download.version != version:
            return None
        if span.stop == size:
            if span.start <= download.stop:
                download.piece, download.ended = span.start, False
            return download
        if span.start in (download.stop, download.piece):
            download.piece, download.stop = span.start, span.stop
        return None

    def forget(self, read_id: bytes) -> None:
        """The download may have ended, or started again, where it is not seen."""
        self._begun.drop(read_id)

    def _begin(self, read_id: bytes, version: str, stop: int, size: int) -> Download | None:
        whole = stop == size
        download = Download(self._begun, read_id, version, 0 if whole else stop)
        self._begun.keep(read_id, download, expires=self._begun.now() + REMEMBERED_SECONDS)
        return download if whole else None
