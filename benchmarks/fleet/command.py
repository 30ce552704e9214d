"""``python -m benchmarks fleet``: the simulator, aimed by its user."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.children import ChildFailed
from benchmarks.fleet.aim import OWNER_FLAG, Refused, aim_at
from benchmarks.fleet.mission import (
    DEFAULT_MIX,
    Conditions,
    Mission,
    bandwidth_of,
    mix_of,
    size_of,
)
from benchmarks.fleet.plans import PROFILES
from benchmarks.fleet.reference import fetch_reference
from benchmarks.fleet.simulate import Flight, State, simulate
from benchmarks.fleet.tally import TALLY
from benchmarks.stats import percentile


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
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--mix", type=mix_of, default=dict(DEFAULT_MIX), help=f"of {', '.join(PROFILES)}"
    )
    parser.add_argument(
        "--bandwidth", type=bandwidth_of, default=(0.0, 0.0), help="bytes/s: 8k or 4k-16k"
    )
    parser.add_argument("--round-trip", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument(
        "--cut-every", type=size_of, default=0.0, metavar="SIZE", help="mean bytes between cuts"
    )
    parser.add_argument("--pause", type=float, default=1.0, help="seconds after a cut")
    parser.add_argument("--ramp", type=float, default=0.0, help="seconds; 0: all at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--image", type=Path, help="the expected bytes; else fetched once")
    parser.add_argument("--json", type=Path, help="write the outcome there, too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fly; 0 if every device has the right image, 1 if not, 2 if refused."""
    console = Console(stderr=True)
    try:
        mission = mission_of(arguments)
        with tempfile.TemporaryDirectory() as folder:
            flight = _fly(mission, arguments, Path(folder), console)
    except (Refused, ChildFailed, OSError) as exc:
        console.print(f"fleet: {exc}", style="red", highlight=False)
        return 2
    console.print(outcome_table(flight))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(shown(flight), indent=1) + "\n")
    return 0 if flight.tally.completed == mission.devices else 1


def mission_of(arguments: argparse.Namespace) -> Mission:
    """The mission that the arguments describe. Raises ``Refused``."""
    target = aim_at(arguments.url, owned=arguments.owned)
    headers = dict(_header(line) for line in arguments.header)
    if arguments.key is not None:
        headers["Authorization"] = f"Thing {arguments.key}"
    slowest, fastest = arguments.bandwidth
    conditions = Conditions(
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
        seed=arguments.seed,
        verify_tls=not arguments.insecure,
    )


def outcome_table(flight: Flight) -> Table:
    """The outcome for the terminal."""
    table = Table(title="fleet", show_header=False)
    for name, value in shown(flight).items():
        table.add_row(name.replace("_", " "), str(value))
    return table


def shown(flight: Flight) -> dict[str, object]:
    """The outcome as plain values, times in seconds."""
    tally = flight.tally
    counted = TALLY.dump_python(tally, exclude={"seconds", "first_bytes", "first_bytes_seen"})
    return {
        **counted,
        "elapsed": round(flight.elapsed, 2),
        "received_per_needed": round(tally.overhead, 4),
        "completion": percentiles(tally.seconds),
        "time_to_first_byte": percentiles(tally.first_bytes),
        "peak_links": flight.peak_links,
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """The usual ones; none of no values."""
    if not values:
        return {}
    return {f"p{p:g}": round(percentile(values, p), 4) for p in (50, 90, 99, 99.9, 100)}


def _fly(mission: Mission, arguments: argparse.Namespace, folder: Path, console: Console) -> Flight:
    if not mission.image:
        path = folder / "image"
        fetch_reference(mission.target, mission.headers, path, verify=mission.verify_tls)
        mission = replace(mission, image=str(path))
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        return simulate(
            mission,
            processes=arguments.processes,
            watch=lambda state: live.update(_progress(state, mission.devices)),
        )


def _progress(state: State, devices: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row(
        f"{state.completed}/{devices} done",
        f"{state.links} links",
        f"{state.failed} failed",
        f"{state.received / 1e6:.1f} MB",
    )
    return table


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or {"\r", "\n"} & set(line):
        raise Refused(f"{line!r} is no header such as `X-Name: value`")
    return name.strip(), value.strip()


def main() -> int:
    """The command by itself."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fleet")
    add_arguments(parser)
    arguments = parser.parse_args()
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
