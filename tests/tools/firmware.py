"""Firmware images: pseudo-random ones by seed, and a real one.

Rule: a window of 16 bytes or more occurs at one offset of one seed only, so that bytes at the wrong
place, or of the wrong version, are never taken for the right ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK = 16
_CHUNK = 1 << 20
_UEFI = (
    Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"),
    Path("/usr/share/AAVMF/AAVMF_CODE.fd"),
)


class FirmwareMissing(RuntimeError):
    """The real image is not installed. Not a reason to skip."""


@dataclass(frozen=True)
class Firmware:
    """``size`` bytes that depend on ``seed`` alone: a counter-mode keystream, readable anywhere."""

    seed: int
    size: int

    def read(self, offset: int, count: int) -> bytes:
        """The bytes from ``offset`` on, fewer than ``count`` at the end."""
        count = max(0, min(count, self.size - offset))
        skipped = offset % _BLOCK
        counter = (offset // _BLOCK).to_bytes(_BLOCK, "big")
        key = hashlib.sha256(f"firmware {self.seed}".encode()).digest()
        stream = Cipher(algorithms.AES256(key), modes.CTR(counter)).encryptor()
        return stream.update(bytes(skipped + count))[skipped:]

    def chunks(self, size: int = _CHUNK) -> Iterator[bytes]:
        """All of it, in pieces of ``size``: how an image larger than memory is sent."""
        for offset in range(0, self.size, size):
            yield self.read(offset, size)

    @property
    def content(self) -> bytes:
        """All of it, at once."""
        return self.read(0, self.size)

    @cached_property
    def sha256(self) -> str:
        """Its digest in hex."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()

    def write_to(self, path: Path) -> Path:
        """The image as a file."""
        with path.open("wb") as file:
            file.writelines(self.chunks())
        return path


def uefi_image(*, padded: bool = True) -> Path:
    """The UEFI image of Debian's qemu-efi-aarch64: padded to 64 MiB, or the bare 2 MiB."""
    path = _UEFI[padded]
    if not path.is_file():
        raise FirmwareMissing("a real firmware image is needed: apt install qemu-efi-aarch64")
    return path
