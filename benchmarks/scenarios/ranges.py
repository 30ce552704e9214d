"""Scenarios 2, 3 and 18: random ranges of one image by wrk, 64 connections that stay open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from benchmarks.bench import Bench, CannotRun
from benchmarks.gateway import check_range, running_gateway
from benchmarks.peers import aiohttp_peers, caddy, goosebit, nginx
from benchmarks.procfs import running_seconds
from benchmarks.results import BEFORE, GATEWAY, Finding, Latency, Series
from benchmarks.rounds import check_there, interleaved
from benchmarks.scenarios.site import IMAGE, Subject, site
from benchmarks.stats import ratios
from benchmarks.targets import ROWS
from benchmarks.wrk import Load, Loaded, header_lines, run_wrk

CONNECTIONS: Final = 64
KIB: Final = 1024
EFFORT: Final = "processor of the server each"
_SEVERAL: Final = 8
_ONE: Final = "one range with a request"
_MANY: Final = f"{_SEVERAL} ranges with a request"


def small_ranges(bench: Bench, finding: Finding) -> None:
    """4 KiB: the gateway against FileResponse; nginx, Caddy and gooseBit beside them."""
    names = (GATEWAY, aiohttp_peers.FILE_RESPONSE, nginx.NAME, caddy.NAME, goosebit.NAME)
    subjects = site(bench).choose(finding, *names)
    found = measure(bench, finding, subjects, 4 * KIB)
    settle_ratio(finding, found, "gateway / FileResponse", GATEWAY, aiohttp_peers.FILE_RESPONSE)


def large_ranges(bench: Bench, finding: Finding) -> None:
    """128 KiB: the gateway against nginx; FileResponse and Caddy beside them."""
    names = (GATEWAY, nginx.NAME, aiohttp_peers.FILE_RESPONSE, caddy.NAME)
    subjects = site(bench).choose(finding, *names)
    found = measure(bench, finding, subjects, 128 * KIB)
    settle_ratio(finding, found, "gateway / nginx", GATEWAY, nginx.NAME)


def several_ranges(bench: Bench, finding: Finding) -> None:
    """Eight of 4 KiB with a request, against one with each; both counted in ranges."""
    image = bench.image(bench.scale.image_bytes)
    with running_gateway(bench, "several", several_ranges="true") as gateway:
        thing = gateway.new_thing("bench")
        gateway.upload(thing, image, IMAGE)
        lines, size = header_lines(thing.headers), str(image.stat().st_size)
        one = Load(gateway.file_url(IMAGE), "ranges.lua", (), CONNECTIONS, bench.scale.load_seconds)
        several = (size, str(4 * KIB), str(_SEVERAL), *lines)
        loads = {
            _ONE: replace(one, arguments=(size, str(4 * KIB), *lines)),
            _MANY: replace(one, script="several.lua", arguments=several),
        }
        found = interleaved(
            finding,
            {name: partial(run_wrk, load) for name, load in loads.items()},
            bench.scale.rounds,
        )
    rates = {n: [r.rate * (_SEVERAL if n == _MANY else 1) for r in rs] for n, rs in found.items()}
    for name, rounds in found.items():
        finding.series.append(Series(name, "4 KiB ranges", "/s", tuple(rates[name])))
        finding.command(f"(cd benchmarks/lua && {rounds[0].command})")
        bench.teller.measured(f"{name}: {rates[name][0]:,.0f} ranges/s")
    check_there(finding, found, _MANY, _ONE)
    values = ratios(rates[_MANY], rates[_ONE])
    finding.settle(ROWS[finding.number].check("ranges / ranges", values, _ONE))


def measure(
    bench: Bench, finding: Finding, subjects: Mapping[str, Subject], span: int
) -> dict[str, list[Loaded]]:
    """Everybody's rates, in turns; series, latencies and commands go into the finding."""
    image = site(bench).image
    size, scale = str(image.stat().st_size), bench.scale
    loads, efforts = dict[str, Callable[[], Loaded]](), dict[str, list[float]]()
    for name, subject in subjects.items():
        bench.teller.step(f"{name}: warming up")
        arguments = (size, str(span), *header_lines(subject.headers))
        load = Load(subject.url, "ranges.lua", arguments, CONNECTIONS, scale.load_seconds)
        try:
            check_range(subject.url, subject.headers, image, span)
            run_wrk(replace(load, seconds=scale.warm_up_seconds))
        except CannotRun as exc:
            finding.missing[name] = str(exc)
        else:
            efforts[name] = []
            loads[name] = partial(_run_counting, load, subject.pid, efforts[name])

    def told(name: str, number: int, loaded: Loaded) -> None:
        said = f"{loaded.rate:,.0f} ranges/s, {efforts[name][-1]:.1f} µs each"
        bench.teller.measured(f"{name}: {said} (round {number + 1})")

    found = interleaved(finding, loads, scale.rounds, told=told)
    for name, rounds in found.items():
        finding.series.append(
            Series(name, f"{span // KIB} KiB ranges", "/s", tuple(r.rate for r in rounds))
        )
        finding.series.append(Series(name, EFFORT, "µs", tuple(efforts[name])))
        finding.latencies.append(Latency(name, middle_latency(rounds)))
        finding.command(f"(cd benchmarks/lua && {rounds[0].command})")
    return found


def _run_counting(load: Load, pid: int, efforts: list[float]) -> Loaded:
    """Put the load on, and note how many microseconds of processor each range took the server."""
    before = running_seconds(pid)
    loaded = run_wrk(load)
    efforts.append(1e6 * (running_seconds(pid) - before) / (loaded.rate * load.seconds))
    return loaded


def middle_latency(rounds: list[Loaded]) -> tuple[tuple[float, float], ...]:
    """The latencies of the round whose median is the middle one."""
    ordered = sorted(rounds, key=lambda loaded: loaded.at(50))
    return ordered[len(ordered) // 2].latency


def settle_ratio(
    finding: Finding, found: Mapping[str, list[Loaded]], label: str, ours: str, theirs: str
) -> None:
    """Settle a check of rates. Raises ``CannotRun`` if one side is missing."""
    check_there(finding, found, ours, theirs)
    rates = {name: [r.rate for r in rounds] for name, rounds in found.items()}
    finding.settle(ROWS[finding.number].check(label, ratios(rates[ours], rates[theirs]), theirs))
    if ours == GATEWAY and BEFORE in rates:
        finding.beside_before(ratios(rates[GATEWAY], rates[BEFORE]))


def settle_effort(finding: Finding, label: str, ours: str, theirs: str) -> None:
    """Settle a check of processor time, theirs for a range over ours: the more the better."""
    efforts = {each.subject: each.values for each in finding.series if each.metric == EFFORT}
    if efforts.keys() >= {ours, theirs}:
        values = ratios(efforts[theirs], efforts[ours])
        finding.settle(ROWS[finding.number].check(label, values, theirs))
