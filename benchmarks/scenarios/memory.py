"""Scenario 9: how far the gateway's memory grows while large uploads run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.curl import form_command, post_form, post_forms
from benchmarks.gateway import Gateway, Thing
from benchmarks.procfs import Sampler, pss_bytes
from benchmarks.results import BEFORE, Aim, Check, Finding, Target, Timeline
from benchmarks.scenarios.uploads import forget_blobs, hooked_gateway
from benchmarks.targets import MIB, ROWS


def growth(bench: Bench, finding: Finding) -> None:
    """Peak PSS over what it was before, for one upload and for sixteen at once."""
    scale = bench.scale
    for label, grown in _grow(bench, finding, "memory", None).items():
        finding.settle(ROWS[finding.number].check(label, (grown,)))
    if bench.before is not None:
        for label, grown in _grow(bench, finding, "memory-before", bench.before).items():
            target = Target(Aim.REPORTED, unit="MiB")
            finding.settle(Check(f"{label}, {BEFORE}", target, (grown,), BEFORE))
    finding.note("PSS of the serving process from /proc/PID/smaps_rollup, 20 times a second")
    finding.note(
        f"{scale.large_upload_bytes // MIB} MiB at once; {scale.parallel_uploads} x "
        f"{scale.parallel_upload_bytes // MIB} MiB at the same time"
    )


def _grow(bench: Bench, finding: Finding, folder: str, checkout: Path | None) -> dict[str, float]:
    scale, grown = bench.scale, dict[str, float]()
    with hooked_gateway(bench, folder, checkout=checkout) as gateway:
        thing = gateway.new_thing("bench")
        _warm_up(bench, gateway, thing)

        def one() -> None:
            large = _sparse(bench, scale.large_upload_bytes)
            transfer = post_form(f"{gateway.url}/files", large, "large.bin", thing.headers)
            finding.command(transfer.command)

        def many() -> None:
            part = _sparse(bench, scale.parallel_upload_bytes)
            names = [f"parallel-{number}.bin" for number in range(scale.parallel_uploads)]
            url = f"{gateway.url}/files"
            post_forms([form_command(url, part, name, thing.headers) for name in names])

        for label, work in (("one large upload", one), ("16 uploads at once", many)):
            grown[label] = _watch(bench, finding, gateway, label, work)
    return grown


def _watch(
    bench: Bench, finding: Finding, gateway: Gateway, label: str, work: Callable[[], None]
) -> float:
    bench.teller.step(label)
    with Sampler(lambda: pss_bytes(gateway.pid)) as memory:
        work()
    forget_blobs(gateway)
    grown = (memory.peak - memory.first) / MIB
    points = tuple((round(at, 3), value / MIB) for at, value in memory.points)
    name = label if gateway.name == "memory" else f"{label}, {BEFORE}"
    finding.timelines.append(Timeline(name, "PSS", "MiB", points))
    bench.teller.measured(f"{name}: +{grown:.1f} MiB")
    return grown


def _warm_up(bench: Bench, gateway: Gateway, thing: Thing) -> None:
    """Everything that is loaded, started or allocated once."""
    small = _sparse(bench, 8 * MIB)
    for number in range(3):
        gateway.upload(thing, small, f"warm-{number}.bin")


def _sparse(bench: Bench, size: int) -> Path:
    """A file of zeros that takes no room: only its bytes on the wire count here."""
    path = bench.work / f"zeros-{size}.bin"
    with path.open("wb") as file:
        file.truncate(size)
    return path
