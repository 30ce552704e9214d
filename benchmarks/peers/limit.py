"""The physical limit of an upload, and the hook that the gateway asks: programs of our own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.children import HOST, free_port, running
from benchmarks.machine import ROOT
from benchmarks.peers.server import Server

NAME: Final = "receive + hash + write"


@contextlib.contextmanager
def socket_limit(bench: Bench) -> Iterator[Server]:
    """The bare socket program: a PUT anywhere is received, hashed and written."""
    with _program(bench, "socket_limit", bench.folder("limit")) as server:
        yield server


@contextlib.contextmanager
def hook(bench: Bench) -> Iterator[Server]:
    """An auth hook that allows everything at once."""
    with _program(bench, "hook", bench.work) as server:
        yield server


@contextlib.contextmanager
def _program(bench: Bench, name: str, folder: Path) -> Iterator[Server]:
    port = free_port()
    command = (sys.executable, "-m", f"benchmarks.peers.programs.{name}", folder, str(port))
    with running(command, log=bench.work / f"{name}.log", port=port, cwd=ROOT) as child:
        yield Server("of this suite", f"http://{HOST}:{port}", child)
