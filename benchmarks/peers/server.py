"""What every peer is, once it runs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, Missing
from benchmarks.children import Child, ChildFailed, output_of

PROGRAMS: Final = Path(__file__).parent / "programs"
_INSTALL_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Server:
    """A peer that listens: its version, its address, its first process."""

    version: str
    url: str
    child: Child

    @property
    def pid(self) -> int:
        """The process to look at."""
        return self.child.pid


def binary(name: str, hint: str) -> str:
    """A program of this machine. Raises ``Missing`` with how to get it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        raise Missing(f"{name} is not installed: {hint}")
    return found


def installed(bench: Bench, result: Path, commands: Sequence[Sequence[str]], folder: Path) -> Path:
    """A file that ``commands`` make, unless it is there. Raises ``Missing`` if they do not."""
    if result.exists():
        return result
    if not bench.install:
        raise Missing(f"not installed in {folder}, and --no-install was given")
    folder.mkdir(parents=True, exist_ok=True)
    bench.teller.step(f"installing into {folder}")
    try:
        for command in commands:
            output_of(command, timeout=_INSTALL_SECONDS, cwd=folder)
    except ChildFailed as exc:
        raise Missing(f"cannot be installed: {str(exc)[-300:]}") from exc
    if not result.exists():
        raise Missing(f"its installation made no {result.name}")
    return result
