"""One process full of devices: reads a mission from stdin, tells its progress on stdout.

Lines of JSON: ``{"active", "links", "completed", "failed", "received"}`` twice a second, and the
tally as the last one.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import uvloop

from gateway.fleet.device import Device, Field
from gateway.fleet.flash import Image
from gateway.fleet.mission import MISSION, Mission
from gateway.fleet.plans import PROFILES, Profile
from gateway.fleet.tally import TALLY, Tally

_PROGRESS_SECONDS: Final = 0.5
_SPARE_DESCRIPTORS: Final = 100


def main() -> None:
    """Fly the mission on stdin."""
    mission = MISSION.validate_json(sys.stdin.read())
    raise_descriptor_limit(mission.devices + _SPARE_DESCRIPTORS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tally = runner.run(fly(mission))
    sys.stdout.write(json.dumps({"tally": TALLY.dump_python(tally, mode="json")}) + "\n")


def raise_descriptor_limit(wanted: int) -> int:
    """As many descriptors as wanted, or as many as allowed; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
        except (ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def fly(mission: Mission) -> Tally:
    """Every device of the mission; what they went through."""
    image = await asyncio.to_thread(Image.read, Path(mission.image))
    place = Field(mission, image, _tls(mission))
    watch = asyncio.create_task(_tell(place))
    place.deadline = asyncio.get_running_loop().time() + mission.seconds
    async with asyncio.TaskGroup() as group:
        for number, profile in enumerate(crew(mission.mix, mission.devices, mission.seed)):
            rng = random.Random(f"{mission.seed}/{number}")
            group.create_task(_start(place, profile, rng))
    watch.cancel()
    return place.tally


def crew(mix: Mapping[str, int], devices: int, seed: int) -> list[Profile]:
    """A profile for each device: shares as in the mix, in a random order."""
    names = [name for name, share in mix.items() for _ in range(share)]
    profiles = [PROFILES[names[place % len(names)]] for place in range(devices)]
    random.Random(seed).shuffle(profiles)
    return profiles


async def _start(place: Field, profile: Profile, rng: random.Random) -> None:
    place.tally.devices += 1
    await asyncio.sleep(rng.uniform(0, place.mission.ramp))
    await Device(place, profile, rng).update()


async def _tell(place: Field) -> None:
    tally = place.tally
    while True:
        failed = sum(tally.failures.values())
        line = {
            "active": tally.devices - tally.completed - failed,
            "links": place.links,
            "completed": tally.completed,
            "failed": failed,
            "received": tally.received,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(_PROGRESS_SECONDS)


def _tls(mission: Mission) -> ssl.SSLContext | None:
    if not mission.target.tls:
        return None
    context = ssl.create_default_context()
    if not mission.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


if __name__ == "__main__":
    main()
