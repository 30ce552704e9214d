"""Caddy's file server, from Debian."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.children import HOST, first_line, free_port, running
from benchmarks.peers.server import Server, binary

NAME: Final = "Caddy"


@contextlib.contextmanager
def caddy_static(bench: Bench, files: Path) -> Iterator[Server]:
    """``caddy file-server`` on ``files``, in plain HTTP."""
    program = binary("caddy", "apt install caddy")
    folder, port = bench.folder("caddy"), free_port()
    command = (program, "file-server", "--root", files, "--listen", f"{HOST}:{port}")
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    log = folder / "output.log"
    with running(command, log=log, port=port, environment=environment) as child:
        version = f"caddy {first_line((program, 'version'))}"
        yield Server(version, f"http://{HOST}:{port}", child)
