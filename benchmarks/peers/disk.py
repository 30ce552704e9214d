"""The disk by itself: nobody who syncs what he took is faster than it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, Missing
from benchmarks.children import first_line, output_of, shown
from benchmarks.curl import Transfer
from benchmarks.peers.server import binary

NAME: Final = "dd conv=fsync"
_TIMEOUT: Final = 300


def version() -> str:
    """Which dd. Raises ``Missing``."""
    return first_line((binary("dd", "apt install coreutils"), "--version"))


def write_synced(bench: Bench, image: Path) -> Transfer:
    """Copy ``image``, which the kernel has in memory, to a new file and sync it."""
    target = bench.work / "synced.bin"
    command = ["dd", f"if={image}", f"of={target}", "bs=1M", "conv=fsync", "status=none"]
    began = time.perf_counter()
    output_of(command, timeout=_TIMEOUT)
    seconds = time.perf_counter() - began
    size = target.stat().st_size
    target.unlink()
    if size != image.stat().st_size:
        raise Missing("dd did not copy all of it")
    return Transfer(size, seconds, 0.0, shown(command))
