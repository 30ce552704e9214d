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
        files = place.image.parent
        bare = stack.enter_context(nginx.nginx_asking(bench, files, place.gateway, IMAGE))
        headers, plain = place.thing.headers, f"{bare.url}/{place.image.name}"
        subjects = {
            EDGE: Subject(f"{front.url}/files/{IMAGE}", front.pid, front.version, headers),
            nginx.ASKING: Subject(plain, bare.pid, bare.version, headers),
        }
        subjects |= place.choose(finding, nginx.NAME)
        found = measure(bench, finding, subjects, 4 * KIB)
    settle_ratio(finding, found, "edge / nginx", EDGE, nginx.NAME)
    settle_ratio(finding, found, "auth_request alone / nginx", nginx.ASKING, nginx.NAME)
    finding.note(
        f"{nginx.ASKING} asks the gateway, keeps its answer and sends the file, and has none of "
        "what makes our configuration answer as the gateway does: the least that edge mode costs"
    )
