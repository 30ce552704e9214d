"""nginx: static files and DAV PUT as anybody would set it up, and our own deployment files."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, CannotRun
from benchmarks.children import HOST, first_line, free_port, running
from benchmarks.gateway import Gateway
from benchmarks.machine import ROOT
from benchmarks.peers.server import Server, binary

NAME: Final = "nginx static"
ASKING: Final = "nginx auth_request alone"
DAV: Final = "nginx DAV PUT"
_CONFIGURATION: Final = """\
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000;
    open_file_cache max=1000;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    {http}
    server {{
        listen {host}:{port}{tls} backlog=4096;
        location / {{ root {files}; }}
        {server}
        location /dav/ {{
            alias {folder}/dav/;
            dav_methods PUT DELETE;
        }}
    }}
}}
"""


# The least that asks a gateway and keeps its answer: no header of ours, nothing that is not plain.
_DECISIONS: Final = "proxy_cache_path {folder}/decisions keys_zone=decisions:1m use_temp_path=off;"
_DECIDED: Final = """
        auth_request /decision;
        location = /decision {{
            internal;
            auth_request off;
            proxy_pass {gateway}/files/{image};
            proxy_method GET;
            proxy_pass_request_headers off;
            proxy_set_header Authorization $http_authorization;
            proxy_set_header X-Filestore-Edge $msec;
            proxy_cache decisions;
            proxy_cache_key "$http_authorization $request_uri";
            proxy_ignore_headers Cache-Control Expires Vary Set-Cookie;
        }}
"""


@contextlib.contextmanager
def nginx_static(
    bench: Bench, files: Path, *, name: str = "nginx", tls: str = ""
) -> Iterator[Server]:
    """One worker that serves ``files``, and takes PUT under ``/dav/``; its folder has that name.

    With ``tls``, lines for its server block, it speaks that alone.
    """
    with _plain(bench, name, files, server=tls, speaks_tls=bool(tls)) as server:
        yield server


@contextlib.contextmanager
def nginx_asking(bench: Bench, files: Path, gateway: Gateway, image: str) -> Iterator[Server]:
    """The same, but the gateway says who may read the file named ``image``, and is remembered.

    What our own configuration costs beyond this is ours; what this costs is nginx's.
    """
    http = _DECISIONS.format(folder=bench.work / "nginx-asking")
    decided = _DECIDED.format(gateway=gateway.url, image=image)
    with _plain(bench, "nginx-asking", files, http=http, server=decided) as server:
        yield server


@contextlib.contextmanager
def _plain(
    bench: Bench,
    name: str,
    files: Path,
    *,
    http: str = "",
    server: str = "",
    speaks_tls: bool = False,
) -> Iterator[Server]:
    program = binary("nginx", "apt install nginx-light")
    folder, port = bench.folder(name), free_port()
    (folder / "dav").mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            user="user root;" if os.geteuid() == 0 else "",
            folder=folder,
            files=files,
            host=HOST,
            port=port,
            http=http,
            server=server,
            tls=" ssl" if speaks_tls else "",
        )
    )
    with _running(program, folder, configuration, port, tls=speaks_tls) as running_server:
        yield running_server


@contextlib.contextmanager
def nginx_before(
    bench: Bench,
    gateway: Gateway,
    *,
    edge: bool = False,
    checkout: Path | None = None,
    tls: str = "",
    store: str | None = None,
) -> Iterator[Server]:
    """Our deployment files, one worker, its access log off as the gateway's is.

    With ``tls``, lines for its server block, it speaks that alone. ``checkout`` is an older tree
    whose own files are taken, ``store`` the ``host:port`` of a bucket that it sends from. Raises
    ``CannotRun`` if the files are not what this module knows how to place.
    """
    from tests.tools import nginx as deployed

    program = binary("nginx", "apt install nginx-light")
    name = f"{'edge' if edge else 'front'}{'-tls' if tls else ''}-of-{gateway.name}"
    folder, port = bench.folder(f"nginx-{name}"), free_port()
    upstream, blobs = gateway.url.removeprefix("http://"), gateway.data_dir / "blobs"
    if checkout is None:
        by_slices = {f"Accel {deployed.ACCEL};": f"Accel {deployed.ACCEL_S3};"} if store else {}
        deployed.render(
            folder,
            edge=edge,
            port=port,
            upstream=upstream,
            blobs=blobs,
            proxy_changes=by_slices,
            store=store,
            tls=tls,
        )
    else:
        _render_as_in(checkout, folder, (str(port), upstream, str(blobs), "edge" if edge else ""))
    configuration = folder / "nginx.conf"
    _silence(configuration, folder)
    with _running(program, folder, configuration, port, tls=bool(tls)) as server:
        yield server


_RENDER: Final = """\
import sys
from pathlib import Path
from tests.tools.nginx import render
folder, port, upstream, blobs, edge = sys.argv[1:]
render(Path(folder), port=int(port), upstream=upstream, blobs=Path(blobs), edge=bool(edge))
"""


def _render_as_in(checkout: Path, folder: Path, places: tuple[str, ...]) -> None:
    """Raises ``CannotRun`` if the older tree cannot render its files."""
    python = checkout / ".venv" / "bin" / "python"
    done = subprocess.run(
        (python, "-c", _RENDER, folder, *places), cwd=checkout, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise CannotRun(f"{checkout.name} renders no nginx files: {done.stderr[-300:]!r}")


def _silence(configuration: Path, folder: Path) -> None:
    """Switch the access log off, and the error log down to what nginx itself logs by default."""
    text = configuration.read_text(encoding="utf-8")
    log = f"access_log {folder}/access.log filestore;"
    if log not in text:
        raise CannotRun(f"{ROOT.name}/deploy/nginx/nginx.conf has no access log where it was")
    text = text.replace(log, "access_log off;").replace("error.log info;", "error.log warn;")
    configuration.write_text(f"daemon off;\n{text}", encoding="utf-8")


@contextlib.contextmanager
def _running(
    program: str, folder: Path, configuration: Path, port: int, *, tls: bool = False
) -> Iterator[Server]:
    command = (program, "-p", folder, "-c", configuration, "-e", folder / "error.log")
    with running(command, log=folder / "output.log", port=port) as child:
        scheme = "https" if tls else "http"
        yield Server(first_line((program, "-v")), f"{scheme}://{HOST}:{port}", child)
