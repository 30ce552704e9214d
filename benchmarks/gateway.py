"""The real gateway as a child, and what is put into it over its own API.

Started as an operator would, with GATEWAY_ACCESS_LOG=false: nginx and the other peers write no
log line per request either. The report says so.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.bench import Bench, CannotRun
from benchmarks.children import HOST, Child, ChildFailed, first_line, free_port, running
from benchmarks.curl import post_form
from benchmarks.machine import ROOT

ADMIN_EMAIL: Final = "bench@gateway.test"
ADMIN_PASSWORD: Final = "a-password-of-the-benchmark"
_READY_SECONDS: Final = 60.0
SETTINGS: Final = {
    "GATEWAY_ACCESS_LOG": "false",
    "GATEWAY_LOG_LEVEL": "warning",
    "GATEWAY_SWEEP_INTERVAL_SECONDS": "0",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """A device's identity, and its credential as a header."""

    id: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """Its credential."""
        return {"Authorization": f"Thing {self.key}"}


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that is ready; ``name`` is that of its folder and database."""

    name: str
    url: str
    child: Child
    data_dir: Path
    dsn: str
    token: str

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self.child.pid

    def file_url(self, name: str) -> str:
        """Where the file of that name is."""
        return f"{self.url}/files/{name}"

    def new_thing(self, name: str) -> Thing:
        """A thing, made over the API."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        made = call("POST", f"{self.url}/things", [{"name": name}], bearer)["things"][0]
        return Thing(made["id"], made["key"])

    def upload(self, thing: Thing, path: Path, name: str) -> None:
        """A file of the thing."""
        post_form(f"{self.url}/files", path, name, thing.headers)

    def remove(self, thing: Thing, name: str) -> None:
        """Remove the file; its bytes go, too, when they are swept."""
        call("DELETE", self.file_url(name), None, thing.headers)


@contextlib.contextmanager
def running_gateway(
    bench: Bench,
    name: str,
    *,
    cpu: int | None = None,
    checkout: Path | None = None,
    **settings: str,
) -> Iterator[Gateway]:
    """A gateway with a database and folder of its own; ``settings`` as in ``GATEWAY_*``.

    ``checkout`` is another tree whose own installation is started instead of this one.
    """
    folder, port, dsn = bench.folder(f"gateway-{name}"), free_port(), bench.database(name)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
    environment |= SETTINGS | {
        "GATEWAY_HOST": HOST,
        "GATEWAY_ALLOW_ROOT": "true",
        "GATEWAY_PORT": str(port),
        "GATEWAY_DATA_DIR": str(folder / "data"),
        "GATEWAY_DATABASE_URL": dsn,
        "GATEWAY_ADMIN_EMAIL": ADMIN_EMAIL,
        "GATEWAY_ADMIN_PASSWORD": ADMIN_PASSWORD,
    }
    if checkout is None:  # older ones have no such setting
        environment["GATEWAY_SCRUB_DAYS"] = "0"
    environment |= {f"GATEWAY_{key.upper()}": value for key, value in settings.items()}
    python = sys.executable if checkout is None else str(checkout / ".venv" / "bin" / "python")
    command = (python, "-m", "gateway", "serve")
    log = folder / "gateway.log"
    with running(
        command,
        log=log,
        port=port,
        cwd=checkout or ROOT,
        environment=environment,
        cpu=cpu,
        start_seconds=60,
    ) as child:
        url = f"http://{HOST}:{port}"
        _wait_until_ready(url, child)
        login = {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        token = call("POST", f"{url}/tokens", login)["token"]
        yield Gateway(name, url, child, folder / "data", dsn, token)


def version_of(checkout: Path | None) -> str:
    """Which tree a gateway is of."""
    if checkout is None:
        return "this tree"
    head = ("git", "-C", str(checkout), "rev-parse", "--short", "HEAD")
    return f"commit {first_line(head)}"


def call(
    method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None
) -> Any:
    """A JSON request; the answer's JSON, or ``None``. Raises ``CannotRun`` unless 2xx."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or HOST, address.port, timeout=30)
    content = None if body is None else json.dumps(body)
    fields = {**(headers or {}), **({"Content-Type": "application/json"} if content else {})}
    try:
        connection.request(method, address.path, content, fields)
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise CannotRun(f"{method} {url}: {answer.status} {said[:200]!r}")
    return json.loads(said) if said else None


def check_range(url: str, headers: Mapping[str, str], path: Path, span: int) -> None:
    """Raise ``CannotRun`` unless a range of the file comes back as 206 with the file's bytes."""
    address = urlsplit(url)
    connection = _connection(address.scheme, address.hostname or HOST, address.port)
    first = path.stat().st_size // 2
    try:
        fields = {**headers, "Range": f"bytes={first}-{first + span - 1}"}
        connection.request("GET", address.path, headers=fields)
        answer = connection.getresponse()
        given = answer.read()
    finally:
        connection.close()
    with path.open("rb") as file:
        file.seek(first)
        expected = file.read(span)
    if answer.status != 206 or given != expected:
        raise CannotRun(f"{url} answers {answer.status} and {len(given)} bytes to a range")


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=30)
    return http.client.HTTPSConnection(host, port, timeout=30, context=trusting())


def trusting() -> ssl.SSLContext:
    """For a client that believes whatever certificate a server of our own shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _wait_until_ready(url: str, child: Child) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            call("GET", f"{url}/ready")
        except (CannotRun, OSError, ValueError) as exc:
            if time.monotonic() > deadline or child.process.poll() is not None:
                words = child.log.read_text(errors="replace")[-1500:]
                raise ChildFailed(f"the gateway did not get ready: {words}") from exc
            time.sleep(0.05)
        else:
            return
