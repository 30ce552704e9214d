"""Scenario 1: nginx asks the gateway once, keeps its decision, and serves the bytes itself."""

from __future__ import annotations

import contextlib
from contextlib import ExitStack
from typing import Final

from benchmarks.bench import Bench
from benchmarks.gateway import Gateway
from benchmarks.peers import nginx
from benchmarks.peers.server import Server
from benchmarks.results import BEFORE, GATEWAY, Finding
from benchmarks.scenarios.ranges import KIB, measure, settle_effort, settle_ratio
from benchmarks.scenarios.site import IMAGE, Subject, site
from benchmarks.stats import ratios

EDGE: Final = "nginx edge, authorised"
_AT_EDGE: Final = {GATEWAY: EDGE, BEFORE: f"{EDGE}, {BEFORE}"}


def _edge(bench: Bench, name: str, gateway: Gateway) -> contextlib.AbstractContextManager[Server]:
    """Our edge before that gateway; each commit has its own files."""
    checkout = bench.before if name == BEFORE else None
    return nginx.nginx_before(bench, gateway, edge=True, checkout=checkout)


def cached_decision(bench: Bench, finding: Finding) -> None:
    """4 KiB ranges through our edge configuration, against bare nginx; one worker each."""
    place = site(bench)
    with ExitStack() as stack:
        files = place.image.parent
        bare = stack.enter_context(nginx.nginx_asking(bench, files, place.gateway, IMAGE))
        plain = f"{bare.url}/{place.image.name}"
        subjects = {
            nginx.ASKING: Subject(plain, bare.pid, bare.version, place.thing.headers),
        }
        for name, holder in place.holders.items():
            front = stack.enter_context(_edge(bench, name, holder.gateway))
            url = f"{front.url}/files/{IMAGE}"
            subjects[_AT_EDGE[name]] = Subject(url, front.pid, front.version, holder.thing.headers)
        subjects |= place.choose(finding, nginx.NAME)
        found = measure(bench, finding, subjects, 4 * KIB)
    settle_ratio(finding, found, "edge / nginx", EDGE, nginx.NAME)
    settle_effort(finding, "edge / nginx, processor time", EDGE, nginx.NAME)
    if before := found.get(_AT_EDGE[BEFORE]):
        finding.beside_before(ratios([r.rate for r in found[EDGE]], [r.rate for r in before]))
    settle_ratio(finding, found, "auth_request alone / nginx", nginx.ASKING, nginx.NAME)
    finding.note(
        f"{nginx.ASKING} asks the gateway, keeps its answer and sends the file, and has none of "
        "what makes our configuration answer as the gateway does: the least that edge mode costs"
    )
