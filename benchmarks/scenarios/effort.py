"""Scenario 14: processor time per GiB, in and out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from benchmarks.bench import Bench
from benchmarks.curl import download, post_form
from benchmarks.peers import nginx
from benchmarks.procfs import cpu_seconds
from benchmarks.results import GATEWAY, Finding, Series
from benchmarks.rounds import interleaved
from benchmarks.scale import GIB
from benchmarks.scenarios.site import IMAGE, site
from benchmarks.scenarios.uploads import forget_blobs, hooked_gateway
from benchmarks.targets import ROWS


def cpu_per_gib(bench: Bench, finding: Finding) -> None:
    """User and kernel time of the gateway's processes; PostgreSQL's is not in it."""
    image, numbers = bench.image(bench.scale.upload_bytes), count()
    with hooked_gateway(bench, "effort") as gateway:
        thing = gateway.new_thing("bench")
        gateway.upload(thing, image, IMAGE)

        def uploaded() -> None:
            name = f"upload-{next(numbers)}.bin"
            finding.command(post_form(f"{gateway.url}/files", image, name, thing.headers).command)
            gateway.remove(thing, name)

        def downloaded() -> None:
            size = image.stat().st_size
            finding.command(download(gateway.file_url(IMAGE), thing.headers, size).command)

        measured = {
            "uploaded": _effort(uploaded, gateway.pid, image.stat().st_size),
            "downloaded": _effort(downloaded, gateway.pid, image.stat().st_size),
        }
        found = interleaved(finding, measured, bench.scale.rounds)
        forget_blobs(gateway)
    for label, values in found.items():
        finding.settle(ROWS[finding.number].check(label, tuple(values)))
        finding.series.append(Series(GATEWAY, label, "CPU s/GiB", tuple(values)))
        bench.teller.measured(f"{label}: {sorted(values)[len(values) // 2]:.2f} CPU s/GiB")
    _beside(bench, finding)


def _beside(bench: Bench, finding: Finding) -> None:
    """What nginx needs for the same download."""
    place = site(bench)
    for name, subject in place.choose(finding, nginx.NAME).items():
        size = place.image.stat().st_size

        def downloaded(url: str = subject.url, size: int = size) -> None:
            download(url, {}, size)

        effort = _effort(downloaded, subject.pid, size)
        values = tuple(effort() for _ in range(bench.scale.rounds))
        finding.series.append(Series(name, "downloaded", "CPU s/GiB", values))


def _effort(work: Callable[[], None], pid: int, size: int) -> Callable[[], float]:
    def measured() -> float:
        before = cpu_seconds(pid)
        work()
        return (cpu_seconds(pid) - before) / (size / GIB)

    return measured
