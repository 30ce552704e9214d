"""Defects to plant into the product, so that each suite is seen to fail: ``python -m tests.torture SUITE --defect NAME``.

Rule: a defect is one that somebody could have written, and the suite that is named beside it must notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any, Final

from gateway.backup import work
from gateway.blobs.disk.folders import Disk
from gateway.blobs.disk.reader import DiskReader
from gateway.blobs.disk.writer import DiskWriter
from gateway.database import dump
from gateway.filestore import Filestore
from gateway.model.errors import CatalogueUnavailable, Failure
from gateway.web.downloads import decide
from gateway.web.server import stall
from gateway.web.server.listen import HttpServer

VARIABLE: Final = "TORTURE_DEFECT"


def plant() -> None:
    """Whatever the environment names, into this process."""
    if name := os.environ.get(VARIABLE):
        DEFECTS[name]()


def _put(owner: Any, name: str, value: object) -> None:
    setattr(owner, name, value)


def _nothing(*_: object) -> None:
    """Done, it seems."""


def _yes(*_: object) -> bool:
    return True


def _no_sync() -> None:
    """power: nothing is ever synced."""
    _put(Disk, "sync", _nothing)


def _sync_again() -> None:
    """io: a failed fsync is tried again until it succeeds, or for long."""

    def sync(self: Disk, descriptor: int) -> None:
        for _ in range(3):
            with contextlib.suppress(OSError):
                return os.fsync(descriptor)
        raise OSError(5, "it failed again")

    _put(Disk, "sync", sync)


def _part_kept() -> None:
    """io: an upload that failed leaves its part."""

    def drop(self: DiskWriter) -> None:
        self._dropped = True
        self._share.give_back()
        self._close()

    _put(DiskWriter, "_drop", drop)


def _short_is_whole() -> None:
    """io: what is read of a blob that ends early is filled up, and nobody looks."""

    def read(self: DiskReader, offset: int, count: int) -> bytes:
        return os.pread(self._descriptor, count, offset).ljust(count, b"\0")

    _put(DiskReader, "_read_blocking", read)
    _put(DiskReader, "read_ready", _nothing)
    _put(DiskReader, "is_whole", _yes)


def _answer_early() -> None:
    """crash: a removal is answered, and done a moment later."""
    real = Filestore._remove

    async def later(self: Filestore, *arguments: Any) -> None:
        await asyncio.sleep(0.05)
        await real(self, *arguments)

    async def remove(self: Filestore, *arguments: Any) -> None:
        self._commits.add(asyncio.create_task(later(self, *arguments)))

    _put(Filestore, "_remove", remove)


def _bytes_first() -> None:
    """crash: the bytes of a removed file go before its row."""
    real = Filestore._remove

    async def remove(self: Filestore, access: Any, expected: Any, file_id: Any) -> None:
        if file_id is not None:
            record = await self._files.find_by_id(file_id)
        else:
            record = await self._files.find(access.scope, access.name)
        if record is not None and record.blob is not None:
            await self._blobs.remove(record.blob.scope, record.blob.id)
        await real(self, access, expected, file_id)

    _put(Filestore, "_remove", remove)


def _unknown_is_no() -> None:
    """database: a commit whose answer is lost counts as refused, and its blob is removed."""

    async def resolve(self: Filestore, blob: Any) -> Any:
        with contextlib.suppress(Failure):
            await self._blobs.remove(blob.scope, blob.id)
        raise CatalogueUnavailable()

    _put(Filestore, "_resolve", resolve)


def _any_version() -> None:
    """resume: the version that an address names is not looked at."""
    _put(decide, "check_pins", _nothing)


def _cut_all() -> None:
    """restart: a gateway that is told to stop hangs up on everybody."""

    async def stop(self: HttpServer) -> None:
        self.acceptor.close()
        await self.cut()

    _put(HttpServer, "stop", stop)


def _leak() -> None:
    """soak: each upload leaves a descriptor."""
    real = DiskWriter._close

    def close(self: DiskWriter) -> None:
        os.open("/dev/null", os.O_RDONLY)
        real(self)

    _put(DiskWriter, "_close", close)


def _patience() -> None:
    """slow: nobody watches who takes no byte."""
    _put(stall.StallWatch, "watch", _nothing)


def _not_held() -> None:
    """backup: what is replaced while a backup runs is swept at once."""
    _put(dump, "_HOLD", "any_table")


def _nothing_copied() -> None:
    """backup: every blob counts as copied already."""
    _put(work, "_copy_in", _sound)


async def _sound(*_: object) -> None:
    """Nothing is wrong with it."""


DEFECTS: Final[dict[str, Callable[[], None]]] = {
    "no-sync": _no_sync,
    "sync-again": _sync_again,
    "part-kept": _part_kept,
    "short-is-whole": _short_is_whole,
    "answer-early": _answer_early,
    "bytes-first": _bytes_first,
    "unknown-is-no": _unknown_is_no,
    "any-version": _any_version,
    "cut-all": _cut_all,
    "leak": _leak,
    "patience": _patience,
    "not-held": _not_held,
    "nothing-copied": _nothing_copied,
}
