"""B: the power fails after every system call of an operation, in every way a disk may take that.

One case is an operation or two of some API on a real gateway, recorded. Then, for every legal state of the disk after
each call: what a committed row names is whole, and nothing permanent is a lie. Some of the states are laid out for
the real store to open: it serves what is owed, clears what is not, and takes new files.

Rule: a row counts as committed from the moment at which its COMMIT may have been sent.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import random
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from gateway.blobs.disk.store import open_disk_store
from gateway.database.pool import open_database
from gateway.filestore import Filestore
from gateway.model.digest import Digest
from gateway.model.file import Blob, Scope
from gateway.upkeep.sweep import GracePeriods, sweep
from tests.faults.house import House, open_house
from tests.faults.powerloss import Call, Recorder, Tree, crashes, lay_out, picked_up
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database
from tests.torture.apis import Api, World
from tests.torture.callers import add_people, callers_of
from tests.torture.suite import Case, Seen, Stage, Suite, Violated

_LAID_OUT: Final = 40
_SETUP_STEPS: Final = 3
_FORGET: Final = "forget "


class PowerCuts:
    """A gateway whose system calls are recorded, and what its disk would be without power."""

    def __init__(self, house: House, apis: Sequence[Api], rows: asyncpg.Connection, spare: Path):
        self._house, self._apis, self._rows, self._spare = house, apis, rows, spare
        self._settled: Tree = {}

    async def case(self, number: int, choice: random.Random) -> Seen:
        """Record an operation or two, judge every state, recover from some."""
        calls = await self.recorded(number, choice)
        states = self.judged(calls)
        chosen = choice.sample(states, min(_LAID_OUT, len(states)))
        for promised, tree in chosen:
            await self._recovers(promised, tree)
        return Seen({"states": len(chosen), "judged": len(states)})

    async def recorded(self, number: int, choice: random.Random) -> list[Call]:
        """The calls of some steps; those before have settled."""
        api, names = choice.choice(self._apis), (f"p{number}a", f"p{number}b")
        world: World = {}
        for _ in range(choice.randrange(_SETUP_STEPS + 1)):
            world = await _stepped(api, world, names, choice)
        await self._sweep()
        root = self._house.data_dir.parent
        self._settled = picked_up(root)
        recorder = Recorder(root)
        for blob in await self._committed():
            recorder.promise(blob)
        with _recording(recorder):
            for _ in range(choice.choice((1, 1, 2))):
                world = await _stepped(api, world, names, choice)
                await self._forget_what_is_gone(recorder)
                await self._sweep()
        for name in world:
            await api.remove(name)
        await self._sweep()
        return recorder.calls

    def judged(self, calls: Sequence[Call]) -> list[tuple[tuple[str, ...], Tree]]:
        """Every state, each once. Raises ``Violated``."""
        different: dict[Any, tuple[tuple[str, ...], Tree]] = {}
        before = sum(call.kind == "promise" for call in calls[: _first_step(calls)])
        known = {path: content for path, content in self._settled.items() if content is not None}
        sent = {digest for call in calls if (digest := _promised_digest(call))}
        for promised, tree in crashes(calls, self._settled):
            if len(promised) < before:
                continue
            key = (promised, tuple((path, id(content)) for path, content in tree.items()))
            if key not in different:
                different[key] = promised, tree
                _judge(promised, tree, known, sent)
        return list(different.values())

    async def _sweep(self) -> None:
        stores = self._house.stores
        await sweep(stores.blobs, stores.ledger, GracePeriods(-1, -1))

    async def _committed(self) -> set[str]:
        rows = await self._rows.fetch(
            "select b.id, b.kind, b.owner, b.size, b.sha256 from blobs b join files f on f.blob_id = b.id"
        )
        return {_promise(_blob(*row)) for row in rows}

    async def _forget_what_is_gone(self, recorder: Recorder) -> None:
        there = await self._committed()
        for blob in _owed(call.path for call in recorder.calls if call.kind == "promise"):
            if _promise(blob) not in there:
                recorder.promise(_FORGET + _promise(blob))

    async def _recovers(self, promised: Sequence[str], tree: Tree) -> None:
        """The real store opens, serves what is owed, clears what is not, takes a new file."""
        root = self._spare / "after"
        lay_out(tree, root)
        async with open_disk_store(root / "data") as store:
            for blob in _owed(promised):
                reader = await store.open(blob)
                content = await reader.read(0, reader.size)
                reader.close()
                if _sha256(content) != blob.digest.hex:
                    raise Violated(f"{blob.id} is read as something else")
            await store.clear_incoming(older_than_seconds=-1)
            async with store.stage(Scope("things", "after")) as writer:
                await writer.write(b"after the cut")
                await writer.seal()
            left = [path.name for path in (root / "data" / "incoming").iterdir()]
        if left:
            raise Violated(f"left over: {left}")
        shutil.rmtree(root)


def _first_step(calls: Sequence[Call]) -> int:
    """How many of the calls are promises from before the first step."""
    return next((n for n, call in enumerate(calls) if call.kind != "promise"), len(calls))


async def _stepped(api: Api, world: World, names: tuple[str, str], choice: random.Random) -> World:
    step = api.step(world, names, choice)
    status = await step.ask()
    if status >= 300:
        raise Violated(f"{api.name}: {step.kind}: {status}")
    return step.after


@contextlib.contextmanager
def _recording(recorder: Recorder) -> Any:
    """Note system calls, and each blob at the moment from which a row may name it."""
    commit = Filestore._commit

    async def noted(self: Filestore, deposit: Any, blob: Blob) -> Any:
        recorder.promise(_promise(blob))
        return await commit(self, deposit, blob)

    with pytest.MonkeyPatch.context() as patch:
        recorder.install(patch)
        patch.setattr(Filestore, "_commit", noted)
        yield


def _blob(blob_id: UUID, kind: str, owner: str, size: int, digest: bytes) -> Blob:
    return Blob(blob_id, Scope(kind, owner), size, Digest(bytes(digest).hex()))


def _promise(blob: Blob) -> str:
    return f"{blob.id} {blob.scope.kind} {blob.scope.owner} {blob.size} {blob.digest.hex}"


def _kept(promise: str) -> Blob:
    blob_id, kind, owner, size, digest = promise.split()
    return Blob(UUID(blob_id), Scope(kind, owner), int(size), Digest(digest))


def _promised_digest(call: Call) -> str | None:
    return call.path.rpartition(" ")[2] if call.kind == "promise" else None


def _owed(promised: Iterable[str]) -> list[Blob]:
    """What must be there: what was promised and not given up since."""
    owed: dict[str, Blob] = {}
    for promise in promised:
        if promise.startswith(_FORGET):
            owed.pop(promise.removeprefix(_FORGET), None)
        else:
            owed[promise] = _kept(promise)
    return list(owed.values())


def _judge(promised: Sequence[str], tree: Tree, known: dict[str, bytes], sent: set[str]) -> None:
    """Raise ``Violated`` unless all that is owed is whole, and nothing permanent is a lie."""
    for blob in _owed(promised):
        content = tree.get(f"data/blobs/{blob.scope}/{blob.id}")
        if content is None or _sha256(content) != blob.digest.hex:
            raise Violated(f"{blob.id} was promised and is lost")
    for path, content in tree.items():
        if content is None or not path.startswith("data/blobs/") or path in known:
            continue
        if _sha256(content) not in sent and not path.rpartition("/")[2].startswith(".probe-"):
            raise Violated(f"{path} is not what was sent")


@functools.lru_cache(4096)
def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.asynccontextmanager
async def opened_cuts(stage: Stage) -> AsyncIterator[PowerCuts]:
    """A gateway in this process, with somebody for each API."""
    dsn = await new_database(stage.server, copied=True)
    rows = await asyncpg.connect(dsn)
    root = stage.folder / "disk"
    root.mkdir()
    async with open_database(dsn, sql_folders(), connections=2) as database:
        await add_people(database)
    async with (
        open_house(
            dsn,
            root / "data",
            {},
            quota_newcomers="",
            garbage_grace_seconds=0,
            losant_upkeep_seconds=0,
        ) as house,
        aiohttp.ClientSession() as session,
    ):
        apis = await callers_of(session, lambda: house.url)
        yield PowerCuts(house, apis, rows, stage.folder)
    await rows.close()


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """The cases of one gateway."""
    async with opened_cuts(stage) as cuts:
        yield cuts.case


SUITE: Final = Suite(
    name="power",
    what="power cuts after every system call of every operation: every legal state of the disk, "
    "laid out and recovered from",
    unit="states",
    full=5_000,
    small=3,
    opened=opened,
)
