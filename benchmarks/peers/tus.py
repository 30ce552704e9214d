"""The resumable-upload servers: ``@tus/server`` from npm, and tusd built by Go."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks.bench import Bench, CannotRun
from benchmarks.children import HOST, first_line, free_port, running
from benchmarks.curl import Transfer, put
from benchmarks.peers.server import PROGRAMS, Server, binary, installed

NODE: Final = "@tus/server with a hook"
TUSD: Final = "tusd with a hook"
_TUSD_VERSION: Final = "v2.8.0"
_GO_MODULE: Final = f"""\
module benchmark

go 1.22

require github.com/tus/tusd/v2 {_TUSD_VERSION}
"""
_GO_TOOLS: Final = """\
//go:build tools

package benchmark

import _ "github.com/tus/tusd/v2/cmd/tusd"
"""
_HEADERS: Final = {
    "Tus-Resumable": "1.0.0",
    "Upload-Offset": "0",
    "Content-Type": "application/offset+octet-stream",
}


@contextlib.contextmanager
def tus_node(bench: Bench, hook: str) -> Iterator[Server]:
    """``@tus/server`` with its file store; it asks ``hook`` before each upload."""
    node, npm = binary("node", "apt install nodejs"), binary("npm", "apt install npm")
    folder, port = bench.cache / "tus-node", free_port()
    package = folder / "node_modules" / "@tus" / "server" / "package.json"
    packages = ("@tus/server@2", "@tus/file-store@2")
    install = (npm, "install", "--prefix", str(folder), "--no-fund", "--no-audit", *packages)
    installed(bench, package, [install], folder)
    program = folder / "serve.mjs"  # beside node_modules, where node looks for imports
    program.write_text((PROGRAMS / "tus_node.mjs").read_text())
    command = (node, program, bench.folder("tus-node"), str(port), hook)
    with running(command, log=bench.work / "tus-node.log", port=port, cwd=folder) as child:
        version = f"{json.loads(package.read_text())['version']} on node {first_line((node, '-v'))}"
        yield Server(version, f"http://{HOST}:{port}/files", child)


@contextlib.contextmanager
def tusd(bench: Bench, hook: str) -> Iterator[Server]:
    """Tusd, built from a pinned version; it asks ``hook`` before each upload."""
    go = binary("go", "apt install golang")
    folder, port = bench.cache / "tusd", free_port()
    program = folder / "tusd"
    if bench.install and not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "go.mod").write_text(_GO_MODULE)
        (folder / "tools.go").write_text(_GO_TOOLS)
    build = (go, "build", "-mod=mod", "-o", str(program), "github.com/tus/tusd/v2/cmd/tusd")
    installed(bench, program, [build], folder)
    files = bench.folder("tusd")
    command = (
        *(program, "-host", HOST, "-port", str(port), "-upload-dir", files),
        *("-base-path", "/files/", "-verbose=false"),
        *("-hooks-http", hook, "-hooks-enabled-events", "pre-create"),
    )
    with running(command, log=bench.work / "tusd.log", port=port) as child:
        yield Server(_TUSD_VERSION, f"http://{HOST}:{port}/files/", child)


def upload(server: Server, path: Path) -> Transfer:
    """Create an upload and send all of the file in one PATCH; then remove it.

    Raises ``CannotRun`` if the server does not take it.
    """
    place = _create(server.url, path.stat().st_size)
    transfer = put(place, path, _HEADERS, method="PATCH")
    _ask("DELETE", place, {"Tus-Resumable": "1.0.0"}, 204)
    return transfer


def _create(url: str, size: int) -> str:
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(size)}
    location = _ask("POST", url, headers, 201).getheader("Location", "")
    parts = urlsplit(url)
    return location if "://" in location else f"http://{parts.netloc}{location}"


def _ask(method: str, url: str, headers: dict[str, str], expected: int) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or HOST, parts.port, timeout=30)
    try:
        connection.request(method, parts.path, headers={**headers, "Content-Length": "0"})
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    if answer.status != expected:
        raise CannotRun(f"{method} {url}: {answer.status}")
    return answer
