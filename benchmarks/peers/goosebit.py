"""gooseBit, a firmware update server from PyPI, in a virtual environment of its own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.children import HOST, free_port, output_of, running
from benchmarks.peers.server import PROGRAMS, Server, installed

NAME: Final = "gooseBit"
_VERSION: Final = "import importlib.metadata as m; print(m.version('goosebit'))"


@contextlib.contextmanager
def goosebit(bench: Bench, image: Path) -> Iterator[Server]:
    """GooseBit with one image in its database; ``url`` is that image's download address."""
    folder, port = bench.cache / "goosebit", free_port()
    python = folder / "bin" / "python"
    mark = folder / "installed"
    commands = (
        (sys.executable, "-m", "venv", str(folder)),
        (str(python), "-m", "pip", "install", "--quiet", "goosebit"),
        ("touch", str(mark)),
    )
    installed(bench, mark, commands, folder)
    place = bench.folder("goosebit")
    environment = {
        **os.environ,
        "GOOSEBIT_DB_URI": f"sqlite://{place}/goosebit.sqlite3",
        "GOOSEBIT_ARTIFACTS_DIR": str(place),
    }
    command = (python, PROGRAMS / "goosebit_server.py", image, str(port))
    log = place / "output.log"
    with running(
        command, log=log, port=port, cwd=place, environment=environment, start_seconds=60
    ) as child:
        version = output_of((python, "-c", _VERSION), timeout=60).strip()
        yield Server(version, f"http://{HOST}:{port}/DEFAULT/controller/v1/bench/download", child)
