"""Scenario 12: small uploads per second, beside the single-row inserts of the same server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Final

import asyncpg

from benchmarks.bench import Bench, CannotRun, Missing
from benchmarks.peers import pgbench
from benchmarks.results import Finding, Latency, Series
from benchmarks.rounds import interleaved
from benchmarks.scenarios.ranges import middle_latency
from benchmarks.scenarios.site import GATEWAY
from benchmarks.scenarios.uploads import hooked_gateway
from benchmarks.stats import ratios
from benchmarks.targets import ROWS
from benchmarks.wrk import Load, Loaded, header_lines, run_wrk

PGBENCH: Final = "pgbench"
_SIZE: Final = 64 * 1024


def against_inserts(bench: Bench, finding: Finding) -> None:
    """64 KiB forms with SHA-256, fsync, hook and commit, against pgbench with as many clients."""
    scale, numbers = bench.scale, count()
    with hooked_gateway(bench, "small") as gateway:
        thing = gateway.new_thing("bench")
        load = Load(f"{gateway.url}/files", "forms.lua", (), scale.clients, scale.load_seconds)
        loads: list[Loaded] = []

        def upload() -> float:
            arguments = (str(_SIZE), f"small-{next(numbers)}", *header_lines(thing.headers))
            loads.append(run_wrk(replace(load, arguments=arguments)))
            return loads[-1].rate

        insert = _inserter(bench, finding)
        bench.teller.step("warming up")
        upload()
        loads.clear()

        # What was stored stays until the end: a file system that has just lost thousands of files
        # is slow to make others (ext4 without a journal spares their inodes for half a minute).
        def told(name: str, number: int, rate: float) -> None:
            bench.teller.measured(f"{name}: {rate:,.0f}/s (round {number + 1})")

        found = interleaved({GATEWAY: upload, PGBENCH: insert}, scale.rounds, told=told)
    finding.series.append(Series(GATEWAY, "64 KiB uploads", "/s", tuple(found[GATEWAY])))
    finding.series.append(Series(PGBENCH, "inserts", "/s", tuple(found[PGBENCH])))
    finding.latencies.append(Latency(GATEWAY, middle_latency(loads)))
    finding.command(f"(cd benchmarks/lua && {loads[0].command})")
    values = ratios(found[GATEWAY], found[PGBENCH])
    finding.settle(ROWS[finding.number].check("uploads / inserts", values, PGBENCH))


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
