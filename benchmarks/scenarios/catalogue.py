"""Scenario 13: whether a million files slow down what devices and lists ask for."""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.gateway import Gateway, Thing, running_gateway
from benchmarks.results import Finding, Latency, Series
from benchmarks.rounds import check_there, interleaved
from benchmarks.scenarios.filling import Filled, fill
from benchmarks.scenarios.ranges import middle_latency
from benchmarks.stats import ratios
from benchmarks.targets import ROWS
from benchmarks.wrk import Load, Loaded, header_lines, run_wrk

_CONNECTIONS: Final = 4
_PATHS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A gateway with so many files, and files of paths for wrk."""

    name: str
    gateway: Gateway
    thing: Thing
    folder: Path


def growing(bench: Bench, finding: Finding) -> None:
    """p99 with many files over p99 with few, for a look-up, a list page and a small range."""
    with ExitStack() as stack:
        few, many = (
            _filled(bench, stack, finding, count)
            for count in (bench.scale.few_files, bench.scale.many_files)
        )
        for label, method, headers in (
            ("look-up", "GET", {"If-None-Match": "*"}),
            ("list page", "GET", {}),
            ("small range", "GET", {"Range": "bytes=0-2047"}),
        ):
            loads = {each.name: _load(bench, each, label, method, headers) for each in (few, many)}
            _measure(bench, finding, label, loads, few.name, many.name)
    finding.note(
        "a look-up is a GET that is answered by 304, because wrk cannot ask HEAD; "
        "the read cache is off, so that the catalogue is asked every time; half of the files "
        f"belong to the thing that asks; {_CONNECTIONS} connections, {_PATHS} random paths"
    )


def _measure(
    bench: Bench, finding: Finding, label: str, loads: dict[str, Load], few: str, many: str
) -> None:
    bench.teller.step(f"{label}: warming up")
    for load in loads.values():
        run_wrk(replace(load, seconds=bench.scale.warm_up_seconds))

    def told(name: str, number: int, loaded: Loaded) -> None:
        bench.teller.measured(f"{label}, {name}: p99 {loaded.at(99):.2f} ms (round {number + 1})")

    calls = {name: partial(run_wrk, load) for name, load in loads.items()}
    found = interleaved(finding, calls, bench.scale.rounds, told=told)
    for name, rounds in found.items():
        p99 = tuple(loaded.at(99) for loaded in rounds)
        finding.series.append(Series(name, f"{label}, p99", "ms", p99))
        rates = tuple(loaded.rate for loaded in rounds)
        finding.series.append(Series(name, f"{label}, rate", "/s", rates))
        finding.latencies.append(Latency(f"{label}, {name}", middle_latency(rounds)))
        finding.command(f"(cd benchmarks/lua && {rounds[0].command})")
    check_there(finding, found, many, few)
    values = ratios([x.at(99) for x in found[many]], [x.at(99) for x in found[few]])
    finding.settle(ROWS[finding.number].check(label, values, few))


def _filled(bench: Bench, stack: ExitStack, finding: Finding, count: int) -> Catalogue:
    name = f"{count} files"
    bench.teller.step(f"filling a catalogue of {name}")
    gateway = stack.enter_context(
        running_gateway(bench, f"catalogue-{count}", read_cache_seconds="0")
    )
    thing = gateway.new_thing("bench")
    filled = asyncio.run(fill(gateway, thing, count, _PATHS))
    finding.series.append(Series(name, "filled by COPY in", "s", (filled.seconds,)))
    bench.teller.measured(f"{name} in {filled.seconds:.1f} s")
    folder = bench.folder(f"paths-{count}")
    _write_paths(folder, filled)
    return Catalogue(name, gateway, thing, folder)


def _write_paths(folder: Path, filled: Filled) -> None:
    rng = random.Random(1)
    named = "".join(f"/files/{name}\n" for name in filled.names)
    (folder / "look-up").write_text(named)
    stored = "".join(f"/files/{name}\n" for name in filled.stored)
    (folder / "small range").write_text(stored)
    offsets = (rng.randrange(max(1, min(filled.own, 500) - 10)) for _ in range(200))
    pages = "".join(f"/files?limit=10&offset={offset}\n" for offset in offsets)
    (folder / "list page").write_text(pages)


def _load(
    bench: Bench, catalogue: Catalogue, label: str, method: str, headers: dict[str, str]
) -> Load:
    paths = str(catalogue.folder / label)
    lines = header_lines({**catalogue.thing.headers, **headers})
    return Load(
        catalogue.gateway.url,
        "names.lua",
        (paths, method, *lines),
        _CONNECTIONS,
        bench.scale.load_seconds,
    )
