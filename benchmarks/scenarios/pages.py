"""Scenario 19: what each API lists, of few files and of many.

Mainflux and Losant have pages: a hundred of a thousand files, and a hundred of many. Gravwell's
list has none: it is all that the caller may see, here a hundred files, in a deployment with few of
others or with many. Hasura's API lists nothing. Rows are put into the tables as in the scripts for
single lists (``benchmarks.listings``, ``benchmarks.user_files``), without bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import uuid4

import asyncpg

from benchmarks.bench import Bench
from benchmarks.gateway import ADMIN_EMAIL, Gateway, call, running_gateway
from benchmarks.listings import private_file_rows
from benchmarks.results import Finding, Latency, Series
from benchmarks.rounds import check_there, interleaved
from benchmarks.scenarios.ranges import middle_latency
from benchmarks.stats import ratios
from benchmarks.targets import ROWS
from benchmarks.user_files import fill as fill_user_files
from benchmarks.wrk import Load, Loaded, header_lines, run_wrk

PAGE: Final = 100
_MOST: Final = 100_000
_CONNECTIONS: Final = 4
_THINGS_FILES: Final = """
with made as (
    insert into blobs (id, kind, owner, size, sha256)
    select gen_random_uuid(), 'things', $1, n, sha256('x') from generate_series(1, $2::int) n
    returning id, size
), counted as (
    insert into usage (kind, owner, slice, files, bytes)
    select 'things', $1, 0, count(*), sum(size) from made
)
insert into files (id, kind, owner, name, blob_id, content_type, attributes, creator)
select gen_random_uuid(), 'things', $1, 'firmware-' || size || '.bin', id,
       'application/octet-stream',
       jsonb_build_object('class', '', 'format', 'bin', 'time', size), $1
from made
"""


@dataclass(frozen=True, slots=True)
class _List:
    """Where a list is, and what its caller says."""

    url: str
    headers: Mapping[str, str]


def of_each_dialect(bench: Bench, finding: Finding) -> None:
    """The median time of a list where there are many files, over that where there are few."""
    counts = {"few": bench.scale.few_files, "many": min(bench.scale.many_files, _MOST)}
    with ExitStack() as stack:
        lists: dict[str, dict[str, _List]] = {}
        for name, count in counts.items():
            bench.teller.step(f"filling the lists with {count} files")
            gateway = stack.enter_context(running_gateway(bench, f"lists-{name}"))
            lists[name] = asyncio.run(_filled(gateway, count))
        for dialect in lists["few"]:
            _measure(bench, finding, dialect, {name: lists[name][dialect] for name in counts})
    finding.note(
        f"{counts['few']} files and {counts['many']}; {_CONNECTIONS} connections; a page has "
        f"{PAGE} files, and Gravwell's list, which has no pages, all {PAGE} of a user, beside so "
        "many of others; Hasura's API has no list"
    )


def _measure(bench: Bench, finding: Finding, dialect: str, lists: Mapping[str, _List]) -> None:
    loads = {name: _load(bench, each) for name, each in lists.items()}
    bench.teller.step(f"{dialect}: warming up")
    for load in loads.values():
        run_wrk(replace(load, seconds=bench.scale.warm_up_seconds))

    def told(name: str, number: int, loaded: Loaded) -> None:
        said = f"{loaded.rate:,.0f}/s, p50 {loaded.at(50):.2f} ms (round {number + 1})"
        bench.teller.measured(f"{dialect}, {name}: {said}")

    calls = {name: partial(run_wrk, load) for name, load in loads.items()}
    found = interleaved(finding, calls, bench.scale.rounds, told=told)
    for name, rounds in found.items():
        middle = tuple(loaded.at(50) for loaded in rounds)
        finding.series.append(Series(name, f"{dialect}, p50", "ms", middle))
        rates = tuple(loaded.rate for loaded in rounds)
        finding.series.append(Series(name, f"{dialect}, rate", "/s", rates))
        finding.latencies.append(Latency(f"{dialect}, {name}", middle_latency(rounds)))
        finding.command(f"(cd benchmarks/lua && {rounds[0].command})")
    check_there(finding, found, "few", "many")
    values = ratios([x.at(50) for x in found["many"]], [x.at(50) for x in found["few"]])
    finding.settle(ROWS[finding.number].check(dialect, values, "few"))


def _load(bench: Bench, asked: _List) -> Load:
    lines = header_lines(asked.headers)
    return Load(asked.url, "same.lua", lines, _CONNECTIONS, bench.scale.load_seconds)


async def _filled(gateway: Gateway, count: int) -> dict[str, _List]:
    """A list of each API, in a deployment where there are ``count`` files of it."""
    thing = await asyncio.to_thread(gateway.new_thing, "lists")
    user = {"Authorization": f"Bearer {gateway.token}"}
    made = await asyncio.to_thread(
        call, "POST", f"{gateway.url}/applications", {"name": "lists"}, user
    )
    connection = await asyncpg.connect(gateway.dsn)
    try:
        await private_file_rows(connection, made["id"], count)
        admin = str(await connection.fetchval("select id from users where email = $1", ADMIN_EMAIL))
        await fill_user_files(connection, admin, PAGE, admin)
        await fill_user_files(connection, str(uuid4()), count, "another's")
        await connection.execute(_THINGS_FILES, thing.id, count)
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
    finally:
        await connection.close()
    losant = f"/applications/{made['id']}/privateFiles?directory=/"
    return {
        "Mainflux": _List(f"{gateway.url}/files?limit={PAGE}", thing.headers),
        "Losant": _List(f"{gateway.url}{losant}", user),
        "Gravwell": _List(f"{gateway.url}/api/files", user),
    }
