"""Scenario 1: nginx asks the gateway once, keeps its decision, and serves the bytes itself."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.bench import Bench
from benchmarks.peers import nginx
from benchmarks.results import Finding
from benchmarks.scenarios.ranges import KIB, measure, settle_ratio
from benchmarks.scenarios.site import IMAGE, Subject, site

EDGE = "nginx edge, authorised"


def cached_decision(bench: Bench, finding: Finding) -> None:
    """4 KiB ranges through our edge configuration, against bare nginx; one worker each."""
    place = site(bench)
    with ExitStack() as stack:
        front = stack.enter_context(nginx.nginx_before(bench, place.gateway, edge=True))
        url = f"{front.url}/files/{IMAGE}"
        subjects = {EDGE: Subject(url, front.pid, front.version, place.thing.headers)}
        subjects |= place.choose(finding, nginx.NAME)
        found = measure(bench, finding, subjects, 4 * KIB)
    settle_ratio(finding, found, "edge / nginx", EDGE, nginx.NAME)
