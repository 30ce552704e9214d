"""Multipart framing (RFC 2046 5.1, RFC 7578): the bytes of a form in, its parts out.

Knows delimiters, header lines and their limits. Does not know fields, files, requests, or what
a part's headers mean; does no IO.

Theory of operation: a form is a run of bytes cut by delimiters, ``CRLF "--" boundary``. What is
before the first one (the preamble) is found, and ended, just as a part's content is; the first
delimiter may stand at the very beginning, so the parser begins with a CRLF that nobody sent. The
CRLF that ends a part's headers may likewise be the delimiter's own: a part without content.

    PREAMBLE --delimiter--> LINE --CRLF--> HEADERS --empty line--> CONTENT --delimiter--> LINE
                            LINE --"--"--> EPILOGUE

``receive`` takes a chunk, ``next_event`` is asked until it needs more. Bytes stay behind only
where what follows decides what they are; a chunk without a delimiter, and with nothing
left before it, is handed on as it is, uncopied. There is no second, faster way.

Rule: how a form is cut into chunks makes no difference to anything: not to its parts, nor to
which fault is found first. So every decision is made at one byte, and never on a chunk.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from gateway.model.errors import Malformed, TooLarge

_CRLF: Final = b"\r\n"
_PADDING: Final = re.compile(rb"[ \t]*+")
_LINE_BREAK: Final = re.compile(rb"[\r\n]")
_LINE_ENDS: Final = (b"\r", b"\n")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class FramingLimits:
    """How much there may be of a form beside its parts' contents. Sizes in bytes."""

    parts: int
    part_headers: int
    part_header_bytes: int
    outside_bytes: int


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part begins. Names of headers are in lower case."""

    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The part's content was whole."""


Event = PartBegins | bytes | PartEnds


class _Again(Enum):
    """No event, but the next step may have one."""

    AGAIN = 0


Step = Event | _Again | None


class MultipartParser:
    """One form, parsed as it comes."""

    def __init__(self, boundary: str, limits: FramingLimits) -> None:
        self._delimiter = _CRLF + b"--" + boundary.encode()
        self._limits = limits
        self._step: Callable[[], Step] = self._in_preamble
        self._data: bytes = _CRLF
        self._at = 0  # what is before was dealt with
        self._lead = len(_CRLF)  # bytes of a line break that may be the delimiter's, or nobody's
        self._outside = 0
        self._parts = 0
        self._headers: list[tuple[str, str]] = []

    def receive(self, chunk: bytes) -> None:
        """More of the body; call it when ``next_event`` has nothing left to say."""
        rest = self._data[self._at :]
        self._data = rest + chunk if rest else chunk
        self._at = 0

    def next_event(self) -> Event | None:
        """What comes next in the form; ``None`` if that takes more of the body.

        Content comes in any number of pieces, none of them empty. Raises ``Malformed`` for
        broken framing and ``TooLarge`` beyond a limit.
        """
        while (event := self._step()) is _Again.AGAIN:
            pass
        return event

    def close(self) -> None:
        """The body is over. Raises ``Malformed`` if the form is not."""
        if self._step != self._in_epilogue:
            raise _broken()

    def _in_preamble(self) -> Step:
        dropped = self._before_delimiter(self._in_first_line)
        if isinstance(dropped, bytes | bytearray):
            self._count_outside(len(dropped))
            return _Again.AGAIN
        return dropped

    def _in_content(self) -> Step:
        return self._before_delimiter(self._in_line)

    def _before_delimiter(self, line: Callable[[], Step]) -> bytes | _Again | None:
        """What surely comes before the next delimiter, if any; behind it, ``line`` is next."""
        found = self._data.find(self._delimiter, self._at)
        end = self._undecided() if found < 0 else found
        if end > self._at:
            start, self._lead, self._at = self._at + self._lead, 0, end
            return self._piece(start, end) if end > start else _Again.AGAIN
        if found < 0:
            return None
        self._at, self._step = found + len(self._delimiter), line
        return _Again.AGAIN

    def _undecided(self) -> int:
        """Where a delimiter could begin that is not all here; there is none in the data.

        A delimiter has one CR, so only the last one can begin it.
        """
        size = len(self._data)
        begin = self._data.rfind(b"\r", max(self._at, size - len(self._delimiter) + 1))
        return begin if begin >= 0 and self._delimiter.startswith(self._data[begin:]) else size

    def _piece(self, start: int, end: int) -> bytes:
        whole = start == 0 and end == len(self._data)
        return self._data if whole else self._data[start:end]

    def _in_first_line(self) -> Step:
        return self._behind_delimiter(_Again.AGAIN)

    def _in_line(self) -> Step:
        return self._behind_delimiter(PartEnds())

    def _behind_delimiter(self, over: PartEnds | _Again) -> Step:
        """The rest of a delimiter's line: the last one's hyphens, or padding and a line break.

        What begins like a delimiter is one (RFC 2046 5.1.1), so anything else is a fault.
        """
        last = self._data[self._at : self._at + 2]
        if last == b"--":
            self._at, self._step = self._at + 2, self._in_epilogue
            return over
        padding = _PADDING.match(self._data, self._at)
        assert padding is not None, "it matches nothing, too"
        if padding.end() - self._at > self._limits.outside_bytes:
            raise _too_much_outside()
        line_break = self._data[padding.end() : padding.end() + 2]
        if last != b"-" and not _CRLF.startswith(line_break):
            raise _broken_line() if line_break[:1] in _LINE_ENDS else _broken()
        if line_break != _CRLF:
            return None
        self._at, self._step = padding.end() + 2, self._in_headers
        self._begin_part()
        return over

    def _begin_part(self) -> None:
        self._headers.clear()
        self._parts += 1
        if self._parts > self._limits.parts:
            raise TooLarge(f"the form has more than {self._limits.parts} parts")

    def _in_headers(self) -> Step:
        """One header line, or the empty one behind them."""
        end = self._line_end()
        if end is None:
            return None
        if end == self._at:
            self._lead, self._step = len(_CRLF), self._in_content
            return PartBegins(tuple(self._headers))
        self._take_header(bytes(self._data[self._at : end]))
        self._at = end + len(_CRLF)
        return _Again.AGAIN

    def _line_end(self) -> int | None:
        """Where the header line's CRLF is, if it is here."""
        most = self._at + self._limits.part_header_bytes
        found = _LINE_BREAK.search(self._data, self._at, most + 1)
        if found is None:
            if len(self._data) > most:
                raise self._long_header()
            return None
        line_break = self._data[found.start() : found.start() + 2]
        if not _CRLF.startswith(line_break):
            raise _broken_line()
        return found.start() if line_break == _CRLF else None

    def _take_header(self, line: bytes) -> None:
        if line[:1] in {b" ", b"\t"}:
            line = self._unfolded(line)
        if len(self._headers) >= self._limits.part_headers:
            raise TooLarge(f"a part has more than {self._limits.part_headers} headers")
        try:
            name, colon, value = line.decode().partition(":")
        except UnicodeDecodeError as exc:
            raise _broken() from exc
        if not colon or not _HEADER_NAME.fullmatch(name):
            raise _broken()
        self._headers.append((name.lower(), value.strip(" \t")))

    def _unfolded(self, line: bytes) -> bytes:
        """The header before and this line, which goes on with it (RFC 5322 2.2.3)."""
        if not self._headers or not line.strip(b" \t"):
            raise _broken()
        name, value = self._headers.pop()
        whole = f"{name}:{value} ".encode() + line.lstrip(b" \t")
        if len(whole) > self._limits.part_header_bytes:
            raise self._long_header()
        return whole

    def _long_header(self) -> TooLarge:
        most = self._limits.part_header_bytes
        return TooLarge(f"a header of a part is larger than {most} bytes")

    def _in_epilogue(self) -> Step:
        self._count_outside(len(self._data) - self._at)
        self._at = len(self._data)
        return None

    def _count_outside(self, count: int) -> None:
        self._outside += count
        if self._outside > self._limits.outside_bytes:
            raise _too_much_outside()


def _broken() -> Malformed:
    return Malformed("malformed multipart form")


def _broken_line() -> Malformed:
    return Malformed("malformed multipart form: its lines end with CR LF, both")


def _too_much_outside() -> Malformed:
    return Malformed("too many bytes outside the parts of the form")
