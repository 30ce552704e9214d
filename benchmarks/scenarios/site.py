"""One image behind every server that can send it, shared by the download scenarios."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, Missing
from benchmarks.children import ChildFailed
from benchmarks.gateway import Gateway, Thing, running_gateway
from benchmarks.peers import aiohttp_peers, caddy, goosebit, nginx
from benchmarks.peers.server import Server
from benchmarks.results import Finding

GATEWAY: Final = "gateway"
IMAGE: Final = "firmware.bin"


@dataclass(frozen=True, slots=True)
class Subject:
    """Where a server has the image, and what it wants to be told."""

    url: str
    pid: int
    version: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Site:
    """The image, the gateway that has it, and everybody by name."""

    image: Path
    gateway: Gateway
    thing: Thing
    subjects: dict[str, Subject]
    missing: dict[str, str] = field(default_factory=dict)

    def choose(self, finding: Finding, *names: str) -> dict[str, Subject]:
        """Those of these subjects that are there; the finding hears of the others."""
        finding.missing |= {n: why for n, why in self.missing.items() if n in names}
        chosen = {name: self.subjects[name] for name in names if name in self.subjects}
        finding.versions |= {name: subject.version for name, subject in chosen.items()}
        return chosen


def site(bench: Bench) -> Site:
    """The site, which stays up until the end of the run."""
    return bench.shared("site", lambda: _open(bench))


def _open(bench: Bench) -> Site:
    image = bench.image(bench.scale.image_bytes)
    files = bench.folder("files")
    (files / IMAGE).hardlink_to(image)
    bench.teller.step("starting the gateway")
    gateway = bench.stack.enter_context(
        running_gateway(
            bench,
            "site",
            accel="/_blobs",
            trusted_proxies="127.0.0.0/8",
            max_concurrent_requests="50000",
        )
    )
    thing = gateway.new_thing("bench")
    gateway.upload(thing, image, IMAGE)
    own = Subject(gateway.file_url(IMAGE), gateway.pid, "this tree", thing.headers)
    opened = Site(image, gateway, thing, {GATEWAY: own})
    _add(bench, opened, nginx.NAME, lambda: nginx.nginx_static(bench, files))
    _add(
        bench,
        opened,
        aiohttp_peers.FILE_RESPONSE,
        lambda: aiohttp_peers.file_response(bench, files),
    )
    _add(bench, opened, caddy.NAME, lambda: caddy.caddy_static(bench, files))
    _add(bench, opened, goosebit.NAME, lambda: goosebit.goosebit(bench, image), path="")
    return opened


def _add(
    bench: Bench,
    opened: Site,
    name: str,
    start: Callable[[], AbstractContextManager[Server]],
    *,
    path: str = f"/{IMAGE}",
) -> None:
    bench.teller.step(f"starting {name}")
    try:
        server = bench.stack.enter_context(start())
    except (Missing, ChildFailed) as exc:
        opened.missing[name] = str(exc)
    else:
        opened.subjects[name] = Subject(f"{server.url}{path}", server.pid, server.version)
