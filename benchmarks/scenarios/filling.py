"""Rows of files that were never uploaded, copied into the catalogue's tables.

Knows the tables of ``sql/migrations``. Half of the rows belong to the thing that asks, the rest
to others with a thousand each. Only some files have bytes: a million blobs of 4 KiB would fill
the disk and tell nothing about the catalogue.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg

from benchmarks.gateway import Gateway, Thing

_BLOB: Final = bytes(range(256)) * 16
_EACH: Final = 1_000
_BATCH: Final = 50_000
_BLOB_COLUMNS: Final = ("id", "kind", "owner", "size", "sha256")
_FILE_COLUMNS: Final = (
    *("id", "kind", "owner", "name", "blob_id", "content_type", "attributes", "creator"),
    *("created_at", "modified_at", "updated_at"),
)


@dataclass(frozen=True, slots=True)
class Filled:
    """Names of the asking thing: at random, and those with bytes; how many it has in all."""

    names: list[str]
    stored: list[str]
    own: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    owner: str

    @property
    def id(self) -> UUID:
        return UUID(bytes=hashlib.md5(f"file {self.number}".encode()).digest(), version=4)

    @property
    def blob_id(self) -> UUID:
        return UUID(bytes=hashlib.md5(f"blob {self.number}".encode()).digest(), version=4)

    @property
    def name(self) -> str:
        return f"firmware-{self.number:07d}.bin"


async def fill(gateway: Gateway, thing: Thing, count: int, sample: int) -> Filled:
    """``count`` files, of which ``sample`` at random are named and have bytes."""
    began = time.monotonic()
    own = count // 2
    rows = [_Row(number, thing.id) for number in range(own)]
    rows += (_Row(number, f"other-{number // _EACH}") for number in range(own, count))
    connection = await asyncpg.connect(gateway.dsn)
    try:
        await _copy(connection, rows)
        await _count(connection, rows)
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
    finally:
        await connection.close()
    chosen = random.Random(1).sample(rows[:own], min(sample, own))
    for row in chosen:
        _store(gateway, row)
    names = [row.name for row in chosen]
    return Filled(names, names, own, time.monotonic() - began)


async def _copy(connection: asyncpg.Connection, rows: list[_Row]) -> None:
    owners = sorted({row.owner for row in rows})
    await connection.executemany(
        "insert into scopes (kind, owner) values ('things', $1) on conflict do nothing",
        [(owner,) for owner in owners],
    )
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        await connection.copy_records_to_table(
            "blobs", columns=_BLOB_COLUMNS, records=_blobs(batch)
        )
        await connection.copy_records_to_table(
            "files", columns=_FILE_COLUMNS, records=_files(batch)
        )


async def _count(connection: asyncpg.Connection, rows: list[_Row]) -> None:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.owner] = counts.get(row.owner, 0) + 1
    await connection.copy_records_to_table(
        "usage",
        columns=("kind", "owner", "slice", "files", "bytes"),
        records=[("things", owner, 0, n, n * len(_BLOB)) for owner, n in counts.items()],
    )


def _blobs(rows: list[_Row]) -> Iterator[tuple[object, ...]]:
    digest = hashlib.sha256(_BLOB).digest()
    for row in rows:
        yield row.blob_id, "things", row.owner, len(_BLOB), digest


def _files(rows: list[_Row]) -> Iterator[tuple[object, ...]]:
    now = datetime.now(UTC)
    for row in rows:
        attributes = json.dumps({"class": "", "format": "bin", "time": float(row.number)})
        yield (
            *(row.id, "things", row.owner, row.name, row.blob_id, "application/octet-stream"),
            *(attributes, row.owner, now, now, now),
        )


def _store(gateway: Gateway, row: _Row) -> None:
    path = gateway.data_dir / "blobs" / "things" / row.owner / str(row.blob_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_BLOB)
