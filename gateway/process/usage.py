"""What this process uses of the machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Memory that is in the machine now, shared pages included; 0 where ``/proc`` does not say."""
    try:
        pages = _STATM.read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
