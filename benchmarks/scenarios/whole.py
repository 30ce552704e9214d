"""Scenarios 4 and 5: the whole image by curl, one transfer at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.curl import Transfer, download
from benchmarks.peers import aiohttp_peers, caddy, goosebit, nginx
from benchmarks.results import BEFORE, GATEWAY, Finding, Series
from benchmarks.rounds import check_there, interleaved, warm_up
from benchmarks.scenarios.site import IMAGE, Subject, site
from benchmarks.stats import ratios
from benchmarks.targets import ROWS

ACCEL = "nginx + X-Accel"
_BY_ACCEL: Final = {GATEWAY: ACCEL, BEFORE: f"{ACCEL}, {BEFORE}"}


def alone(bench: Bench, finding: Finding) -> None:
    """The gateway alone against nginx; FileResponse, Caddy and gooseBit beside them."""
    names = (GATEWAY, nginx.NAME, aiohttp_peers.FILE_RESPONSE, caddy.NAME, goosebit.NAME)
    _compare(
        bench, finding, site(bench).choose(finding, *names), "gateway / nginx", (GATEWAY, BEFORE)
    )


def by_accel(bench: Bench, finding: Finding) -> None:
    """Our nginx, told by the gateway what to send, against bare nginx; one worker each."""
    place, subjects = site(bench), dict[str, Subject]()
    with ExitStack() as stack:
        for name, holder in place.holders.items():
            front = stack.enter_context(nginx.nginx_before(bench, holder.gateway))
            url = f"{front.url}/files/{IMAGE}"
            subjects[_BY_ACCEL[name]] = Subject(url, front.pid, front.version, holder.thing.headers)
        subjects |= place.choose(finding, nginx.NAME)
        _compare(bench, finding, subjects, "X-Accel / nginx", (ACCEL, _BY_ACCEL[BEFORE]))


def _compare(
    bench: Bench,
    finding: Finding,
    subjects: Mapping[str, Subject],
    label: str,
    own: tuple[str, str],
) -> None:
    ours, before = own
    size, scale = site(bench).image.stat().st_size, bench.scale

    def told(name: str, number: int, transfer: Transfer) -> None:
        bench.teller.measured(f"{name}: {transfer.rate / 1e6:,.0f} MB/s (transfer {number + 1})")

    transfers: dict[str, Callable[[], Transfer]] = {
        name: partial(download, subject.url, subject.headers, size)
        for name, subject in subjects.items()
    }
    bench.teller.step("warming up")
    warm_up(finding, transfers)
    found = interleaved(finding, transfers, scale.rounds * scale.downloads, told=told)
    for name, rounds in found.items():
        finding.series.append(
            Series(name, "whole file", "MB/s", tuple(t.rate / 1e6 for t in rounds))
        )
        first = tuple(t.first_byte * 1000 for t in rounds)
        finding.series.append(Series(name, "time to first byte", "ms", first))
        finding.command(rounds[0].command)
    check_there(finding, found, ours, nginx.NAME)
    rates = {name: [t.rate for t in rounds] for name, rounds in found.items()}
    values = ratios(rates[ours], rates[nginx.NAME])
    finding.settle(ROWS[finding.number].check(label, values, nginx.NAME))
    if before in rates:
        finding.beside_before(ratios(rates[ours], rates[before]))
