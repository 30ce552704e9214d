"""What a command says: JSON to a program, a table and progress to a person.

Rule: a table holds nothing that a terminal obeys: names are others' text.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TextIO

import orjson

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_PAUSE_SECONDS: Final = 0.2


def wants_json(*, forced: bool) -> bool:
    """Whether stdout is read by a program, or it is ``forced``."""
    return forced or not sys.stdout.isatty()


def print_json(value: object) -> None:
    """One line of JSON to stdout; what JSON does not know is written as its text."""
    sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")


def print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as what is in them, to stdout."""
    lines = [[*titles], *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def printable(text: str) -> str:
    """The text with all that moves a cursor or hides something written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def size_text(size: float) -> str:
    """Bytes as a person reads them."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


class Progress:
    """One line on a terminal that says how far it is; nothing anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = stream.isatty()
        self._due = 0.0

    def tell(self, blobs: int, size: int) -> None:
        """So many blobs, of so many bytes, have been looked at."""
        self.say(f"{blobs} blobs, {size_text(size)}")

    def say(self, text: str) -> None:
        """How far it is, in place of what was said before; not oftener than five times a second."""
        now = time.monotonic()
        if self._shown and now >= self._due:
            self._due = now + _PAUSE_SECONDS
            self._stream.write(f"\r{text}\x1b[K")
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


@contextmanager
def progress() -> Iterator[Progress]:
    """Progress on stderr, gone at the end of the block."""
    shown = Progress(sys.stderr)
    try:
        yield shown
    finally:
        shown.clear()
