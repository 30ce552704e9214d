"""Scenario 12: small uploads, by what each costs and how many there are in a second.

The processor time of the gateway, and of PostgreSQL, is what a busy machine changes least; rates
are those of one machine that has the client and every server on it. The peers promise less, and are
said to: tusd and ``@tus/server`` ask a hook as we do, but neither hash nor sync, and have no row;
the naive handler hashes and syncs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks.bench import Bench, CannotRun, Missing, Peer
from benchmarks.gateway import running_gateway
from benchmarks.peers import aiohttp_peers, limit, pgbench, tus
from benchmarks.peers.server import Server
from benchmarks.procfs import cpu_seconds, lineage_seconds
from benchmarks.results import BEFORE, GATEWAY, Finding, Latency, Series
from benchmarks.rounds import interleaved, warm_up
from benchmarks.scenarios.ranges import middle_latency
from benchmarks.scenarios.uploads import hooked_gateway
from benchmarks.stats import ratios
from benchmarks.targets import ROWS
from benchmarks.wrk import Load, Loaded, header_lines, run_wrk

PGBENCH: Final = "pgbench"
HOOKED: Final = f"{GATEWAY}, with a hook"
HOOKED_BEFORE: Final = f"{BEFORE}, with a hook"
_SIZE: Final = 64 * 1024
_MS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class _Took:
    """One load: uploads per second, and milliseconds of processor for each, here and there."""

    loaded: Loaded | None
    rate: float
    own: float = 0.0
    database: float = 0.0


def beside_peers(bench: Bench, finding: Finding) -> None:
    """64 KiB forms with SHA-256, fsync and commit, by 16 clients; all in turns."""
    with ExitStack() as stack:
        opened = bench.open_peers(stack, finding, _peers(bench))
        subjects: dict[str, Callable[[], _Took]] = {n: each.upload for n, each in opened.items()}
        subjects[PGBENCH] = _inserter(bench, finding)
        bench.teller.step("warming up")
        warm_up(finding, subjects)

        # What was stored stays until the end: a file system that has just lost thousands of files
        # is slow to make others (ext4 without a journal spares their inodes for half a minute).
        def told(name: str, number: int, took: _Took) -> None:
            each = f", {took.own:.2f} ms each" if took.own else ""
            bench.teller.measured(f"{name}: {took.rate:,.0f}/s{each} (round {number + 1})")

        found = interleaved(finding, subjects, bench.scale.rounds, told=told)
    _show(finding, found)
    _settle(finding, found)


def _peers(bench: Bench) -> list[Peer]:
    peers = [
        Peer(GATEWAY, lambda: _gateway(bench, "small", None)),
        Peer(HOOKED, lambda: _gateway(bench, "small-hooked", None, hooked=True)),
    ]
    if bench.before is not None:
        before = bench.before
        peers += [
            Peer(BEFORE, lambda: _gateway(bench, "small-before", before)),
            Peer(
                HOOKED_BEFORE, lambda: _gateway(bench, "small-hooked-before", before, hooked=True)
            ),
        ]
    return [
        *peers,
        Peer(aiohttp_peers.NAIVE_SYNCED, lambda: _naive(bench)),
        Peer(tus.TUSD, lambda: _tus(bench, tus.tusd)),
        Peer(tus.NODE, lambda: _tus(bench, tus.tus_node)),
    ]


def _show(finding: Finding, found: dict[str, list[_Took]]) -> None:
    for name, rounds in found.items():
        what = "inserts" if name == PGBENCH else "64 KiB uploads"
        finding.series.append(Series(name, what, "/s", tuple(took.rate for took in rounds)))
        loads = [took.loaded for took in rounds if took.loaded is not None]
        if loads:
            own = tuple(took.own for took in rounds)
            finding.series.append(Series(name, "processor of the server each", "ms", own))
            finding.latencies.append(Latency(name, middle_latency(loads)))
            finding.command(f"(cd benchmarks/lua && {loads[0].command})")
        if name.startswith(GATEWAY):
            theirs = tuple(took.database for took in rounds)
            finding.series.append(Series(name, "processor of PostgreSQL each", "ms", theirs))


def _settle(finding: Finding, found: dict[str, list[_Took]]) -> None:
    row, rates = ROWS[finding.number], {n: [t.rate for t in each] for n, each in found.items()}
    for label, name in (("processor, no hook", GATEWAY), ("processor, with a hook", HOOKED)):
        if name in found:
            finding.settle(row.check(label, tuple(took.own for took in found[name])))
    if GATEWAY in found:
        theirs = tuple(took.database for took in found[GATEWAY])
        finding.settle(row.check("processor of PostgreSQL", theirs))
    for label, ours, peer in (
        ("uploads / tusd with a hook", HOOKED, tus.TUSD),
        ("uploads / naive + fsync", GATEWAY, aiohttp_peers.NAIVE_SYNCED),
        ("uploads / inserts", GATEWAY, PGBENCH),
    ):
        if rates.keys() >= {ours, peer}:
            finding.settle(row.check(label, ratios(rates[ours], rates[peer]), peer))
    if rates.keys() >= {GATEWAY, BEFORE}:
        finding.beside_before(ratios(rates[GATEWAY], rates[BEFORE]))
    finding.note(
        "tusd and @tus/server ask the same hook, and neither hash nor sync, and have no row: they "
        "promise less. The naive handler hashes and syncs and has no row. pgbench inserts rows"
    )


@dataclass(slots=True)
class _Uploader:
    """Uploads of new names, by as many clients as the scale says."""

    load: Load
    pid: int
    postgres: Path | None = None  # the folder of the server that the gateway has its rows in
    headers: dict[str, str] | None = None
    numbers: Iterator[int] = field(default_factory=count)

    def upload(self) -> _Took:
        """One load."""
        arguments: tuple[str, ...] = (str(_SIZE),)
        if self.headers is not None:
            arguments = (*arguments, f"small-{next(self.numbers)}", *header_lines(self.headers))
        before, database = cpu_seconds(self.pid), self._database_seconds()
        loaded = run_wrk(replace(self.load, arguments=arguments))
        done = loaded.rate * self.load.seconds
        own = (cpu_seconds(self.pid) - before) / done * _MS
        return _Took(loaded, loaded.rate, own, (self._database_seconds() - database) / done * _MS)

    def _database_seconds(self) -> float:
        if self.postgres is None:
            return 0.0
        pid = next(self.postgres.glob("**/postmaster.pid")).read_text().split()[0]
        return lineage_seconds(int(pid))


@contextmanager
def _gateway(
    bench: Bench, name: str, checkout: Path | None, *, hooked: bool = False
) -> Iterator[_Uploader]:
    opening = hooked_gateway if hooked else running_gateway
    with opening(bench, name, checkout=checkout) as gateway:
        thing = gateway.new_thing("bench")
        load = _load(bench, f"{gateway.url}/files", "forms.lua")
        yield _Uploader(load, gateway.pid, bench.work / "database", thing.headers)


@contextmanager
def _naive(bench: Bench) -> Iterator[_Uploader]:
    with aiohttp_peers.naive_upload_synced(bench) as server:
        yield _Uploader(_load(bench, f"{server.url}/", "forms.lua"), server.pid, headers={})


@contextmanager
def _tus(bench: Bench, start: Callable[[Bench, str], object]) -> Iterator[_Uploader]:
    with limit.hook(bench) as hook, ExitStack() as stack:
        server: Server = stack.enter_context(start(bench, hook.url))  # type: ignore[arg-type]
        yield _Uploader(_load(bench, server.url, "creations.lua"), server.pid)


def _load(bench: Bench, url: str, script: str) -> Load:
    return Load(url, script, (), bench.scale.clients, bench.scale.load_seconds)


def _inserter(bench: Bench, finding: Finding) -> Callable[[], _Took]:
    dsn, folder, scale = bench.database("pgbench"), bench.folder("pgbench"), bench.scale
    asyncio.run(_create_table(dsn))
    finding.note(
        f"{scale.clients} clients on both sides, on one PostgreSQL server with fsync on; pgbench "
        "is the program of the embedded PostgreSQL, its script one insert of five columns"
    )

    def insert() -> _Took:
        try:
            rate, command = pgbench.run_pgbench(dsn, folder, scale.clients, scale.load_seconds)
        except Missing as exc:
            raise CannotRun(str(exc)) from exc
        finding.command(command)
        return _Took(None, rate)

    return insert


async def _create_table(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(pgbench.TABLE)
    finally:
        await connection.close()
