"""The store by itself: uploads published together, written back early, handed over; reads that are ready.

Two stores, one with every fast way off, get the same uploads at the same time, whole, given up or failing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.blobs.disk import publishing, writer
from gateway.blobs.disk.store import DiskBlobStore, open_disk_store
from gateway.model.errors import GatewayError
from gateway.model.file import Scope
from gateway.settings.fastways import ALL_WAYS, FastWay
from tests.chance import choices

MIB = 1024 * 1024
SCOPES = (Scope("things", "t1"), Scope("things", "t2"))
SMALL = (0, 1, 4096, 70_000, 131_072, 500_000)
LARGE = (9 * MIB, 17 * MIB + 5)
NONE: frozenset[FastWay] = frozenset()


@dataclass(frozen=True, slots=True)
class Upload:
    """What is written, in pieces of which size, and whether it is given up before its end."""

    content: bytes
    scope: Scope
    piece: int
    declared: bool
    measured: bool  # before it is sealed, as claims make it
    given_up: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of uploads: the digest or the failure of each, what stands in the folders, what was read back."""

    each: tuple[str, ...]
    blobs: tuple[tuple[str, int], ...]
    incoming: int
    read: tuple[str, ...]


def uploads(seed: str) -> list[Upload]:
    """Many small ones and one large."""
    pick = choices(seed)
    sizes = [*(pick.choice(SMALL) for _ in range(40)), pick.choice(LARGE)]
    return [
        Upload(
            pick.randbytes(size),
            pick.choice(SCOPES),
            pick.choice((1000, 40_000, 300_000)) if size < MIB else 700_000,
            pick.random() < 0.8,
            pick.random() < 0.3,
            pick.random() < 0.1,
        )
        for size in sizes
    ]


async def stored(store: DiskBlobStore, upload: Upload, ids: dict[UUID, str]) -> str:
    """One upload; what its sender is told. The failing ones are known by their digest."""
    digest = hashlib.sha256(upload.content).hexdigest()
    expected = len(upload.content) if upload.declared else None
    try:
        async with store.stage(upload.scope, expected_bytes=expected) as writing:
            ids[writing.blob_id] = digest
            for start in range(0, len(upload.content), upload.piece):
                piece = bytearray(upload.content[start : start + upload.piece])
                await writing.write(memoryview(piece))
                if upload.given_up:
                    return "given up"
            if upload.measured:
                await writing.measure()
            blob = await writing.seal()
        reader = await store.open(blob)
        try:
            span = min(blob.size, 4096)
            at = (blob.size - span) // 2 + 3 if blob.size > 10_000 else 0
            read = await reader.read(at, span) if span else b""
            right = upload.content[at : at + span] == read
        finally:
            reader.close()
        return f"{blob.digest.hex} {right}"
    except GatewayError as exc:
        return type(exc).__name__


async def outcome(
    root: Path,
    ways: frozenset[FastWay],
    wanted: list[Upload],
    monkeypatch: pytest.MonkeyPatch,
    fail: str,
) -> Outcome:
    """All of them at once, on a store with these ways; the links of ``fail``'s blobs are refused."""
    ids: dict[UUID, str] = {}
    link = os.link

    def failing(source: str, name: str, **folders: Any) -> None:
        with contextlib.suppress(ValueError):
            if fail and ids.get(UUID(name), "").startswith(fail):
                raise OSError(5, "Input/output error")
        link(source, name, **folders)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", failing)
        async with open_disk_store(root, ways=ways) as store:
            each = await asyncio.gather(*(stored(store, upload, ids) for upload in wanted))
    found = [path for path in (root / "blobs").rglob("*") if path.is_file()]
    right = [ids[UUID(path.name)] == _digest(path) for path in found]
    return Outcome(
        tuple(each),
        tuple(sorted(Counter(f"{p.parent.name} {_digest(p)}" for p in found).items())),
        len(list((root / "incoming").iterdir())),
        tuple(map(str, sorted(right))),
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "fail", ["", "1", "ab"], ids=["nothing fails", "some links fail", "few do"]
)
@pytest.mark.parametrize("seed", ["store/0", "store/1"])
async def test_nobody_can_tell_how_bytes_were_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: str, fail: str
) -> None:
    wanted = uploads(seed)
    plain = await outcome(tmp_path / "plain", NONE, wanted, monkeypatch, fail)
    fast = await outcome(tmp_path / "fast", ALL_WAYS, wanted, monkeypatch, fail)
    assert plain == fast
    assert set(plain.read) == {"True"}


def link_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is published together gets the bytes of the first."""
    right, soon = publishing._give_names, publishing.Publisher._publish_waiting

    def later(self: publishing.Publisher) -> None:
        time.sleep(0.05)  # so that there are several, also on a machine that is slow to send them
        soon(self)

    def wrong(disk: Any, sealings: Any, folder: int) -> None:
        for each in sealings[1:]:
            os.unlink(each.part, dir_fd=disk.incoming)
            os.link(sealings[0].part, each.part, src_dir_fd=disk.incoming, dst_dir_fd=disk.incoming)
        right(disk, sealings, folder)

    monkeypatch.setattr(publishing, "_give_names", wrong)
    monkeypatch.setattr(publishing.Publisher, "_publish_waiting", later)


def write_where_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint to the disk writes something itself."""

    def wrong(descriptor: int, offset: int, count: int) -> None:
        os.pwrite(descriptor, b"\0", offset + count - 1)

    monkeypatch.setattr(writer, "begin_write_back", wrong)


DEFECTS = {
    FastWay.PUBLISH_TOGETHER: link_one_for_all,
    FastWay.WRITE_BACK: write_where_it_begins,
}


@pytest.mark.parametrize("plant", DEFECTS.values())
async def test_a_defect_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    wanted = [each for each in uploads("store/0") if not each.given_up]
    plain = await outcome(tmp_path / "plain", NONE, wanted, monkeypatch, "")
    plant(monkeypatch)
    assert plain != await outcome(tmp_path / "fast", ALL_WAYS, wanted, monkeypatch, "")
    assert plain == await outcome(tmp_path / "off", NONE, wanted, monkeypatch, "")
