"""The C library's allocator, told what kind of process this is.

By default glibc gives every thread an arena of its own, and what one frees no other can use:
after a start-up and a few uploads some 15 MiB lie idle in arenas that nobody needs again.
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8  # malloc.h
_ARENAS: Final = 2


def share_arenas() -> None:
    """Keep all threads to two arenas. Does nothing where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
