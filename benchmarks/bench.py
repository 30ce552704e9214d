"""What scenarios work with: the scale, folders, the database server, and what they tell.

Rule: what several scenarios need is made once, when the first of them asks, and is gone at the
end of the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

import asyncpg

from benchmarks.children import ChildFailed
from benchmarks.results import Finding
from benchmarks.scale import MIB, Scale
from gateway.database.embedded import EmbeddedFailed, embedded_server

T = TypeVar("T")
_MEMORY: Final = Path("/dev/shm")


class CannotRun(Exception):
    """A scenario, or a part of one, cannot be measured here; the message says why."""


class Missing(Exception):
    """A peer is not to be had; the message says why."""


class Teller(Protocol):
    """Whoever watches the run."""

    def step(self, text: str) -> None:
        """What is being done now."""

    def measured(self, text: str) -> None:
        """A figure that was just taken."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Something to compare with: its name, how to open it."""

    name: str
    open: Callable[[], AbstractContextManager[Any]]


@dataclass(slots=True)
class Bench:
    """One run's surroundings."""

    scale: Scale
    work: Path
    cache: Path
    teller: Teller
    install: bool = True
    before: Path | None = None  # another checkout, installed, whose gateway is measured beside ours
    stack: ExitStack = field(default_factory=ExitStack)
    _shared: dict[str, object] = field(default_factory=dict)

    def shared(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` makes, once per run; its failure is remembered too."""
        if name not in self._shared:
            try:
                self._shared[name] = make()
            except (CannotRun, ChildFailed) as exc:
                self._shared[name] = exc
        found = self._shared[name]
        if isinstance(found, CannotRun | ChildFailed):
            raise CannotRun(str(found)) from found
        return cast(T, found)

    def in_memory(self) -> Bench:
        """The same bench, with its folders on the memory file system. Raises ``CannotRun``."""

        def make() -> Path:
            if not _MEMORY.is_dir():
                raise CannotRun(f"there is no {_MEMORY}")
            work = _MEMORY / f"filestore-bench-{os.getpid()}"
            work.mkdir()
            self.stack.callback(shutil.rmtree, work, ignore_errors=True)
            return work

        return replace(self, work=self.shared("memory", make))

    def folder(self, name: str) -> Path:
        """An empty folder of that name."""
        path = self.work / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def image(self, size: int) -> Path:
        """A file of ``size`` random bytes."""

        def make() -> Path:
            path = self.work / f"image-{size}.bin"
            write_random(path, size)
            return path

        return self.shared(f"image {size}", make)

    def database(self, name: str) -> str:
        """The DSN of a new, empty database on the run's own server."""
        server = self.shared("postgres", self._start_postgres)
        asyncio.run(_execute(server, f'drop database if exists "{name}" with (force)'))
        asyncio.run(_execute(server, f'create database "{name}"'))
        return server.replace("/postgres?", f"/{name}?")

    def open_peers(
        self, stack: ExitStack, finding: Finding, peers: Sequence[Peer]
    ) -> dict[str, Any]:
        """The peers that can be opened, by name; why the others cannot is in the finding."""
        opened: dict[str, Any] = {}
        for peer in peers:
            self.teller.step(f"starting {peer.name}")
            try:
                opened[peer.name] = stack.enter_context(peer.open())
            except (Missing, ChildFailed) as exc:
                finding.missing[peer.name] = str(exc)
        return opened

    def _start_postgres(self) -> str:
        try:
            return self.stack.enter_context(embedded_server(self.work / "database", superuser=True))
        except EmbeddedFailed as exc:
            raise CannotRun(str(exc)) from exc


@contextlib.contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A folder of this run's own, gone afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=parent)).resolve()
    work.chmod(0o755)  # PostgreSQL may run as another user
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_random(path: Path, size: int) -> None:
    """A file of bytes that no file system can shrink, the same for every run."""
    rng = random.Random(size)
    with path.open("wb") as file:
        for offset in range(0, size, MIB):
            file.write(rng.randbytes(min(MIB, size - offset)))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
