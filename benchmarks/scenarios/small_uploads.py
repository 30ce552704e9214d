"""Scenario 12: small uploads per second, beside the single-row inserts of the same server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks.bench import Bench, CannotRun, Missing
from benchmarks.peers import pgbench
from benchmarks.results import BEFORE, GATEWAY, Finding, Latency, Series
from benchmarks.rounds import interleaved
from benchmarks.scenarios.ranges import middle_latency
from benchmarks.scenarios.uploads import hooked_gateway
from benchmarks.stats import ratios
from benchmarks.targets import ROWS
from benchmarks.wrk import Load, Loaded, header_lines, run_wrk

PGBENCH: Final = "pgbench"
_SIZE: Final = 64 * 1024


def against_inserts(bench: Bench, finding: Finding) -> None:
    """64 KiB forms with SHA-256, fsync, hook and commit, against pgbench with as many clients."""
    with ExitStack() as stack:
        uploaders = {GATEWAY: stack.enter_context(_uploader(bench, "small", None))}
        if bench.before is not None:
            before = _uploader(bench, "small-before", bench.before)
            uploaders[BEFORE] = stack.enter_context(before)
        insert = _inserter(bench, finding)
        bench.teller.step("warming up")
        for uploader in uploaders.values():
            uploader.upload()
            uploader.loads.clear()

        # What was stored stays until the end: a file system that has just lost thousands of files
        # is slow to make others (ext4 without a journal spares their inodes for half a minute).
        def told(name: str, number: int, rate: float) -> None:
            bench.teller.measured(f"{name}: {rate:,.0f}/s (round {number + 1})")

        subjects = {name: uploader.upload for name, uploader in uploaders.items()}
        found = interleaved({**subjects, PGBENCH: insert}, bench.scale.rounds, told=told)
    for name, uploader in uploaders.items():
        finding.series.append(Series(name, "64 KiB uploads", "/s", tuple(found[name])))
        finding.latencies.append(Latency(name, middle_latency(uploader.loads)))
    finding.series.append(Series(PGBENCH, "inserts", "/s", tuple(found[PGBENCH])))
    finding.command(f"(cd benchmarks/lua && {uploaders[GATEWAY].loads[0].command})")
    values = ratios(found[GATEWAY], found[PGBENCH])
    finding.settle(ROWS[finding.number].check("uploads / inserts", values, PGBENCH))
    if BEFORE in found:
        finding.beside_before(ratios(found[GATEWAY], found[BEFORE]))


@dataclass(slots=True)
class _Uploader:
    """Uploads of new names, by as many clients as the scale says; what each load gave."""

    load: Load
    headers: dict[str, str]
    numbers: Iterator[int] = field(default_factory=count)
    loads: list[Loaded] = field(default_factory=list)

    def upload(self) -> float:
        """One load; uploads per second."""
        name = f"small-{next(self.numbers)}"
        arguments = (str(_SIZE), name, *header_lines(self.headers))
        self.loads.append(run_wrk(replace(self.load, arguments=arguments)))
        return self.loads[-1].rate


@contextmanager
def _uploader(bench: Bench, name: str, checkout: Path | None) -> Iterator[_Uploader]:
    scale = bench.scale
    with hooked_gateway(bench, name, checkout=checkout) as gateway:
        thing = gateway.new_thing("bench")
        load = Load(f"{gateway.url}/files", "forms.lua", (), scale.clients, scale.load_seconds)
        yield _Uploader(load, thing.headers)


def _inserter(bench: Bench, finding: Finding) -> Callable[[], float]:
    import asyncio

    dsn, folder, scale = bench.database("pgbench"), bench.folder("pgbench"), bench.scale
    asyncio.run(_create_table(dsn))
    finding.note(
        f"{scale.clients} clients on both sides, on one PostgreSQL server with fsync on; pgbench "
        "is the program of the embedded PostgreSQL, its script one insert of five columns"
    )

    def insert() -> float:
        try:
            rate, command = pgbench.run_pgbench(dsn, folder, scale.clients, scale.load_seconds)
        except Missing as exc:
            finding.missing[PGBENCH] = str(exc)
            raise CannotRun(str(exc)) from exc
        finding.command(command)
        return rate

    return insert


async def _create_table(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(pgbench.TABLE)
    finally:
        await connection.close()
