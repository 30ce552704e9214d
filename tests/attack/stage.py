"""Brings an attack and those who are honest together, and judges.

Knows the promise: whoever is honest is served throughout, with a p99 below three times that of a quiet
gateway and no error; the gateway's memory stays below 512 MiB; and seconds after the attacker has left
everything is as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from tests.attack.attacks import ATTACKS, Attack
from tests.attack.honest import Device, Neighbour, Waited, device_of, percentile
from tests.attack.target import Target
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.hook import ALLOW, Decision, HookRequest, Misbehave, running_hook
from tests.tools.mainflux import Thing, User, sign_in, signed_in, upload
from tests.tools.nameserver import running_nameserver
from tests.tools.ports import HOST
from tests.tools.warm import ROOT

PASSWORD = "correct-horse-battery"
MOST_BYTES = 512 * 1024 * 1024
TIMES_QUIET = 3
RECOVERY_SECONDS = 10.0
SAMPLE_SECONDS = 0.1
PATIENCE_SECONDS = 120.0
DISK_BYTES = 900 * 1024 * 1024
LARGE = 32 * 1024 * 1024


@dataclass(slots=True)
class Verdict:
    """What an attack came to. Times in milliseconds, memory in MiB."""

    who: str
    finding: int
    quiet_p99: float
    control_p99: float
    p50: float
    p99: float
    longest: float
    worked_p99: float
    loop_p99: float
    loop_longest: float
    requests: int
    memory: int
    recovered_seconds: float
    errors: list[str]
    neighbour_longest: float
    neighbour_errors: list[str]
    seen: dict[str, int]
    failed: str | None = None
    unmet: list[str] = field(default_factory=list)

    @property
    def times_quiet(self) -> float:
        """How much longer the device waited than on a quiet gateway."""
        return self.p99 / max(self.quiet_p99, 0.001)

    @property
    def times_control(self) -> float:
        """How much longer than while the same attackers were at something else on the same machine."""
        return self.p99 / max(self.control_p99, 0.001)

    @property
    def held_up(self) -> bool:
        """Whether the device waited too long, and for the gateway, not for the attackers' own work here."""
        return min(self.times_quiet, self.times_control) > TIMES_QUIET

    def judge(self, *, timed: bool) -> None:
        """Write down what is not as promised; of times only if they are ``timed``."""
        for unmet, what in (
            (self.failed, "the attack broke off"),
            (self.errors, "the device met errors"),
            (self.neighbour_errors, "the neighbour met errors"),
            (not self.requests, "nothing was downloaded"),
            (self.memory > MOST_BYTES >> 20, "memory"),
            (self.recovered_seconds > RECOVERY_SECONDS, "no recovery"),
            (timed and self.held_up, "p99"),
        ):
            if unmet:
                self.unmet.append(what)

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **asdict(self),
            "times_quiet": round(self.times_quiet, 2),
            "times_control": round(self.times_control, 2),
        }


@dataclass(slots=True)
class Scene:
    """A gateway, who attacks it, and who is to be served."""

    gateway: GatewayProcess
    target: Target
    device: Device
    neighbour: Neighbour


@contextlib.asynccontextmanager
async def scene_of(
    folder: Path, name: str, *, database_server: str | None, scale: float
) -> AsyncIterator[Scene]:
    """A gateway as ``name`` needs it, and everybody who is there; ``small``: as all but the hook do."""
    attack = ATTACKS.get(name, ATTACKS["probes"])
    async with contextlib.AsyncExitStack() as stack:
        settings, receiver = await surroundings(name, stack)
        if attack.fills and scale == 1:
            stack.enter_context(_small_disk(folder / "data"))
            database_server = None  # its own database shares the disk
        gateway = await stack.enter_async_context(
            running_gateway(folder, database_server=database_server, **settings)
        )
        admin = await stack.enter_async_context(signed_in(gateway.url))
        target = await _fresh_user(admin, gateway, scale, receiver)
        neighbour = await _neighbour(admin, attack, stack)
        device = await stack.enter_async_context(device_of(admin, gateway))
        yield Scene(gateway, target, device, neighbour)


async def tried(scene: Scene, name: str, *, seconds: float, timed: bool) -> Verdict:
    """One attack of so many seconds."""
    attack, device, neighbour = ATTACKS[name], scene.device, scene.neighbour
    await asyncio.sleep(min(seconds, 1))
    device.take()
    await asyncio.sleep(min(seconds, 5))
    quiet = device.take()
    working = asyncio.create_task(neighbour.work())
    memory = asyncio.create_task(_most_memory(scene.gateway.pid))
    late = await _lateness(scene)
    async with _attacking(name, scene.target) as said:
        device.take()
        await asyncio.sleep(seconds)
        busy = device.take()
        late = (await _lateness(scene)).since(late)
    recovered = await _recovery(scene)
    memory.cancel()
    control = await _control(scene, name, seconds, sum(said["seen"].values()) / seconds)
    working.cancel()
    await asyncio.gather(working, memory, return_exceptions=True)
    verdict = Verdict(
        attack.who,
        attack.finding,
        quiet_p99=_milliseconds(percentile(quiet.seconds, 0.99)),
        control_p99=_milliseconds(percentile(control.seconds, 0.99)),
        p50=_milliseconds(percentile(busy.seconds, 0.5)),
        p99=_milliseconds(percentile(busy.seconds, 0.99)),
        longest=_milliseconds(max(busy.seconds, default=0)),
        worked_p99=_milliseconds(percentile(busy.worked, 0.99)),
        loop_p99=_milliseconds(late.p99),
        loop_longest=_milliseconds(late.longest),
        requests=len(busy.seconds),
        memory=_peak.get(scene.gateway.pid, 0) >> 20,
        recovered_seconds=round(recovered, 2),
        errors=(quiet.errors + busy.errors)[:10],
        neighbour_longest=round(1e3 * neighbour.longest, 1),
        neighbour_errors=neighbour.errors[:10],
        seen=said["seen"],
        failed=said["failed"],
    )
    verdict.judge(timed=timed)
    return verdict


async def _control(scene: Scene, name: str, seconds: float, rate: float) -> Waited:
    """The same attackers at a sink, which answers as often as the gateway did; the device as before."""
    scene.device.take()
    async with _sink(rate) as port, _attacking(name, replace(scene.target, port=port)):
        scene.device.take()
        await asyncio.sleep(seconds)
        return scene.device.take()


@contextlib.asynccontextmanager
async def _sink(rate: float) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.attack.sink", str(rate)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield int(await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS))
    finally:
        process.kill()
        await process.wait()


@dataclass(frozen=True, slots=True)
class Lateness:
    """How often the gateway's loop was so late, at most (seconds), as it says itself; and the longest."""

    counts: dict[float, float]
    longest: float

    def since(self, before: Lateness) -> Lateness:
        """What has come since then."""
        counts = {le: count - before.counts[le] for le, count in self.counts.items()}
        return Lateness(counts, self.longest)

    @property
    def p99(self) -> float:
        """The bound of the bucket that has it."""
        every = self.counts[float("inf")]
        return next(le for le, count in sorted(self.counts.items()) if count >= 0.99 * every)


async def _lateness(scene: Scene) -> Lateness:
    url = f"{scene.gateway.url}/metrics"
    async with scene.neighbour.user.session.get(url) as answer:
        text = await answer.text()
    found = re.findall(
        r'^gateway_loop_late_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.MULTILINE
    )
    longest = re.search(r"^gateway_loop_longest_seconds (\S+)$", text, re.MULTILINE)
    assert longest is not None, "it is always there"
    return Lateness({float(le): float(count) for le, count in found}, float(longest[1]))


def _milliseconds(seconds: float) -> float:
    return round(1e3 * seconds, 2)


_peak: dict[int, int] = {}


async def _most_memory(pid: int) -> None:
    """The most that the gateway was seen to have, into ``_peak``."""
    _peak[pid] = 0
    while True:
        _peak[pid] = max(_peak[pid], resident_bytes(pid))
        await asyncio.sleep(SAMPLE_SECONDS)


def resident_bytes(pid: int) -> int:
    """What the process has in memory."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")]
    return found[0] if found else 0  # it is ending


@contextlib.asynccontextmanager
async def _attacking(name: str, target: Target) -> AsyncIterator[dict[str, Any]]:
    """The attack in a process of its own; what it was told is there when the block has ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.attack.hostile", name),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    said: dict[str, Any] = {"seen": {}, "failed": "said nothing"}
    try:
        assert process.stdout is not None
        process.stdin.write(target.written().encode() + b"\n")
        await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS)
        yield said
        output, _ = await asyncio.wait_for(process.communicate(b""), PATIENCE_SECONDS)
        said.update(json.loads(output or b"{}"))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _recovery(scene: Scene) -> float:
    """Seconds until a request of each kind does well again, and no device meets an error."""
    began, neighbour = time.perf_counter(), scene.neighbour
    known = list(neighbour.errors)
    while time.perf_counter() - began < 6 * RECOVERY_SECONDS:
        neighbour.errors.clear()
        scene.device.take()
        await neighbour.once()
        if not neighbour.errors and not scene.device.take().errors:
            break
        await asyncio.sleep(SAMPLE_SECONDS)
    neighbour.errors[:] = known
    return time.perf_counter() - began


async def surroundings(
    name: str, stack: contextlib.AsyncExitStack
) -> tuple[dict[str, object], int]:
    """The settings that an attack needs, and the port of a receiver that never answers."""
    if name == "hostile-hook":
        hook = await stack.enter_async_context(running_hook())
        hook.decide = _hanging
        return {"hook_url": hook.url}, 0
    settings: dict[str, object] = {}
    receiver = 0
    if name in {"hostile-receiver", "small"}:
        server = await asyncio.start_server(_never_answers, HOST, 0)
        await stack.enter_async_context(server)
        receiver = server.sockets[0].getsockname()[1]
        settings["webhook_private_targets"] = True
    if name in {"hostile-names", "small"}:
        nameserver = await stack.enter_async_context(running_nameserver())
        settings["webhook_nameservers"] = nameserver.place
    return settings, receiver


def _hanging(request: HookRequest) -> Decision:
    return Misbehave.HANG if "hang" in request.query.get("file_id", "") else ALLOW


async def _never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(1 << 16):
            pass
    writer.close()


@contextlib.contextmanager
def _small_disk(place: Path) -> Iterator[None]:
    """A file system of its own with little room, if this machine lets us; else the watermark has to do."""
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if subprocess.run(mount, check=False).returncode:
        yield
        return
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


async def _fresh_user(admin: User, gateway: GatewayProcess, scale: float, receiver: int) -> Target:
    """Somebody who registered a moment ago, with a thing, a channel and a file."""
    mallory = await _registered(admin, gateway, "mallory@gateway.test", admin.session)
    thing = await mallory.thing()
    async with admin.session.post(
        f"{gateway.url}/channels", json={"name": "c"}, headers=mallory.headers
    ) as answer:
        channel = answer.headers["Location"].rpartition("/")[2]
    ids = {"thing_ids": [thing.id], "channel_ids": [channel]}
    async with admin.session.post(
        f"{gateway.url}/connect", json=ids, headers=mallory.headers
    ) as answer:
        assert answer.status == 200
    size = LARGE if scale == 1 else 1024 * 1024
    await upload(admin.session, f"{gateway.url}/files", thing.headers, "own.bin", bytes(size))
    return Target(gateway.port, mallory.token, thing.key, thing.id, channel, receiver, scale)


async def _neighbour(admin: User, attack: Attack, stack: contextlib.AsyncExitStack) -> Neighbour:
    email = "neighbour@gateway.test"
    session = await stack.enter_async_context(aiohttp.ClientSession())
    user = await _registered(admin, None, email, session)
    thing: Thing = await user.thing()
    return Neighbour(user, email, PASSWORD, thing, adds=not attack.fills)


async def _registered(
    admin: User, gateway: GatewayProcess | None, email: str, session: aiohttp.ClientSession
) -> User:
    """A new account, signed in."""
    said = {"email": email, "password": PASSWORD}
    async with admin.session.post(f"{admin.url}/users", json=said, headers=admin.headers) as answer:
        assert answer.status == 201, await answer.text()
    return await sign_in(session, admin.url, email, PASSWORD)
