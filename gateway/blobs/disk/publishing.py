"""Sealed uploads get their permanent names, many with one sync of their folder.

A folder's sync costs more than that of a small file and lets only one thread in; so whatever was
sealed while the threads were busy goes together: all are written, then all are synced (a file
system with a journal commits it with the first, for all), then all get their names, and are told at
once.

Rule: the bytes are synced first, a name is given by a link that cannot overwrite, and nobody
hears of it before the folder is synced. What fails has no name.
"""

from __future__ import annotations

import contextlib
import os
from asyncio import Future
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Final
from uuid import UUID

from gateway.blobs.disk.folders import Disk, disk_errors
from gateway.model.file import Scope

_MOST_TOGETHER: Final = 16  # that many descriptors are open in a thread


@dataclass(eq=False, slots=True)
class Sealing:
    """An upload about to become permanent: ``store`` writes its part, ``sync`` syncs and closes it.

    ``outcome`` is done on its own loop: with nothing, ``StorageFull`` or ``StorageFailed``.
    """

    part: str
    blob_id: UUID
    scope: Scope
    store: Callable[[], None]
    sync: Callable[[], None]
    outcome: Future[None]
    failure: BaseException | None = None

    @property
    def name(self) -> str:
        """The permanent name."""
        return str(self.blob_id)

    def tell(self) -> None:
        """Let whoever waits go on; on the loop."""
        if self.outcome.done():
            return
        if self.failure is None:
            self.outcome.set_result(None)
        else:
            self.outcome.set_exception(self.failure)


class Publisher:
    """Threads that make uploads permanent: a few for small ones, together, more for large ones."""

    def __init__(self, disk: Disk, *, together: int, alone: int) -> None:
        self._disk = disk
        self._together = ThreadPoolExecutor(together, "blob-publish")
        self._alone = ThreadPoolExecutor(alone, "blob-seal")
        self._lock = Lock()
        self._waiting: list[Sealing] = []
        self._idle = together

    def close(self) -> None:
        """Wait until everything submitted has its outcome."""
        self._together.shutdown()
        self._alone.shutdown()

    def submit(self, sealing: Sealing, *, alone: bool) -> None:
        """Have ``sealing`` published, or fail; its outcome will tell.

        ``alone`` if storing it takes so long that others should not wait for it.
        """
        if alone:
            self._alone.submit(publish, self._disk, [sealing])
            return
        with self._lock:
            self._waiting.append(sealing)
            send, self._idle = self._idle > 0, max(0, self._idle - 1)
        if send:
            self._together.submit(self._publish_waiting)

    def _publish_waiting(self) -> None:
        while group := self._take():
            publish(self._disk, group)

    def _take(self) -> list[Sealing]:
        with self._lock:
            group, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
            self._idle += not group
        return group


def publish(disk: Disk, sealings: Sequence[Sealing]) -> None:
    """Store the uploads and give them their names, durably; each has its own outcome."""
    for sealing in sealings:
        with _failing([sealing]):
            sealing.store()
    stored: defaultdict[Scope, list[Sealing]] = defaultdict(list)
    for sealing in sealings:
        if sealing.failure is None:
            with _failing([sealing]):
                sealing.sync()
                stored[sealing.scope].append(sealing)
    for scope, together in stored.items():
        with _failing(together), disk_errors(), disk.opened(scope) as folder:
            _give_names(disk, together, folder)
    for sealing in sealings:
        if sealing.failure is None:
            with contextlib.suppress(OSError):  # a second name of the same bytes, for the sweeper
                os.unlink(sealing.part, dir_fd=disk.incoming)
    _tell(sealings)


def _tell(sealings: Sequence[Sealing]) -> None:
    """Wake the loop once for all."""

    def tell_all() -> None:
        for sealing in sealings:
            sealing.tell()

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        sealings[0].outcome.get_loop().call_soon_threadsafe(tell_all)


def _give_names(disk: Disk, sealings: Sequence[Sealing], folder: int) -> None:
    """A name in ``folder`` for each; raises ``OSError`` if none of them is durable."""
    for sealing in sealings:
        with _failing([sealing]), disk_errors():
            os.link(sealing.part, sealing.name, src_dir_fd=disk.incoming, dst_dir_fd=folder)
    try:
        disk.sync(folder)
    except OSError:
        for sealing in sealings:
            if sealing.failure is None:
                os.unlink(sealing.name, dir_fd=folder)
        raise


@contextlib.contextmanager
def _failing(sealings: Sequence[Sealing]) -> Iterator[None]:
    """Whatever is raised is the failure of those that have none yet."""
    try:
        yield
    except BaseException as exc:  # noqa: BLE001 - a thread has nobody else to tell
        for sealing in sealings:
            sealing.failure = sealing.failure or exc
