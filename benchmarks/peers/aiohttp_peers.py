"""What one would write with aiohttp in an afternoon: FileResponse, and the naive upload handler."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.children import HOST, free_port, running
from benchmarks.machine import ROOT
from benchmarks.peers.server import Server

FILE_RESPONSE: Final = "aiohttp FileResponse"
NAIVE: Final = "aiohttp naive upload"
NAIVE_SYNCED: Final = "aiohttp naive upload + fsync"


@contextlib.contextmanager
def file_response(bench: Bench, files: Path) -> Iterator[Server]:
    """``FileResponse`` on uvloop, without any authorisation."""
    with _program(bench, "file_response", files) as server:
        yield server


@contextlib.contextmanager
def naive_upload(bench: Bench) -> Iterator[Server]:
    """``multipart()``, ``read_chunk(64 KiB)``, the hash in the loop, aiofiles for each write."""
    with _program(bench, "naive_upload", bench.folder("naive")) as server:
        yield server


@contextlib.contextmanager
def naive_upload_synced(bench: Bench) -> Iterator[Server]:
    """The same, and an fsync of the file and of its folder before the response."""
    with _program(bench, "naive_upload_synced", bench.folder("naive-synced")) as server:
        yield server


@contextlib.contextmanager
def _program(bench: Bench, name: str, folder: Path) -> Iterator[Server]:
    port = free_port()
    command = (sys.executable, "-m", f"benchmarks.peers.programs.{name}", folder, str(port))
    with running(command, log=bench.work / f"{name}.log", port=port, cwd=ROOT) as child:
        version = f"aiohttp {metadata.version('aiohttp')}, uvloop {metadata.version('uvloop')}"
        yield Server(version, f"http://{HOST}:{port}", child)
