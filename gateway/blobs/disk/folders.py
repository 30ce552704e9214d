"""The folders of a disk store: room, names, durability. Everything here blocks.

Rule: whoever gets a folder to put a name into gets one that is durable, and so is every folder
that was made for it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

from gateway.blobs.disk.space import Space
from gateway.model.errors import StartupFailed, StorageFailed, StorageFull
from gateway.model.file import Scope
from gateway.settings.fastways import ALL_WAYS, FastWay

_BATCH_BYTES: Final = 512 * 1024
_SMALLEST_BATCH_BYTES: Final = 128 * 1024
_ALL_BATCHES_BYTES: Final = 2 * 1024 * 1024
_FOLDERS_REMEMBERED: Final = 50_000
_PROBE: Final = ".probe-"

READ_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
STAGE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """The operating system's refusals, in our words."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull() from exc
        raise StorageFailed() from exc


class Disk:
    """The folders of one store, and what is known of their health. Blocking."""

    def __init__(
        self, root: Path, *, min_free_bytes: int, ways: frozenset[FastWay] = ALL_WAYS
    ) -> None:
        self.root = root
        self.ways = ways
        self.failed_syncs = 0
        self.writers = 0
        self._durable_folders: set[Scope] = set()
        with disk_errors():
            root.mkdir(mode=0o750, parents=True, exist_ok=True)
            self.incoming = _open_folder(root, "incoming")
            self.blobs = _open_folder(root, "blobs")
            os.fsync(self.incoming)
            os.fsync(self.blobs)
            _sync_folder(root)
            _sync_ancestors(root)
        self.space = Space(self.blobs, min_free_bytes=min_free_bytes)

    def close(self) -> None:
        """Let go of the folders."""
        os.close(self.incoming)
        os.close(self.blobs)

    @property
    def batch_bytes(self) -> int:
        """How much a writer gathers before it writes.

        Less when there are many of them, so that all together hold as much as before.
        """
        share = _ALL_BATCHES_BYTES // (2 * max(self.writers, 1))
        return min(_BATCH_BYTES, max(_SMALLEST_BATCH_BYTES, share))

    def check_layout(self) -> None:
        """Raise ``StartupFailed`` unless a file can move from incoming to blobs by a link."""
        name = f"{_PROBE}{uuid4().hex}.part"
        try:
            os.close(os.open(name, STAGE_FLAGS, 0o640, dir_fd=self.incoming))
            try:
                os.link(name, name, src_dir_fd=self.incoming, dst_dir_fd=self.blobs)
                os.unlink(name, dir_fd=self.blobs)
            finally:
                os.unlink(name, dir_fd=self.incoming)
        except OSError as exc:
            if exc.errno == errno.EXDEV:
                raise StartupFailed("incoming and blobs are not on one file system") from exc
            raise StartupFailed(f"the data directory is not usable: {exc.strerror}") from exc

    def sync(self, descriptor: int) -> None:
        """fsync once. A failure is final for the file and counted against the volume."""
        try:
            os.fsync(descriptor)
        except OSError:
            self.failed_syncs += 1
            raise

    @contextlib.contextmanager
    def opened(self, scope: Scope) -> Iterator[int]:
        """The descriptor of a scope's folder, which is durable itself."""
        if scope not in self._durable_folders:
            kind = _open_folder(None, scope.kind, dir_fd=self.blobs)
            try:
                os.close(_open_folder(None, scope.owner, dir_fd=kind))
                self.sync(kind)
            finally:
                os.close(kind)
            self.sync(self.blobs)
            # Scope folders are never removed, so what was synced once stays so.
            if len(self._durable_folders) >= _FOLDERS_REMEMBERED:
                self._durable_folders.clear()
            self._durable_folders.add(scope)
        folder = os.open(f"{scope.kind}/{scope.owner}", _FOLDER_FLAGS, dir_fd=self.blobs)
        try:
            yield folder
        finally:
            os.close(folder)

    def clear_incoming(self, older_than_seconds: float, *, keep: bool = False) -> int:
        """Remove old parts and probes that nobody holds the lock of; how many.

        With ``keep`` they are counted only.
        """
        limit = time.time() - older_than_seconds
        with disk_errors():
            cleared = sum(
                _clear_leftover(self.incoming, name, limit, keep=keep)
                for name in _names(self.incoming)
                if name.endswith(".part")
            )
            return cleared + sum(
                _clear_leftover(self.blobs, name, limit, keep=keep)
                for name in _names(self.blobs)
                if name.startswith(_PROBE)
            )


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _clear_leftover(folder: int, name: str, limit: float, *, keep: bool) -> bool:
    """Remove the file if it is older than ``limit`` and nobody is writing it; whether it is."""
    with contextlib.suppress(FileNotFoundError, BlockingIOError):
        descriptor = os.open(name, READ_FLAGS, dir_fd=folder)
        try:
            if os.fstat(descriptor).st_mtime > limit:
                return False
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not keep:
                os.unlink(name, dir_fd=folder)
            return True
        finally:
            os.close(descriptor)
    return False


def _open_folder(parent: Path | None, name: str, *, dir_fd: int | None = None) -> int:
    path = str(parent / name) if parent is not None else name
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o750, dir_fd=dir_fd)
    return os.open(path, _FOLDER_FLAGS, dir_fd=dir_fd)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, _FOLDER_FLAGS)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_ancestors(folder: Path) -> None:
    """Whoever made ``folder`` may not have synced its name; without it all below is lost."""
    for ancestor in folder.resolve().parents:
        with contextlib.suppress(PermissionError):  # not ours to read, so not made by us
            _sync_folder(ancestor)
