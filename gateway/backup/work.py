"""Backing up, verifying and restoring: the order in which things are done.

**Backing up** beside a serving gateway: (1) hold condemned blobs, so that none that the database
names now is swept; (2) fix a moment, list its blobs, dump it; (3) copy the blobs that the vault
has not, each hashed on its way; (4) publish the set. A blob that is missing or damaged is a
finding, and no part of the backup; the rest is.

**Restoring** into an empty deployment: blobs first, then the secret, the database last and in one
transaction: whatever is interrupted is no deployment yet, and is gone on with when it is
repeated. Each blob is hashed again on its way.

Rule: a byte is believed when its digest is that of its row, not because it was copied.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from gateway import __version__
from gateway.backup.vault import (
    BLOBS,
    DUMP,
    BackupSet,
    Contents,
    Vault,
    append_lines,
    line_of,
    read_lines,
)
from gateway.blobs.port import BlobStore
from gateway.catalogue.postgres_rows import blob_of
from gateway.database.dump import DumpFailed, Snapshot, check_dump
from gateway.model.byterange import ByteRange
from gateway.model.digest import SHA256
from gateway.model.errors import BlobMissing, StorageFailed
from gateway.model.file import Blob
from gateway.upkeep.check import Finding, Watch, What

_AT_ONCE: Final = 4
_LINES_AT_ONCE: Final = 500
WriteSecret = Callable[[Path], None]
Fault = tuple[What, str]


async def back_up(
    vault: Vault, snapshot: Snapshot, blobs: BlobStore, write_secret: WriteSecret, watch: Watch
) -> tuple[BackupSet, list[Finding]]:
    """Make a set of the snapshot; what of it is lost. Raises ``VaultFailed``, ``DumpFailed``."""
    with vault.drafting() as draft:
        await _list_blobs(snapshot, draft / BLOBS)
        await snapshot.dump(draft / DUMP)
        await snapshot.end()
        write_secret(draft)
        tally = _Tally(watch)

        async def copy(blob: Blob) -> None:
            tally.add(blob, await _copy_in(vault, blobs, blob))

        await _each(read_lines(draft / BLOBS), copy)
        vault.sync_blobs()
        made = vault.publish(draft, tally.contents())
    return made, tally.findings


async def verify(vault: Vault, backup: BackupSet, watch: Watch) -> list[Finding]:
    """Hash everything that the set names, and list its dump; what is wrong.

    A blob that is damaged is set aside, if the vault can be written.
    """
    damaged = vault.damaged_files(backup)
    findings = [_of_file(name, "is not what was written, or is not there") for name in damaged]
    if DUMP not in damaged:
        try:
            await check_dump(vault.path(backup, DUMP))
        except DumpFailed as exc:
            findings.append(_of_file(DUMP, str(exc)))
    if BLOBS in damaged:
        return findings
    tally = _Tally(watch)

    async def hash_one(blob: Blob) -> None:
        tally.add(blob, await asyncio.to_thread(_fault_in, vault, blob))

    await _each(vault.blobs_of(backup), hash_one)
    return [*findings, *tally.findings]


async def restore_blobs(
    vault: Vault, backup: BackupSet, blobs: BlobStore, watch: Watch
) -> list[Finding]:
    """Put every blob of the set into the store that is not there yet; what could not be."""
    tally = _Tally(watch)

    async def copy(blob: Blob) -> None:
        tally.add(blob, await _copy_out(vault, blobs, blob))

    await _each(vault.blobs_of(backup), copy)
    return tally.findings


class _Tally:
    """What was looked at, and what was wrong."""

    def __init__(self, watch: Watch) -> None:
        self.blobs = 0
        self.size = 0
        self.findings: list[Finding] = []
        self._watch = watch

    def contents(self) -> Contents:
        """All of it, for the set to say."""
        return Contents(__version__, self.blobs, self.size, len(self.findings))

    def add(self, blob: Blob, fault: Fault | None) -> None:
        """One blob is done."""
        self.blobs += 1
        self.size += blob.size
        self._watch(self.blobs, self.size)
        if fault is not None:
            self.findings.append(Finding(fault[0], None, None, blob.id, blob.scope, fault[1]))


def _of_file(name: str, detail: str) -> Finding:
    return Finding(What.DAMAGED, None, name, None, None, detail)


async def _each(blobs: Iterable[Blob], work: Callable[[Blob], Awaitable[None]]) -> None:
    """Work on every blob, a few at a time. The first failure ends it."""
    waiting = iter(blobs)

    async def take_turns() -> None:
        for blob in waiting:  # one iterator for all: each takes the next that nobody has
            await work(blob)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(take_turns())
    except ExceptionGroup as several:
        raise several.exceptions[0] from several


async def _list_blobs(snapshot: Snapshot, path: Path) -> None:
    lines: list[bytes] = []
    async for row in snapshot.rows("live_blobs"):
        lines.append(line_of(blob_of(row)))
        if len(lines) == _LINES_AT_ONCE:
            append_lines(path, lines)
            lines = []
    append_lines(path, lines)


async def _copy_in(vault: Vault, blobs: BlobStore, blob: Blob) -> Fault | None:
    """Copy the blob into the vault, unless it is there; what is wrong with it."""
    if vault.size_of(blob.id) == blob.size:
        return None
    try:
        reader = await blobs.open(blob)
    except (BlobMissing, StorageFailed) as exc:
        return _unreadable(blob, exc)
    with contextlib.closing(reader), vault.receiving(blob) as received:
        try:
            async with contextlib.aclosing(reader.chunks(ByteRange(0, blob.size))) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(received.write, chunk)
        except (BlobMissing, StorageFailed) as exc:
            return _unreadable(blob, exc)
        if received.sha256 != blob.digest.hex:
            return _other_bytes(blob, received.sha256)
        await asyncio.to_thread(received.finish)
    return None


async def _copy_out(vault: Vault, blobs: BlobStore, blob: Blob) -> Fault | None:
    """Copy the blob into the store under its own id, unless it is there; what is wrong with it."""
    with contextlib.suppress(BlobMissing):
        (await blobs.open(blob)).close()
        return None
    staged = blobs.stage(blob.scope, expected_bytes=blob.size, blob_id=blob.id)
    async with staged as writer:
        try:
            for piece in vault.pieces(blob):
                await writer.write(piece)
        except OSError as exc:
            return What.MISSING, f"it is not in the backup: {exc.strerror}"
        found = (await writer.measure())[SHA256].hex()
        if found != blob.digest.hex:
            return _other_bytes(blob, found)
        await writer.seal()
    return None


def _fault_in(vault: Vault, blob: Blob) -> Fault | None:
    """What is wrong with a blob in the vault, if anything is."""
    try:
        found = vault.digest_of(blob)
    except FileNotFoundError:
        return What.MISSING, f"{blob.size} bytes are not in the backup"
    except OSError as exc:
        return What.UNREADABLE, str(exc.strerror)
    if found == blob.digest.hex:
        return None
    damage, detail = _other_bytes(blob, found)
    aside = vault.set_aside(blob.id)
    return damage, f"{detail}; the next backup copies it anew" if aside else detail


def _unreadable(blob: Blob, exc: BlobMissing | StorageFailed) -> Fault:
    if isinstance(exc, BlobMissing):
        return What.MISSING, f"{blob.size} bytes are not there, or not all"
    return What.UNREADABLE, str(exc.__cause__ or exc)


def _other_bytes(blob: Blob, found: str) -> Fault:
    return What.DAMAGED, f"its SHA-256 is {found} and was {blob.digest.hex}"
