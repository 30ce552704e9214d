"""Scenarios 6 to 8: one large upload at a time by curl, all peers in turns, measured once.

Two are compared only if they promise the same: bytes that are hashed, and on the disk before the
answer. What others do without that is reported, and said to be less.

Before each transfer everything that waits to be written is written, or a peer without fsync
would leave its debt to the next one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, CannotRun, Peer
from benchmarks.children import output_of
from benchmarks.curl import Transfer, post_form, put
from benchmarks.gateway import Gateway, running_gateway, version_of
from benchmarks.peers import aiohttp_peers, disk, limit, nginx, tus
from benchmarks.peers.server import Server
from benchmarks.results import BEFORE, GATEWAY, Aim, Check, Finding, Series, Target
from benchmarks.rounds import interleaved, warm_up
from benchmarks.stats import ratios
from benchmarks.targets import ROWS

DAV_SYNCED: Final = "nginx DAV, sha256sum, sync"
LESS: Final = (
    "nginx DAV alone, the naive handler alone and the tus servers promise less: they sync nothing, "
    "and of them only the naive handler hashes; nobody but the gateway has a row in a database"
)
Upload = Callable[[], Transfer]
_MEMORY_ROUNDS: Final = 3


@dataclass(slots=True)
class Arena:
    """What everybody's uploads took, by the name of the file system, then of the subject."""

    disk: dict[str, list[Transfer]]
    memory: dict[str, list[Transfer]]
    missing: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)


def against_dav(bench: Bench, finding: Finding) -> None:
    """Against nginx DAV, whose file is then hashed and synced; the tus servers beside them."""
    arena = _arena(bench)
    _show(finding, arena, tuple(arena.disk))
    _settle(finding, arena, "gateway / DAV, sha256sum, sync", DAV_SYNCED)
    _report(finding, arena, "gateway / DAV (no hash, no sync)", nginx.DAV)
    finding.note(LESS)
    if disk.NAME in arena.disk:
        values = _ratios(arena.disk, disk.NAME)
        finding.settle(ROWS[finding.number].check("gateway / dd conv=fsync", values, disk.NAME))
        finding.note(
            f"{disk.NAME} writes the same file and syncs it, without network or hash: what the "
            "disk allows to whoever leaves nothing to luck"
        )


def against_naive(bench: Bench, finding: Finding) -> None:
    """Against the handler that one would write with aiohttp's own parts."""
    arena = _arena(bench)
    naive, synced = aiohttp_peers.NAIVE, aiohttp_peers.NAIVE_SYNCED
    _show(finding, arena, (GATEWAY, BEFORE, synced, naive))
    _settle(finding, arena, "gateway / naive + fsync", synced)
    _report(finding, arena, "gateway / naive (no sync)", naive)


def against_limit(bench: Bench, finding: Finding) -> None:
    """Against a bare socket whose body is received, hashed and written on two threads."""
    arena = _arena(bench)
    _show(finding, arena, (GATEWAY, BEFORE, limit.NAME))
    _settle(finding, arena, "gateway / limit", limit.NAME)


@contextmanager
def hooked_gateway(bench: Bench, name: str, *, checkout: Path | None = None) -> Iterator[Gateway]:
    """A gateway that asks a hook, as the upload targets want it."""
    with (
        limit.hook(bench) as hook,
        running_gateway(bench, name, checkout=checkout, hook_url=hook.url) as gateway,
    ):
        yield gateway


def forget_blobs(gateway: Gateway) -> None:
    """Remove the bytes of what was measured, which the gateway itself would do much later."""
    for path in (gateway.data_dir / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()


def _arena(bench: Bench) -> Arena:
    return bench.shared("uploads", lambda: _fight(bench))


def _fight(bench: Bench) -> Arena:
    missing: dict[str, str] = {}
    arena = Arena({}, {}, missing)
    image = bench.image(bench.scale.upload_bytes)
    arena.disk = _measure(bench, image, arena, bench.scale.upload_rounds)
    try:
        rounds = min(_MEMORY_ROUNDS, bench.scale.upload_rounds)
        arena.memory = _measure(bench.in_memory(), image, arena, rounds)
    except CannotRun as exc:
        missing["memory file system"] = str(exc)
    return arena


def _measure(bench: Bench, image: Path, arena: Arena, rounds: int) -> dict[str, list[Transfer]]:
    finding = Finding(0, "")
    with ExitStack() as stack:
        opened = bench.open_peers(stack, finding, _peers(bench, image))
        arena.versions |= {name: version for name, (version, _) in opened.items()}
        place = "memory" if bench.work.is_relative_to("/dev/shm") else "disk"

        def told(name: str, number: int, transfer: Transfer) -> None:
            rate = f"{transfer.rate / 1e6:,.0f} MB/s"
            bench.teller.measured(f"{name} ({place}): {rate} (round {number + 1})")

        bench.teller.step("warming up")
        uploads: dict[str, Upload] = {name: upload for name, (_, upload) in opened.items()}
        warm_up(finding, uploads)
        found = interleaved(finding, uploads, rounds, told=told)
        arena.missing |= {f"{name} ({place})": why for name, why in finding.missing.items()}
        return found


def _peers(bench: Bench, image: Path) -> list[Peer]:
    return [
        Peer(GATEWAY, lambda: _gateway(bench, image, "uploads", None)),
        *_before(bench, image),
        Peer(DAV_SYNCED, lambda: _dav(bench, image, _put_hashed_synced)),
        Peer(nginx.DAV, lambda: _dav(bench, image, _put_only)),
        Peer(
            aiohttp_peers.NAIVE_SYNCED,
            lambda: _naive(aiohttp_peers.naive_upload_synced(bench), image),
        ),
        Peer(aiohttp_peers.NAIVE, lambda: _naive(aiohttp_peers.naive_upload(bench), image)),
        Peer(limit.NAME, lambda: _by_put(limit.socket_limit(bench), image)),
        Peer(disk.NAME, lambda: _disk(bench, image)),
        Peer(tus.NODE, lambda: _by_tus(bench, tus.tus_node, image)),
        Peer(tus.TUSD, lambda: _by_tus(bench, tus.tusd, image)),
    ]


def _before(bench: Bench, image: Path) -> list[Peer]:
    if bench.before is None:
        return []
    return [Peer(BEFORE, lambda: _gateway(bench, image, "uploads-before", bench.before))]


Opened = tuple[str, Upload]


@contextmanager
def _gateway(bench: Bench, image: Path, folder: str, checkout: Path | None) -> Iterator[Opened]:
    with hooked_gateway(bench, folder, checkout=checkout) as gateway:
        thing, numbers = gateway.new_thing("bench"), count()

        def upload() -> Transfer:
            name = f"upload-{next(numbers)}.bin"
            transfer = post_form(f"{gateway.url}/files", image, name, thing.headers)
            gateway.remove(thing, name)
            forget_blobs(gateway)
            return transfer

        yield version_of(checkout), partial(_settled, upload)


@contextmanager
def _dav(
    bench: Bench, image: Path, send: Callable[[str, Path, Path], Transfer]
) -> Iterator[Opened]:
    name = "nginx-synced" if send is _put_hashed_synced else "nginx"
    with nginx.nginx_static(bench, bench.work, name=name) as server:
        stored = bench.work / name / "dav" / "upload.bin"

        def upload() -> Transfer:
            transfer = send(f"{server.url}/dav/upload.bin", image, stored)
            with suppress(FileNotFoundError):
                stored.unlink()
            return transfer

        yield server.version, partial(_settled, upload)


def _put_only(url: str, path: Path, _: Path) -> Transfer:
    return put(url, path)


def _put_hashed_synced(url: str, path: Path, stored: Path) -> Transfer:
    """What a script would do to have the gateway's promise of the bytes from a plain server."""
    sent, began = put(url, path), time.perf_counter()
    for command in (("sha256sum", stored), ("sync", stored), ("sync", stored.parent)):
        output_of(command, timeout=300)
    more = time.perf_counter() - began
    then = f"{sent.command} && sha256sum {stored} && sync {stored}"
    return replace(sent, seconds=sent.seconds + more, command=then)


@contextmanager
def _disk(bench: Bench, image: Path) -> Iterator[Opened]:
    yield disk.version(), partial(_settled, partial(disk.write_synced, bench, image))


@contextmanager
def _naive(opening: AbstractContextManager[Server], image: Path) -> Iterator[Opened]:
    with opening as server:
        upload = partial(post_form, f"{server.url}/", image, "upload.bin", {})
        yield server.version, partial(_settled, upload)


@contextmanager
def _by_put(server: AbstractContextManager[Server], image: Path) -> Iterator[Opened]:
    with server as opened:
        yield opened.version, partial(_settled, partial(put, f"{opened.url}/upload.bin", image))


@contextmanager
def _by_tus(
    bench: Bench, start: Callable[[Bench, str], AbstractContextManager[Server]], image: Path
) -> Iterator[Opened]:
    with limit.hook(bench) as hook, start(bench, hook.url) as opened:
        yield opened.version, partial(_settled, partial(tus.upload, opened, image))


def _settled(upload: Upload) -> Transfer:
    os.sync()
    return upload()


def _show(finding: Finding, arena: Arena, names: tuple[str, ...]) -> None:
    for place, found in (("disk", arena.disk), ("memory file system", arena.memory)):
        for name in names:
            if name in found:
                rates = tuple(_rate(transfer) for transfer in found[name])
                finding.series.append(Series(name, f"upload to {place}", "MB/s", rates))
                finding.command(found[name][0].command)
    finding.missing |= arena.missing
    finding.versions |= {n: v for n, v in arena.versions.items() if n in names}
    finding.note("sync(2) before every transfer, untimed; the gateway's fsync is within its time")


def _settle(finding: Finding, arena: Arena, label: str, peer: str) -> None:
    for name in (GATEWAY, peer):
        if name not in arena.disk:
            raise CannotRun(f"{name}: {arena.missing.get(f'{name} (disk)', 'missing')}")
    finding.settle(ROWS[finding.number].check(label, _ratios(arena.disk, peer), peer))
    if BEFORE in arena.disk:
        finding.beside_before(_ratios(arena.disk, BEFORE))
    if arena.memory.keys() >= {GATEWAY, peer}:
        beside = Check(
            f"{label}, memory file system",
            Target(Aim.REPORTED, unit="x"),
            _ratios(arena.memory, peer),
            peer,
        )
        finding.settle(beside)


def _report(finding: Finding, arena: Arena, label: str, peer: str) -> None:
    """Beside a peer that promises less."""
    if GATEWAY in arena.disk and peer in arena.disk:
        finding.settle(ROWS[finding.number].check(label, _ratios(arena.disk, peer), peer))


def _ratios(found: dict[str, list[Transfer]], peer: str) -> tuple[float, ...]:
    return ratios([_rate(t) for t in found[GATEWAY]], [_rate(t) for t in found[peer]])


def _rate(transfer: Transfer) -> float:
    return transfer.rate / 1e6
