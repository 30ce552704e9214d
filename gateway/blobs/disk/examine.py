"""How the disk of a store is, for an operator. Makes no folder; its probe is gone again."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4


@dataclass(slots=True)
class DiskFacts:
    """What was found; ``error`` is why no more could be."""

    absent: bool = False
    error: str = ""
    free_bytes: int = 0
    linkable: bool = True
    sync_seconds: float = 0.0
    owner: int = 0
    foreign: str = ""


def examine_disk(root: Path) -> DiskFacts:
    """Look at the folders of the store under ``root``, and try a file there."""
    facts = DiskFacts()
    try:
        if not root.exists():
            facts.absent = True
            return facts
        space = os.statvfs(root)
        facts.free_bytes = space.f_bavail * space.f_frsize
        facts.owner = root.stat().st_uid
        folders = [folder for folder in (root / "incoming", root / "blobs") if folder.exists()]
        facts.foreign = next((f.name for f in folders if f.stat().st_uid != facts.owner), "")
        _probe(folders or [root], facts)
    except OSError as exc:
        facts.error = f"{exc.strerror}: {exc.filename}"
    return facts


def _probe(folders: list[Path], facts: DiskFacts) -> None:
    """Write, sync and link a file, and take it away."""
    probes = [folder / f".probe-{uuid4().hex}.part" for folder in folders]
    try:
        began = time.monotonic()
        with probes[0].open("xb") as file:
            file.write(b"probe")
            file.flush()
            os.fsync(file.fileno())
        facts.sync_seconds = time.monotonic() - began
        _link(probes, facts)
    finally:
        for probe in probes:
            with contextlib.suppress(OSError):
                probe.unlink()


def _link(probes: list[Path], facts: DiskFacts) -> None:
    try:
        for other in probes[1:]:
            os.link(probes[0], other)
    except OSError:
        facts.linkable = False
