"""Scenario 17: ranges over TLS, as devices ask for them: of the edge, and of nginx beside it.

On a kept connection it is wrk's rate that counts. Clients that shake hands anew for each range have
most of the work themselves, and would make everybody look alike; so there it is what the server's
own processes take for a range. The TLS lines of both are those of ``deploy/nginx/nginx.conf``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks.bench import Bench, CannotRun
from benchmarks.handshakes import Task
from benchmarks.machine import ROOT
from benchmarks.peers import nginx
from benchmarks.procfs import running_seconds
from benchmarks.results import Finding, Series
from benchmarks.rounds import check_there, interleaved
from benchmarks.scenarios.ranges import KIB, measure, settle_effort, settle_ratio
from benchmarks.scenarios.site import IMAGE, Site, Subject, site
from benchmarks.stats import ratios
from benchmarks.targets import ROWS
from tests.tools.certificates import Authority

EDGE: Final = "nginx edge, authorised, TLS"
PLAIN: Final = "nginx static, TLS"
_KINDS: Final = {"new connection, resumed": True, "new connection, whole handshake": False}
_CLIENTS: Final = 4
_TIMEOUT: Final = 120.0
_SHIPPED: Final = re.compile(r"^ *#  +(ssl_(?!certificate|client|verify)[^#\n]*;)", re.MULTILINE)
_MOST_FRESH: Final = 0.1
"""The share of connections that may not be resumed though they should: each client's first."""


@dataclass(frozen=True, slots=True)
class _Shaken:
    """Ranges in a second, and milliseconds of the server's processors for each."""

    rate: float
    own: float


def shipped_lines(certificate: Path) -> str:
    """The lines of our deployment files, with that certificate, for a server block.

    Raises ``CannotRun`` if they are not where they were.
    """
    text = (ROOT / "deploy" / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    lines = [line.strip() for line in _SHIPPED.findall(text)]
    if not any(line.startswith("ssl_session_cache") for line in lines):
        raise CannotRun("deploy/nginx/nginx.conf has no TLS lines where they were")
    lines += [f"ssl_certificate {certificate};", f"ssl_certificate_key {certificate};"]
    return "".join(f"        {line}\n" for line in lines)


def over_tls(bench: Bench, finding: Finding) -> None:
    """4 KiB ranges on kept connections, on resumed and on new ones; in turns."""
    place = site(bench)
    with ExitStack() as stack:
        subjects = _opened(bench, stack, place)
        found = measure(bench, finding, subjects, 4 * KIB)
        settle_ratio(finding, found, "kept connection", EDGE, PLAIN)
        settle_effort(finding, "kept connection, processor time", EDGE, PLAIN)
        for label, resumes in _KINDS.items():
            _shake(bench, finding, subjects, label, resumes=resumes)
    finding.note(
        f"new connections: {_CLIENTS} clients in Python, TLS as both sides like it best; the ratio "
        "is that of processor time of nginx for a range. Both have the TLS lines of deploy/nginx"
    )


def _opened(bench: Bench, stack: ExitStack, place: Site) -> dict[str, Subject]:
    folder = bench.folder("tls")
    lines = shipped_lines(Authority(folder).issue("bench").file)
    edge = stack.enter_context(nginx.nginx_before(bench, place.gateway, edge=True, tls=lines))
    static = stack.enter_context(
        nginx.nginx_static(bench, place.image.parent, name="nginx-tls", tls=lines)
    )
    return {
        EDGE: Subject(f"{edge.url}/files/{IMAGE}", edge.pid, edge.version, place.thing.headers),
        PLAIN: Subject(f"{static.url}/{place.image.name}", static.pid, static.version),
    }


def _shake(
    bench: Bench, finding: Finding, subjects: Mapping[str, Subject], label: str, *, resumes: bool
) -> None:
    size = site(bench).image.stat().st_size
    calls = {
        name: partial(_shaken, subject, size, bench.scale.load_seconds, resumes=resumes)
        for name, subject in subjects.items()
    }

    def told(name: str, number: int, shaken: _Shaken) -> None:
        said = f"{shaken.rate:,.0f}/s, {shaken.own:.3f} ms each (round {number + 1})"
        bench.teller.measured(f"{name}, {label}: {said}")

    found = interleaved(finding, calls, bench.scale.rounds, told=told)
    for name, rounds in found.items():
        own, rates = tuple(each.own for each in rounds), tuple(each.rate for each in rounds)
        finding.series.append(Series(name, f"{label}, processor of nginx each", "ms", own))
        finding.series.append(Series(name, f"{label}, rate", "/s", rates))
    check_there(finding, found, EDGE, PLAIN)
    values = ratios([each.own for each in found[PLAIN]], [each.own for each in found[EDGE]])
    finding.settle(ROWS[finding.number].check(label, values, PLAIN))


def _shaken(subject: Subject, size: int, seconds: float, *, resumes: bool) -> _Shaken:
    """Raises ``CannotRun`` if a range does not come, or connections are not as they should be."""
    address = urlsplit(subject.url)
    assert address.port is not None, "a port of our own"
    task = Task(
        port=address.port,
        path=address.path,
        headers=subject.headers,
        size=size,
        span=4 * KIB,
        count=_CLIENTS,
        seconds=float(seconds),
        resumes=resumes,
    )
    before = running_seconds(subject.pid)
    done = subprocess.run(
        (sys.executable, "-m", "benchmarks.handshakes"),
        input=task.written() + "\n",
        cwd=ROOT,
        timeout=_TIMEOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotRun(f"{subject.url}: {done.stderr.strip()[-300:]}")
    used, said = running_seconds(subject.pid) - before, json.loads(done.stdout)
    count, resumed = len(said["waited"]), said["resumed"]
    fresh = count - resumed
    if (fresh > max(_CLIENTS, _MOST_FRESH * count)) if resumes else resumed:
        raise CannotRun(f"{subject.url}: {resumed} of {count} connections were resumed")
    return _Shaken(count / said["seconds"], 1e3 * used / count)
