"""Write-back before it is due: Linux's sync_file_range(2), which Python does not have.

Left alone, the kernel keeps most of a file until it is synced, and the sync waits for all of it.
"""

from __future__ import annotations

import ctypes
from typing import Final

_SYNC_FILE_RANGE_WRITE: Final = 2  # linux/fs.h: begin, and wait for nothing
_sync_file_range: Final = getattr(ctypes.CDLL(None), "sync_file_range", None)


def begin_write_back(descriptor: int, offset: int, count: int) -> None:
    """Have the disk begin with ``count`` bytes from ``offset``, if the system can.

    A hint: it promises nothing, and a fault on the disk is told to the fsync that follows, for
    what does not wait does not take the report either.
    """
    if _sync_file_range is not None:
        _sync_file_range(
            descriptor,
            ctypes.c_int64(offset),
            ctypes.c_int64(count),
            ctypes.c_uint(_SYNC_FILE_RANGE_WRITE),
        )
