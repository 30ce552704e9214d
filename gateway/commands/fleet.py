"""``fleet``: devices that download one file over links that break, aimed by the user.

Needs no deployment on this machine, and reads no setting.

Rule: nothing but loopback is connected to unless the user says that the server is theirs; and it
ends: after ``--seconds`` whoever is still on the way has failed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gateway.fleet.aim import OWNER_FLAG, Refused, aim_at
from gateway.fleet.mission import (
    DEFAULT_MIX,
    LinkConditions,
    Mission,
    bandwidth_of,
    count_of,
    mix_of,
    seconds_of,
    size_of,
)
from gateway.fleet.plans import PROFILES
from gateway.fleet.reference import fetched
from gateway.fleet.simulate import Flight, State, SwarmFailed, simulate
from gateway.fleet.tally import TALLY, percentile
from gateway.process.terminal import (
    print_json,
    print_table,
    printable,
    progress,
    size_text,
    wants_json,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--url", required=True, help="the file that every device downloads")
    parser.add_argument("--key", help="sent as `Authorization: Thing KEY`")
    parser.add_argument(
        "--header", action="append", default=[], metavar="NAME: VALUE", help="with each request"
    )
    parser.add_argument(
        OWNER_FLAG,
        dest="owned",
        action="store_true",
        help="aim at something else than loopback: the server is yours to load",
    )
    parser.add_argument("--insecure", action="store_true", help="do not verify the certificate")
    parser.add_argument("--image", type=Path, help="the expected bytes; else fetched once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=count_of, default=1)
    _add_devices(parser)
    _add_links(parser)


def _add_devices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--devices", type=count_of, default=100)
    parser.add_argument(
        "--mix",
        type=mix_of,
        default=dict(DEFAULT_MIX),
        help=f"clients and their shares, such as rauc=2,nrf; of {', '.join(PROFILES)}",
    )
    parser.add_argument(
        "--ramp", type=seconds_of, default=0.0, help="seconds in which they start; 0: all at once"
    )
    parser.add_argument(
        "--seconds",
        type=seconds_of,
        default=3600.0,
        help="whoever is not done by then has failed",
    )


def _add_links(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bandwidth", type=bandwidth_of, default=(0.0, 0.0), help="bytes/s: 8k or 4k-16k"
    )
    parser.add_argument("--round-trip", type=seconds_of, default=0.0, metavar="SECONDS")
    parser.add_argument(
        "--cut-every", type=size_of, default=0.0, metavar="SIZE", help="mean bytes between cuts"
    )
    parser.add_argument("--pause", type=seconds_of, default=1.0, help="seconds after a cut")


def fleet(arguments: argparse.Namespace) -> int:
    """Fly; 0 if every device has the right image, 1 if not, 2 if it cannot begin."""
    try:
        mission = mission_of(arguments)
        with _expected(mission) as complete, progress() as shown:
            flight = simulate(
                complete,
                processes=arguments.processes,
                watch=lambda state: shown.say(_how_far(state, mission.devices)),
            )
    except (Refused, SwarmFailed, OSError) as exc:
        sys.stderr.write(f"filestore-gateway: {printable(str(exc))}\n")
        return 2
    _tell(flight, as_json=arguments.json)
    return 0 if flight.tally.completed == mission.devices else 1


def mission_of(arguments: argparse.Namespace) -> Mission:
    """The mission that the arguments describe. Raises ``Refused``."""
    target = aim_at(arguments.url, owned=arguments.owned)
    headers = dict(_header(line) for line in arguments.header)
    if arguments.key is not None:
        headers["Authorization"] = f"Thing {arguments.key}"
    slowest, fastest = arguments.bandwidth
    conditions = LinkConditions(
        slowest,
        fastest,
        round_trip=arguments.round_trip,
        cut_every=arguments.cut_every,
        pause=arguments.pause,
    )
    return Mission(
        target,
        str(arguments.image or ""),
        arguments.devices,
        headers,
        arguments.mix,
        conditions,
        ramp=arguments.ramp,
        seconds=arguments.seconds,
        seed=arguments.seed,
        verify_tls=not arguments.insecure,
    )


def summary(flight: Flight) -> dict[str, object]:
    """The outcome as plain values, times in seconds."""
    tally = flight.tally
    counted = TALLY.dump_python(tally, exclude={"seconds", "first_bytes", "first_bytes_seen"})
    return {
        **counted,
        "elapsed": round(flight.elapsed, 2),
        "received_per_needed": round(tally.overhead, 4) if tally.needed else None,
        "completion": _percentiles(tally.seconds),
        "time_to_first_byte": _percentiles(tally.first_bytes),
        "peak_links": flight.peak_links,
    }


@contextlib.contextmanager
def _expected(mission: Mission) -> Iterator[Mission]:
    """The mission with the bytes that every device should end with."""
    if mission.image:
        yield mission
        return
    with fetched(mission.target, mission.headers, verify=mission.verify_tls) as path:
        yield replace(mission, image=str(path))


def _tell(flight: Flight, *, as_json: bool) -> None:
    if wants_json(forced=as_json):
        print_json(summary(flight))
    else:
        rows = ((name.replace("_", " "), value) for name, value in summary(flight).items())
        print_table(["fleet", ""], rows)


def _percentiles(values: list[float]) -> dict[str, float]:
    """The usual ones; none of no values."""
    if not values:
        return {}
    return {f"p{p:g}": round(percentile(values, p), 4) for p in (50, 90, 99, 99.9, 100)}


def _how_far(state: State, devices: int) -> str:
    return (
        f"{state.completed}/{devices} done, {state.links} links, {state.failed} failed, "
        f"{size_text(state.received)}"
    )


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or {"\r", "\n"} & set(line):
        raise Refused(f"{line!r} is no header such as `X-Name: value`")
    return name.strip(), value.strip()
