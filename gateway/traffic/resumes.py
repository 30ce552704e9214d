"""ResumeGuard that were begun and not received whole, lest one is continued with other bytes.

Most clients resume by a bare offset, which names no version. Whoever began a file at its first
byte and goes on where that download stopped is told when the file is another one by now.
Knows offsets and the form of a ``Range``; does not know requests, nor how bytes are sent.

Rule: a request is only refused if it continues a download of other bytes. Whatever is not
certain (who begins anew, who reads elsewhere, what was forgotten) is served.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from gateway.model.byterange import ByteRange
from gateway.model.file import Scope

REMEMBERED_SECONDS: Final = 24 * 60 * 60.0
_CONTINUATION: Final = re.compile("bytes=([0-9]{1,18})-([0-9]{0,18})", re.IGNORECASE)


class Download:
    """How far somebody came with one version of a file, from its first byte on.

    ``piece`` is where the newest answer began, ``stop`` the furthest offset handed out.
    ``ended`` is whether the last byte was, as far as is known.
    """

    __slots__ = ("began", "ended", "piece", "stop", "version")

    def __init__(self, version: str, stop: int, began: float) -> None:
        self.version = version
        self.piece = 0
        self.stop = stop
        self.began = began
        self.ended = False

    def hand_out(self, start: int, stop: int) -> None:
        """The bytes from ``start`` up to ``stop`` leave; those apart from the rest do not count."""
        if start <= self.stop:
            self.stop = max(self.stop, stop)

    def is_continued_by(self, header: str) -> bool:
        """Whether a ``Range`` goes on with this download, or asks for its newest piece again.

        Of what an open-ended answer handed out the client may hold any part. Whoever reads
        pieces holds them whole, so the next is just behind. Suffixes and lists continue nothing.
        """
        match = _CONTINUATION.fullmatch(header)
        if match is None or (start := int(match[1])) == 0:
            return False
        if not match[2]:
            return start <= self.stop
        return int(match[2]) >= start and start in (self.stop, self.piece)


class ResumeGuard:
    """The unfinished downloads of this process, the ``entries`` most recent ones."""

    def __init__(self, entries: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries = entries
        self._clock = clock
        self._begun: OrderedDict[bytes, Download] = OrderedDict()
        self._secret = secrets.token_bytes(32)

    def __len__(self) -> int:
        return len(self._begun)

    def key(self, credential: Hashable, scope: Scope, name: str) -> bytes:
        """What a caller's download of a file is remembered under; the credential is not in it."""
        text = repr((credential, scope.kind, scope.owner, name))
        encoded = text.encode("utf-8", "backslashreplace")
        return hashlib.blake2b(encoded, digest_size=16, key=self._secret).digest()

    def would_mix(self, key: bytes, version: str, header: str) -> bool:
        """Whether ``header``, answered with ``version``, would continue other bytes."""
        download = self._begun.get(key)
        if download is None or download.version == version or download.ended:
            return False
        if self._clock() - download.began > REMEMBERED_SECONDS:
            del self._begun[key]
            return False
        return download.is_continued_by(header)

    def answer(self, key: bytes, version: str, span: ByteRange, size: int) -> Download | None:
        """Take note of an answer before it is sent: ``span`` of the ``size`` bytes of ``version``.

        Returns the download if this answer is to end it; its sender says what it hands out.
        """
        if span.start == 0:
            return self._begin(key, version, span.stop, size)
        download = self._begun.get(key)
        if download is None or download.version != version:
            return None
        if span.stop == size:
            if span.start <= download.stop:
                download.piece, download.ended = span.start, False
            return download
        if span.start in (download.stop, download.piece):
            download.piece, download.stop = span.start, span.stop
            self._begun.move_to_end(key)
        return None

    def settle(self, key: bytes, download: Download, received: bool) -> None:
        """It is known whether a download that ended was received."""
        download.ended = received
        if received and self._begun.get(key) is download:
            del self._begun[key]

    def forget(self, key: bytes) -> None:
        """The download may have ended, or begun anew, where it is not seen."""
        self._begun.pop(key, None)

    def _begin(self, key: bytes, version: str, stop: int, size: int) -> Download | None:
        whole = stop == size
        download = Download(version, 0 if whole else stop, self._clock())
        self._begun[key] = download
        self._begun.move_to_end(key)
        if len(self._begun) > self._entries:
            self._begun.popitem(last=False)
        return download if whole else None
