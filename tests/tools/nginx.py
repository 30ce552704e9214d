"""A real nginx that runs our own deployment files.

Knows which lines of ``deploy/nginx`` name a place (ports, folders, the user) and replaces just
those. Rule: a line that is not there exactly once is an error, so the files cannot drift away from
what the tests run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.tools.ports import HOST, answers, free_port

DEPLOY = Path(__file__).parents[2] / "deploy" / "nginx"
ACCEL = "/_blobs"
ACCEL_S3 = "/_s3"
_S3 = ("filestore-s3.conf", "filestore-s3-locations.conf")
LUA_MODULE = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")
_PRODUCTION_BLOBS = "/var/lib/filestore-gateway/blobs"
_SERVERS_LOG = "access_log /var/log/nginx/access.log filestore buffer=32k flush=5s;"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class NginxMissing(RuntimeError):
    """There is no nginx on this machine. Not a reason to skip."""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx: where it listens, its master's pid, its folder (``error.log``, ``access.log``)."""

    url: str
    port: int
    pid: int
    folder: Path

    @property
    def log(self) -> str:
        """The error log."""
        return (self.folder / "error.log").read_text(errors="replace")


def nginx_binary() -> str:
    """The nginx of this machine, also when ``sbin`` is not in the path."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise NginxMissing("nginx is needed: apt install nginx-light")
    return found


def render(
    folder: Path,
    *,
    port: int,
    upstream: str,
    blobs: Path,
    proxy_changes: Mapping[str, str] = MappingProxyType({}),
    edge: bool = False,
    tls: str = "",
    server: str = "",
    log_socket: Path | None = None,
    store: str | None = None,
) -> Path:
    """The deployment files, rewritten for ``folder``; the path of ``nginx.conf`` there.

    ``upstream`` is the gateway's ``host:port``, ``blobs`` the folder that holds its blobs.
    ``proxy_changes`` are what a deployment may change in ``filestore-proxy.conf``; with
    ``edge`` the lines are in effect that are marked so, and with ``log_socket`` those of the log.
    ``store`` is the ``host:port`` of an S3 store that it sends from.
    With ``tls``, lines for the server block, it listens for that alone; ``server`` are more of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = "".join(f"    {name}_temp_path {folder}/{name};\n" for name in _TEMPORARY)
    _copy(folder, "filestore-proxy.conf", proxy_changes)
    _copy(folder, "filestore.conf", {})
    _copy(folder, "filestore-cors.conf", {})
    _copy(folder, "filestore_edge.lua", {})
    _copy(folder, "filestore-edge.conf", {'"/etc/nginx/?.lua;;"': f'"{folder}/?.lua;;"'})
    _copy(folder, "filestore-edge-locations.conf", {})
    _copy(
        folder,
        "filestore-blobs.conf",
        {f"from={_PRODUCTION_BLOBS};": f"from={blobs};"} | _told(folder, log_socket),
    )
    _copy(
        folder,
        "filestore-edge-disk.conf",
        {f"\nalias {_PRODUCTION_BLOBS}/$": f"\nalias {blobs}/$"},
    )
    _copy(
        folder,
        "filestore-upstream.conf",
        {"\nserver 127.0.0.1:8080;": f"\nserver {upstream};"},
    )
    _copy(
        folder,
        "filestore-locations.conf",
        {f"    alias {_PRODUCTION_BLOBS}/;": f"    alias {blobs}/;"},
    )
    _copy_store(folder, store, log_socket)
    return _copy(
        folder,
        "nginx.conf",
        {
            **({f"#s3 include {name};": f"include {name};" for name in _S3} if store else {}),
            "user www-data;": "user root;" if os.geteuid() == 0 else "",
            "worker_processes auto;": "worker_processes 1;",
            "pid /run/nginx.pid;": f"pid {folder}/nginx.pid;",
            "error_log /var/log/nginx/error.log warn;": f"error_log {folder}/error.log info;",
            "worker_rlimit_nofile 65536;": "",
            **{f"#edge {line}": line for line in _edge_lines(edge=edge, store=store)},
            "worker_connections 16384;": "worker_connections 2048;",
            _SERVERS_LOG: (f"access_log {folder}/access.log filestore;\n{temporary}"),
            "        listen 80 default_server ": (
                f"{server}{tls}        listen {HOST}:{port} {'ssl ' if tls else ''}default_server "
            ),
        },
    )


@contextlib.asynccontextmanager
async def running_nginx(
    folder: Path,
    *,
    upstream: str,
    blobs: Path,
    proxy_changes: Mapping[str, str] = MappingProxyType({}),
    edge: bool = False,
    tls: str = "",
    server: str = "",
    log_socket: Path | None = None,
    store: str | None = None,
) -> AsyncIterator[Nginx]:
    """Our nginx before ``upstream``; it has stopped when the block ends."""
    binary, port = nginx_binary(), free_port()
    if (edge or store) and not LUA_MODULE.exists():
        raise NginxMissing("nginx's Lua module is needed: apt install libnginx-mod-http-lua")
    conf = render(
        folder,
        port=port,
        upstream=upstream,
        blobs=blobs,
        proxy_changes=proxy_changes,
        edge=edge,
        tls=tls,
        server=server,
        log_socket=log_socket,
        store=store,
    )
    command = (binary, "-p", str(folder), "-c", str(conf), "-e", str(folder / "error.log"))
    process = await asyncio.create_subprocess_exec(*command, "-g", "daemon off;")
    try:
        while not await answers(port):
            if process.returncode is not None:
                raise RuntimeError(f"nginx did not start: {(folder / 'error.log').read_text()}")
            await asyncio.sleep(0.01)
        yield Nginx(f"http://{HOST}:{port}", port, process.pid, folder)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _edge_lines(*, edge: bool, store: str | None) -> list[str]:
    """The lines of ``nginx.conf`` that edge mode needs; a store needs nginx's Lua module of them."""
    lines = re.findall(r"#edge (.+;)", (DEPLOY / "nginx.conf").read_text(encoding="utf-8"))
    return [line for line in lines if edge or (store and line.startswith("load_module"))]


def _copy_store(folder: Path, store: str | None, log_socket: Path | None) -> None:
    """The files for blobs in a bucket, which is at that address."""
    place = store or "127.0.0.1:8333"
    _copy(
        folder,
        "filestore-s3.conf",
        {"_path /var/cache/nginx/filestore ": f"_path {folder}/slices "},
    )
    _copy(folder, "filestore-store.conf", {"server 127.0.0.1:8333;": f"server {place};"})
    host = {"Host 127.0.0.1:8333;": f"Host {place};"}
    _copy(folder, "filestore-s3-fetch.conf", host | _told(folder, log_socket))
    _copy(folder, "filestore-s3-locations.conf", {})
    _copy(folder, "filestore-edge-s3.conf", {})
    disk, bucket = "include filestore-edge-disk.conf;", "#s3 include filestore-edge-s3.conf;"
    taken = {disk: "", bucket: bucket.removeprefix("#s3 ")} if store else {}
    _copy(folder, "filestore-edge-send.conf", taken)


def _told(folder: Path, log_socket: Path | None) -> dict[str, str]:
    """The lines by which nginx tells what it sends, in effect."""
    if log_socket is None:
        return {}
    return {
        f"#log {_SERVERS_LOG}": f"access_log {folder}/access.log filestore;",
        "#log access_log syslog:server=unix:/run/filestore-gateway/nginx.sock,": (
            f"access_log syslog:server=unix:{log_socket},"
        ),
    }


def _copy(folder: Path, name: str, replacements: Mapping[str, str]) -> Path:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for old, new in replacements.items():
        if text.count(old) != 1:
            raise ValueError(f"{name} has {text.count(old)} times what should be there once: {old}")
        text = text.replace(old, new)
    target = folder / name
    target.write_text(text, encoding="utf-8")
    return target
