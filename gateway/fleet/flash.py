"""A device's memory: takes pieces, compares them with the known image, and hashes what it has.

Two kinds, because ten thousand images would not fit: who writes in order hashes on the way and
keeps nothing; who writes anywhere keeps everything and hashes at the end.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Protocol


class WrongBytes(Exception):
    """A piece is not what the image has at that place: a mixed or lost byte."""


class Image:
    """The bytes that every device should end with."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.digest = hashlib.sha256(content).digest()

    @classmethod
    def read(cls, path: Path) -> Image:
        """The image in a file."""
        return cls(path.read_bytes())

    def check(self, offset: int, piece: bytes) -> None:
        """Raise ``WrongBytes`` unless the image has ``piece`` at ``offset``."""
        if not self.content.startswith(piece, offset):
            raise WrongBytes(f"{len(piece)} bytes at {offset} are not the image's")


class Flash(Protocol):
    """Where a device puts the update."""

    hashing_seconds: float

    def write(self, offset: int, piece: bytes) -> None:
        """Store a piece. Raises ``WrongBytes``."""

    def is_right(self) -> bool:
        """Whether the whole image is there, by its digest."""


class SequentialFlash:
    """Written from the start to the end; a piece at 0 begins anew."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._hash = hashlib.sha256()
        self._position = 0
        self.hashing_seconds = 0.0

    def write(self, offset: int, piece: bytes) -> None:
        """Store the next piece. Raises ``WrongBytes`` also for one that leaves a gap."""
        if offset == 0:
            self._hash, self._position = hashlib.sha256(), 0
        if offset != self._position:
            raise WrongBytes(f"a piece at {offset}, but {self._position} comes next")
        self._image.check(offset, piece)
        began = time.perf_counter()
        self._hash.update(piece)
        self.hashing_seconds += time.perf_counter() - began
        self._position += len(piece)

    def is_right(self) -> bool:
        """Whether what was written in order has the image's digest."""
        return self._position == self._image.size and self._hash.digest() == self._image.digest


class RandomFlash:
    """Written anywhere, as long as it is within the image."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._content = bytearray(image.size)
        self.hashing_seconds = 0.0

    def write(self, offset: int, piece: bytes) -> None:
        """Store a piece. Raises ``WrongBytes``."""
        self._image.check(offset, piece)
        self._content[offset : offset + len(piece)] = piece

    def is_right(self) -> bool:
        """Whether what is there has the image's digest."""
        began = time.perf_counter()
        digest = hashlib.sha256(self._content).digest()
        self.hashing_seconds += time.perf_counter() - began
        return digest == self._image.digest
