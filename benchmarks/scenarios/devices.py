"""Scenario 11: ten thousand slow devices at once, on one core, with links that break."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from typing import Final

from benchmarks.bench import Bench
from benchmarks.children import ChildFailed, pinned
from benchmarks.gateway import Gateway, running_gateway
from benchmarks.procfs import Sampler, cpu_seconds, descriptors, pss_bytes
from benchmarks.results import Finding, Latency, Series, Timeline
from benchmarks.targets import MIB, ROWS
from gateway.fleet.aim import aim_at
from gateway.fleet.mission import LinkConditions, Mission
from gateway.fleet.simulate import DEVICES_PER_SOURCE, Flight, State, SwarmFailed, simulate
from gateway.fleet.tally import percentile
from gateway.web.server.acceptor import ceiling_of

_PERCENTS: Final = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)
# RAUC asks for blocks of 128 KiB and begins a cut one again: more cuts, and some never end.
_CUTS_PER_DEVICE: Final = 0.75
_PAUSE_SECONDS: Final = 0.3
# A device whose link is cut is away for a moment, and slow ones overlap the first who are done.
_MORE: Final = 1.06
_OTHERS: Final = 500  # descriptors of a gateway that are no device's
_MIX: Final = {
    "curl": 3, "mender": 3, "swupdate": 3, "zephyr": 3, "esp-idf": 2, "nrf": 1, "rauc": 1,
}  # fmt: skip


def held_at_once(bench: Bench, finding: Finding) -> None:
    """A mixed fleet; every device must end with the right digest."""
    scale, cores = bench.scale, sorted(os.sched_getaffinity(0))
    core = cores[0] if len(cores) > 1 else None
    image = bench.image(scale.device_image_bytes)
    with running_gateway(bench, "devices", cpu=core, keepalive_seconds="60") as gateway:
        thing = gateway.new_thing("fleet")
        gateway.upload(thing, image, "device.bin")
        mission = Mission(
            aim_at(gateway.file_url("device.bin")),
            str(image),
            int(_permitted(finding, scale.devices) * _MORE),
            thing.headers,
            _MIX,
            LinkConditions(
                scale.device_bandwidth * 0.9,
                scale.device_bandwidth * 1.1,
                round_trip=0.05,
                cut_every=scale.device_image_bytes / _CUTS_PER_DEVICE,
                pause=_PAUSE_SECONDS,
            ),
            ramp=scale.ramp_seconds,
        )
        flight = _fly(bench, finding, gateway, mission, cores[-1] if core is not None else None)
    tally = flight.tally
    finding.settle(
        ROWS[finding.number].check("wrong or lost", (float(tally.devices - tally.completed),))
    )
    _show(finding, flight)
    if scale.devices < 10_000:
        finding.note(f"a run of {scale.name} scale does not try to reach the target")
    finding.note(
        f"{mission.devices} devices, {scale.device_image_bytes // 1024} KiB at about "
        f"{scale.device_bandwidth} bytes/s each, 50 ms round trip; the gateway on one core, the "
        "devices on another" + ("" if core is not None else " (there is only one core)")
    )


def _permitted(finding: Finding, wanted: int) -> int:
    """So many devices, or as many as the gateway has descriptors for: others would wait outside."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = ceiling_of(limit) - _OTHERS
    if most < wanted:
        finding.note(f"{limit} descriptors (ulimit -n) are enough for {most} of {wanted} devices")
    return min(wanted, most)


def _fly(
    bench: Bench, finding: Finding, gateway: Gateway, mission: Mission, cpu: int | None
) -> Flight:
    processes = max(2, -(-mission.devices // DEVICES_PER_SOURCE))
    idle, before = descriptors(gateway.pid), cpu_seconds(gateway.pid)

    def watch(state: State) -> None:
        bench.teller.step(f"{state.completed}/{mission.devices} devices done, {state.links} links")

    with (
        Sampler(lambda: pss_bytes(gateway.pid) / MIB, every_seconds=0.5) as memory,
        Sampler(lambda: float(descriptors(gateway.pid) - idle), every_seconds=0.25) as sockets,
    ):
        flight = _simulated(mission, processes, cpu, watch)
    spent = cpu_seconds(gateway.pid) - before
    # The gateway's descriptors count links that the other side has cut already, too.
    held = min(sockets.peak, float(flight.peak_links))
    finding.settle(ROWS[finding.number].check("devices at once", (held,)))
    finding.timelines += [
        Timeline("gateway", "sockets", "connections", tuple(sockets.points)),
        Timeline("gateway", "PSS", "MiB", tuple(memory.points)),
        Timeline("fleet", "links", "connections", tuple(flight.links)),
    ]
    finding.series += [
        Series("gateway", "CPU while the fleet flew", "s", (spent,)),
        Series("gateway", "elapsed", "s", (flight.elapsed,)),
        Series("gateway", "memory per device at the peak", "KiB", (_each(memory, sockets),)),
    ]
    return flight


def _simulated(
    mission: Mission, processes: int, cpu: int | None, watch: Callable[[State], None]
) -> Flight:
    try:
        return simulate(mission, processes=processes, starting=pinned(cpu), watch=watch)
    except SwarmFailed as exc:
        raise ChildFailed(str(exc)) from exc


def _each(memory: Sampler, sockets: Sampler) -> float:
    return (memory.peak - memory.first) * 1024 / max(sockets.peak, 1)


def _show(finding: Finding, flight: Flight) -> None:
    tally = flight.tally
    if tally.first_bytes:
        points = tuple((p, percentile(tally.first_bytes, p) * 1000) for p in _PERCENTS)
        finding.latencies.append(Latency("time to first byte", points))
    for name, unit, value in (
        ("bytes received per byte needed", "x", tally.overhead),
        ("cuts", "", float(tally.cuts)),
        ("connections that the gateway ended", "", float(tally.losses)),
        ("answers of 429 or 503", "", float(tally.refused)),
        ("requests", "", float(tally.requests)),
        ("hashing by the devices", "s", tally.hashing_seconds),
    ):
        finding.series.append(Series("fleet", name, unit, (value,)))
    if tally.seconds:
        times = tuple(percentile(tally.seconds, p) for p in (0, 50, 100))
        finding.series.append(Series("fleet", "completion (least, median, most)", "s", times))
    for reason, count in tally.failures.items():
        finding.note(f"{count} devices failed: {reason}")
    finding.note(f"completed by profile: {tally.by_profile}")
