"""One image behind every server that can send it, shared by the download scenarios."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, Missing
from benchmarks.children import ChildFailed
from benchmarks.gateway import Gateway, Thing, running_gateway, version_of
from benchmarks.peers import aiohttp_peers, caddy, goosebit, nginx
from benchmarks.peers.server import Server
from benchmarks.results import BEFORE, GATEWAY, Finding

IMAGE: Final = "firmware.bin"


@dataclass(frozen=True, slots=True)
class Subject:
    """Where a server has the image, and what it wants to be told."""

    url: str
    pid: int
    version: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holder:
    """A gateway that has the image, and the thing that may read it."""

    gateway: Gateway
    thing: Thing
    version: str

    @property
    def subject(self) -> Subject:
        """The image there."""
        url = self.gateway.file_url(IMAGE)
        return Subject(url, self.gateway.pid, self.version, self.thing.headers)


@dataclass(slots=True)
class Site:
    """The image, the gateways that have it, and everybody by name."""

    image: Path
    holders: dict[str, Holder]
    subjects: dict[str, Subject]
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def gateway(self) -> Gateway:
        """The gateway of this tree."""
        return self.holders[GATEWAY].gateway

    @property
    def thing(self) -> Thing:
        """Whose the image is there."""
        return self.holders[GATEWAY].thing

    def choose(self, finding: Finding, *names: str) -> dict[str, Subject]:
        """Those of these subjects that are there; the finding hears of the others."""
        if GATEWAY in names:
            names = (*names, BEFORE)
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
    holders = {GATEWAY: _hold(bench, image, "site", None)}
    if bench.before is not None:
        holders[BEFORE] = _hold(bench, image, "before", bench.before)
    opened = Site(image, holders, {name: holder.subject for name, holder in holders.items()})
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


def _hold(bench: Bench, image: Path, name: str, checkout: Path | None) -> Holder:
    bench.teller.step(f"starting the gateway ({name})")
    gateway = bench.stack.enter_context(
        running_gateway(
            bench,
            name,
            checkout=checkout,
            accel="/_blobs",
            trusted_proxies="127.0.0.0/8",
            max_concurrent_requests="50000",
        )
    )
    thing = gateway.new_thing("bench")
    gateway.upload(thing, image, IMAGE)
    return Holder(gateway, thing, version_of(checkout))


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
