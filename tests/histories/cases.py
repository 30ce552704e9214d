"""A case: a few clients of several gateways at a few names of one API, all at once, and the judgement.

Rule: what a case does follows from its seed and number; in which order it happens does not, and is what is tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from tests.histories.apis import Gravwell, Hasura, Mainflux, names_of
from tests.histories.linear import ABSENT, Operation, Saw, Value, Violation, check
from tests.histories.names import Asked, Step
from tests.histories.places import Losant
from tests.tools.gateway import running_gateway
from tests.tools.losant import new_application
from tests.tools.mainflux import sign_in
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, RawConnection, raw_connection

CLIENTS: Final = 6
STEPS: Final = 14
ANSWER_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 3.0
"""A connection that lay longer is given up before the gateway may do so."""

Api = Mainflux | Hasura | Gravwell | Losant


@dataclass(slots=True)
class Stage:
    """Several gateways on one database and folder, and who may ask them.

    ``lag_seconds`` is how old what is read may be: nothing, or what the read cache is allowed.
    """

    ports: Sequence[int]
    apis: Sequence[Callable[[], Api]]
    stack: AsyncExitStack
    lag_seconds: float = 0.0
    _idle: dict[int, list[tuple[float, RawConnection]]] = field(default_factory=dict)

    async def ask(self, port: int, asked: Asked) -> tuple[float, Answer]:
        """When it was sent, on a connection that nobody else uses, and what came back."""
        clock, idle = asyncio.get_running_loop().time, self._idle.setdefault(port, [])
        while idle and idle[-1][0] < clock() - IDLE_SECONDS:
            idle.clear()
        if idle:
            line = idle.pop()[1]
        else:
            line = await self.stack.enter_async_context(raw_connection(port))
        async with asyncio.timeout(ANSWER_SECONDS):
            began = clock()
            await line.send(asked.wire)
            answer = await line.read_answer(method=asked.method)
        if "close" not in answer.head.all("Connection"):
            idle.append((clock(), line))
        return began, answer


@dataclass(slots=True)
class Case:
    """What happens to its names."""

    stage: Stage
    api: Api
    names: Sequence[str]
    version: int
    history: dict[str, list[Operation]] = field(default_factory=dict)
    known: dict[str, Value] = field(default_factory=dict)
    operations: int = 0

    def next_version(self) -> int:
        """One that nothing was written with before."""
        self.version += 1
        return self.version

    async def do(self, step: Step, name: str, port: int) -> None:
        """Take the step and note what its answer means. Raises ``Violation`` for one that means nothing."""
        began, answer = await self.stage.ask(port, step.asked)
        ended = asyncio.get_running_loop().time()
        began -= self.stage.lag_seconds if step.lags else 0.0
        self.operations += 1
        for found in step.means(answer):
            at = found.name or name
            told = f"{step.word} at {port} -> {answer.status}"
            operation = Operation(began, ended, found.saw, found.value, found.left, told)
            self.history.setdefault(at, []).append(operation)
            if found.saw is Saw.THIS:
                self.known[at] = found.value

    async def client(self, pick: random.Random) -> None:
        """One client's part, one step after the other."""
        for _ in range(STEPS):
            name, port = pick.choice(self.names), pick.choice(self.stage.ports)
            known = self.known.get(name)
            step = self.api.step(
                pick, name, self.next_version(), known if isinstance(known, int) else None
            )
            await self.do(step, name, port)

    async def run(self, picks: Iterable[random.Random]) -> None:
        """All clients at once; then every gateway is asked what is there, and it is removed."""
        if isinstance(self.api, Gravwell):
            for name in self.names:
                await self.do(self.api.making(name, self.next_version()), name, self.stage.ports[0])
        await _all(self.client(pick) for pick in picks)
        await asyncio.sleep(self.stage.lag_seconds)
        for name in self.names:
            for port in self.stage.ports:
                await self.do(self.api.read(name), name, port)
            await self.do(self.api.removal(name), name, self.stage.ports[0])

    def judge(self) -> None:
        """Raise ``Violation`` unless every name has a history that is one, and ends with nothing."""
        for name, history in self.history.items():
            if check(history) is not ABSENT:
                raise Violation(f"{name} was removed and is there")


async def run_case(stage: Stage, number: int, seed: object) -> int:
    """How many operations the case came to. Raises ``Violation`` with the history of a name."""
    choose = random.Random(f"{seed}/{number}")
    stem = f"c{number}-{choose.randrange(1 << 32):x}"
    case = Case(stage, choose.choice(stage.apis)(), names_of(stem), number * 1000)
    try:
        await case.run([random.Random(f"{seed}/{number}/{client}") for client in range(CLIENTS)])
        case.judge()
    except Violation as violation:
        raise Violation(
            f"case {number} of seed {seed}, {type(case.api).__name__}: {violation}"
        ) from violation
    return case.operations


@contextlib.asynccontextmanager
async def open_stage(
    folder: Path,
    database_url: str | None,
    *,
    gateways: int = 3,
    module: str = "gateway",
    lag_seconds: float = 0.0,
    **settings: object,
) -> AsyncIterator[Stage]:
    """So many processes of the gateway, and a thing, a group and a user of theirs.

    Without ``database_url`` they share the embedded server of the first.
    """
    chosen = {
        "secret": "s" * 40,
        "trusted_proxies": f"{HOST}/32",
        "access_log": False,
        "read_cache_seconds": lag_seconds,
        "data_dir": folder / "data",
    } | settings
    if database_url is not None:
        chosen["database_url"] = database_url
    async with AsyncExitStack() as stack:
        ports, url = [], ""
        for number in range(gateways):
            own = folder / f"gateway-{number}"
            own.mkdir(parents=True)
            gateway = await stack.enter_async_context(
                running_gateway(own, database_server=None, module=module, **chosen)
            )
            ports.append(gateway.port)
            url = url or gateway.url
        yield Stage(ports, await apis_at(url), stack, lag_seconds)


async def apis_at(url: str) -> Sequence[Callable[[], Api]]:
    """What may be done at that gateway: to files of a new thing, of a new group, of all, of the administrator, of an application."""
    async with aiohttp.ClientSession() as session:
        user = await sign_in(session, url)
        thing = await user.thing()
        group = await user.group("histories", thing.id)
        application = await new_application(user)
    key = (("Authorization", f"Thing {thing.key}"),)
    token = (("Authorization", f"Bearer {user.token}"),)
    trusted = (("X-Hasura-User-Id", "7"), ("X-Hasura-Role", "admin"))
    in_group = f"/groups/{group}/files"
    return (
        lambda: Mainflux(key, "/files", "/files/{}", key),
        lambda: Mainflux(token, in_group, "/groupfiles/{}", key),
        lambda: Hasura(trusted),
        lambda: Gravwell(token),
        lambda: Losant(token, application.id),
    )


async def _all(parts: Iterable[Coroutine[None, None, None]]) -> None:
    """All at once. Raises the first ``Violation`` of several."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except* Violation as several:
        raise several.exceptions[0] from None
