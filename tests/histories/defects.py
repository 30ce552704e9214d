"""What must not go unnoticed: gateways that are wrong about time, planted in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from gateway.blobs.disk.reader import DiskReader
from gateway.catalogue.postgres_files import PostgresFiles
from gateway.filestore import Filestore

STALE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Defect:
    """``broken`` is called with the right method and its arguments."""

    owner: Any
    attribute: str
    broken: Callable[..., Any]

    @property
    def planted(self) -> Callable[..., Any]:
        """The wrong method."""
        right = getattr(self.owner, self.attribute)

        @wraps(right)
        async def wrong(*arguments: Any, **named: Any) -> Any:
            return await self.broken(right, *arguments, **named)

        return wrong


_found: dict[object, tuple[float, Any]] = {}
_read: list[bytes] = []


async def _find_as_before(find: Any, files: Any, scope: Any, name: str) -> Any:
    known = _found.get((id(files), scope, name))
    if known is not None and known[0] > time.monotonic():
        return known[1]
    record = await find(files, scope, name)
    _found[id(files), scope, name] = time.monotonic() + STALE_SECONDS, record
    return record


async def _put(_: Any, files: Any, draft: Any, blob: Any, *, creator: str) -> Any:
    return await files.put(draft, blob, creator=creator, expected=None)


async def _expect_nothing(deposit: Any, files: Any, what: Any, writer: Any) -> Any:
    return await deposit(files, replace(what, expected=None), writer)


async def _read_two(read: Any, reader: Any, offset: int, count: int) -> Any:
    """The end of what was read before at the end of what is read."""
    data = bytes(await read(reader, offset, count))
    before = _read.pop() if _read else data
    _read.append(data)
    return data[:-16] + before[-16:] if len(before) == len(data) > 16 else data


async def _remove_by_and_by(remove: Any, files: Any, *arguments: Any, **named: Any) -> Any:
    """It is said before it is done."""

    async def late() -> None:
        await asyncio.sleep(STALE_SECONDS)
        await remove(files, *arguments, **named)

    task = asyncio.create_task(late())
    task.add_done_callback(lambda done: done.exception())


DEFECTS = {
    "a file is found as it was a moment ago": Defect(Filestore, "find", _find_as_before),
    "a create overwrites": Defect(PostgresFiles, "add", _put),
    "If-Match is looked at and not held": Defect(Filestore, "deposit", _expect_nothing),
    "a read is mixed of two files": Defect(DiskReader, "read", _read_two),
    "a removal is said before it is done": Defect(Filestore, "remove", _remove_by_and_by),
}
