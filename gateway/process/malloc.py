"""The C library's allocator, told what kind of process this is.

By default glibc gives every thread an arena of its own, and what one frees no other can use:
after a start-up and a few uploads some 15 MiB lie idle in arenas that nobody needs again.
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8  # malloc.h
_M_MMAP_THRESHOLD: Final = -3
_ARENAS: Final = 2
_LARGE_BYTES: Final = 128 * 1024


def share_arenas() -> None:
    """Keep all threads to two arenas. Does nothing where the C library is not glibc."""
    _set(_M_ARENA_MAX, _ARENAS)


def return_large() -> None:
    """Give every large piece of memory back when it is freed. Does nothing without glibc.

    By itself glibc does so until the first such piece is freed, and from then on keeps all up to
    that size in its heap, where one small piece that lives on holds what lies below it.
    """
    _set(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _set(parameter: int, value: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(parameter, value)
