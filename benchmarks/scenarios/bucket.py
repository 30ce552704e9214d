"""Scenarios 20 to 22: blobs in a bucket of a SeaweedFS on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from benchmarks.bench import Bench, CannotRun, Missing
from benchmarks.crowd import Task
from benchmarks.curl import Transfer, download, post_form
from benchmarks.gateway import Gateway, Thing, running_gateway
from benchmarks.peers import nginx, seaweed
from benchmarks.procfs import Sampler, cpu_seconds, pss_bytes
from benchmarks.results import GATEWAY, Finding, Series, Timeline
from benchmarks.rounds import interleaved, warm_up
from benchmarks.scenarios.mixed import crowd, wait_for_connections
from benchmarks.scenarios.ranges import CONNECTIONS, KIB, measure, settle_ratio
from benchmarks.scenarios.site import IMAGE, Subject, site
from benchmarks.stats import ratios
from benchmarks.targets import MIB, ROWS
from benchmarks.wrk import Load, header_lines, run_wrk

if TYPE_CHECKING:
    from tests.tools.seaweed import Engine

SLICES: Final = "nginx slices"
EDGE_SLICES: Final = "nginx slices, edge"
_ALONE: Final = "alone"
_UPLOADS: Final = 16
_UPLOAD_BYTES: Final = 32 * MIB
_FILE_BYTES: Final = 64 * MIB
_READERS: Final = 1_000
_READER_BYTES: Final = 32 * KIB
_UPLOADS_MAY: Final = 64 * MIB


def through_the_store(bench: Bench, finding: Finding) -> None:
    """Whole files in and out, against the client library by itself; what a small range costs."""
    engine, image = _engine(bench), bench.image(bench.scale.upload_bytes)
    with running_gateway(bench, "bucket", **seaweed.settings(engine, "bucket")) as gateway:
        thing = gateway.new_thing("bench")
        gateway.upload(thing, image, IMAGE)
        seaweed.send(engine, image, _ALONE)
        ways = {
            "upload": (
                partial(_uploaded, gateway, thing, image, count()),
                partial(seaweed.send, engine, image, "sent"),
            ),
            "download": (
                partial(download, gateway.file_url(IMAGE), thing.headers, image.stat().st_size),
                partial(seaweed.fetch, engine, _ALONE),
            ),
        }
        for way, (ours, theirs) in ways.items():
            _compare(bench, finding, way, {GATEWAY: ours, seaweed.CLIENT: theirs})
        _settle_cost(bench, finding, gateway, thing)
    finding.note(
        "the store, its client and curl share the machine with the gateway; obstore by itself "
        f"reads the file from the page cache, hashes nothing and sends parts of 5 MiB, "
        f"{seaweed.AT_ONCE} at once"
    )


def by_slices(bench: Bench, finding: Finding) -> None:
    """4 KiB ranges that nginx has in its slices, each authorised, against bare nginx."""
    engine, place = _engine(bench), site(bench)
    told = seaweed.settings(engine, "slices") | {"trusted_proxies": "127.0.0.0/8"}
    with ExitStack() as stack:
        gateway = stack.enter_context(running_gateway(bench, "slices", accel="/_s3", **told))
        thing = gateway.new_thing("bench")
        gateway.upload(thing, place.image, IMAGE)
        subjects = {}
        for name, edge in ((SLICES, False), (EDGE_SLICES, True)):
            front = stack.enter_context(
                nginx.nginx_before(
                    bench, gateway, edge=edge, store=engine.endpoint.removeprefix("http://")
                )
            )
            url = f"{front.url}/files/{IMAGE}"
            subjects[name] = Subject(url, front.pid, front.version, thing.headers)
            download(url, thing.headers, place.image.stat().st_size)
        subjects |= place.choose(finding, nginx.NAME)
        found = measure(bench, finding, subjects, 4 * KIB)
    settle_ratio(finding, found, "slices / nginx", SLICES, nginx.NAME)
    settle_ratio(finding, found, "slices, edge / nginx", EDGE_SLICES, nginx.NAME)


def growth(bench: Bench, finding: Finding) -> None:
    """How far the process grows with uploads and slow readers at once, over what it may."""
    engine, readers = _engine(bench), min(_READERS, bench.scale.stalled)
    told = seaweed.settings(engine, "growth") | {"max_concurrent_requests": "50000"}
    with running_gateway(bench, "growth", **told) as gateway:
        device, sender = gateway.new_thing("device"), gateway.new_thing("sender")
        for number in range(3):
            gateway.upload(sender, bench.image(8 * MIB), f"warm-{number}")
        gateway.upload(device, bench.image(_FILE_BYTES), IMAGE)
        download(gateway.file_url(IMAGE), device.headers, _FILE_BYTES)
        memory = _watched(bench, gateway, device, sender, readers)
    grown, may = memory.peak - memory.first, _UPLOADS_MAY + readers * _READER_BYTES
    label = "growth / (64 MiB + 32 KiB each)"
    finding.settle(ROWS[finding.number].check(label, (grown / may,)))
    points = tuple((round(at, 3), value / MIB) for at, value in memory.points)
    finding.timelines.append(Timeline(GATEWAY, "PSS", "MiB", points))
    bench.teller.measured(f"+{grown / MIB:.1f} MiB of {may / MIB:.1f}")
    finding.note(
        f"{_UPLOADS} uploads of {_UPLOAD_BYTES // MIB} MiB again and again beside {readers} "
        f"devices that read a KiB a second: +{grown / MIB:.1f} MiB, and may be {may / MIB:.1f}"
    )


def _engine(bench: Bench) -> Engine:
    bench.teller.step("starting SeaweedFS")
    try:
        return seaweed.seaweed(bench)
    except Missing as exc:
        raise CannotRun(str(exc)) from exc


def _uploaded(gateway: Gateway, thing: Thing, image: Path, numbers: Iterator[int]) -> Transfer:
    name = f"upload-{next(numbers)}.bin"
    transfer = post_form(f"{gateway.url}/files", image, name, thing.headers)
    gateway.remove(thing, name)
    return transfer


def _compare(
    bench: Bench, finding: Finding, way: str, transfers: dict[str, Callable[[], Transfer]]
) -> None:
    warm_up(finding, transfers)

    def told(name: str, number: int, transfer: Transfer) -> None:
        bench.teller.measured(f"{name}: {transfer.rate / 1e6:,.0f} MB/s {way} ({number + 1})")

    found = interleaved(finding, transfers, bench.scale.upload_rounds, told=told)
    rates = {name: [t.rate / 1e6 for t in rounds] for name, rounds in found.items()}
    for name, values in rates.items():
        finding.series.append(Series(name, way, "MB/s", tuple(values)))
        finding.command(found[name][0].command)
    if GATEWAY not in rates or seaweed.CLIENT not in rates:
        raise CannotRun("one side of the ratio is missing")
    beside = ratios(rates[GATEWAY], rates[seaweed.CLIENT])
    label = f"{way} / obstore"
    finding.settle(ROWS[finding.number].check(label, beside, seaweed.CLIENT))


def _settle_cost(bench: Bench, finding: Finding, gateway: Gateway, thing: Thing) -> None:
    """Processor time of the gateway for a range that it fetches from the store."""
    size, seconds = str(bench.scale.upload_bytes), bench.scale.load_seconds
    arguments = (size, str(4 * KIB), *header_lines(thing.headers))
    load = Load(gateway.file_url(IMAGE), "ranges.lua", arguments, CONNECTIONS, seconds)
    costs, rates = list[float](), list[float]()
    for _ in range(bench.scale.rounds):
        before = cpu_seconds(gateway.pid)
        rate = run_wrk(load).rate
        costs.append(1e3 * (cpu_seconds(gateway.pid) - before) / (rate * seconds))
        rates.append(rate)
    finding.settle(ROWS[finding.number].check("processor per 4 KiB range", tuple(costs)))
    finding.series.append(Series(GATEWAY, "4 KiB ranges", "/s", tuple(rates)))
    bench.teller.measured(f"{costs[0]:.2f} ms for a range of 4 KiB, {rates[0]:,.0f}/s")


def _watched(bench: Bench, gateway: Gateway, device: Thing, sender: Thing, readers: int) -> Sampler:
    port = urlsplit(gateway.url).port or 0
    trickles = Task(port, f"/files/{IMAGE}", device.headers, _FILE_BYTES, readers)
    uploads = Task(port, "/files/sent", sender.headers, _UPLOAD_BYTES, _UPLOADS)
    with Sampler(partial(pss_bytes, gateway.pid)) as memory:
        bench.teller.step(f"{readers} devices, {_UPLOADS} uploads")
        with crowd("trickles", trickles):
            wait_for_connections(gateway, readers)
            with crowd("uploads", uploads):
                time.sleep(5.0 * bench.scale.load_seconds)
    return memory
