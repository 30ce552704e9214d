"""P: bytes that rot on the disk, in every way they may: all of it is found, none of it is sent once it is known.

A case injures a few of a thing's files, blobs behind the gateway's back. Either a scrub looks at all blobs, on two
gateways at once, or every file is read, each whole download being hashed on its way. After that the damaged ones, and
nothing else, are in quarantine, whole or in ranges nobody gets a byte of them, and on the same connections all other
files are what they were. At last each is mended: uploaded again, or its bytes put back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.catalogue.damage import ScrubKind
from gateway.database.pool import open_database
from gateway.upkeep.repair import mend
from gateway.upkeep.scrub import Scrubber
from gateway.web.authentication import CALLERS
from gateway.web.context import WARD
from gateway.web.downloads.context import DOWNLOADS
from tests.faults.house import House, new_thing, open_house
from tests.tools.deployment import sql_folders
from tests.tools.gateway import new_database
from tests.tools.rawhttp import RawConnection, raw_connection
from tests.torture.suite import Case, Seen, Stage, Suite, Violated

_SIZES: Final = (0, 1, 100, 4_095, 4_096, 65_536, 65_537, 262_145, 700_000, 2_000_000)
_COPIES: Final = 3
_MOST_INJURED: Final = 6
_PAGE: Final = 4096

Injury = Callable[[Path, random.Random], None]


def flip(path: Path, choice: random.Random) -> None:
    """One bit."""
    offset = choice.randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0] ^ 1 << choice.randrange(8)
        file.seek(offset)
        file.write(bytes([byte]))


def zero_page(path: Path, choice: random.Random) -> None:
    """A page that never reached the disk."""
    size = path.stat().st_size
    start = choice.randrange(size) // _PAGE * _PAGE
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(min(_PAGE, size - start)))


def truncate(path: Path, choice: random.Random) -> None:
    os.truncate(path, choice.randrange(path.stat().st_size))


def extend(path: Path, choice: random.Random) -> None:
    with path.open("ab") as file:
        file.write(choice.randbytes(choice.randrange(1, _PAGE)))


def delete(path: Path, _: random.Random) -> None:
    path.unlink()


def unreadable(path: Path, choice: random.Random) -> None:
    """Nothing that may be opened: a link, a folder, or, for whoever is not root, no permission."""
    aside = path.with_name(f".{path.name}")
    path.rename(aside)
    if choice.random() < 0.5:
        path.mkdir()
    else:
        path.symlink_to(aside.name)


INJURIES: Final[dict[str, Injury]] = {
    injury.__name__: injury for injury in (flip, zero_page, truncate, extend, delete, unreadable)
}
_OF_EMPTY: Final = ("extend", "delete", "unreadable")


class Patient:
    """A file: its name, what it is to be, and its blob."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content
        self.path = Path()
        self.blob_id = UUID(int=0)


class Hospital:
    """One gateway with all its files, and what is done to them."""

    def __init__(self, house: House, patients: Sequence[Patient]) -> None:
        self.house, self.patients = house, patients
        self._port = int(house.url.rpartition(":")[2])
        self._headers = [*house.headers.items()]

    async def case(self, number: int, choice: random.Random) -> Seen:
        """Injure some, find all of it, mend all of it."""
        await self.look()
        injured, seen = self._injure(choice), Seen()
        seen["injections"] = len(injured)
        if number % 2:
            seen["by reads"] = await self._found_by_reads(injured)
        else:
            seen["by scrubs"] = await self._found_by_scrubs(injured)
        await self._check_refused(injured, choice)
        for patient in injured:
            await self._mend(patient, choice)
        if left := await self.house.stores.quarantine.count():
            raise Violated(f"{left} are in quarantine that were mended")
        return seen

    async def look(self) -> None:
        """Where the blobs are now."""
        database = self.house.stores.messaging.database
        async with database.session() as session:
            rows = await session.connection.fetch("select name, blob_id, owner from files")
        found = {row["name"]: row for row in rows}
        for patient in self.patients:
            row = found[patient.name]
            patient.blob_id = row["blob_id"]
            folder = self.house.data_dir / "blobs" / "things" / row["owner"]
            patient.path = folder / str(patient.blob_id)

    def _injure(self, choice: random.Random) -> list[Patient]:
        injured = choice.sample(list(self.patients), choice.randrange(1, _MOST_INJURED))
        if len(injured) > 2 and choice.random() < 0.3 and injured[0].content != injured[1].content:
            _swap(injured[0].path, injured[1].path)
            rest = injured[2:]
        else:
            rest = injured
        for patient in rest:
            names = list(INJURIES) if patient.content else _OF_EMPTY
            INJURIES[choice.choice(names)](patient.path, choice)
            if patient.path.is_file() and patient.path.read_bytes() == patient.content:
                extend(patient.path, choice)  # a page that was zero
        return injured

    async def _found_by_scrubs(self, injured: Sequence[Patient]) -> int:
        plan = self.house.stores.scrubs
        scrub_id = await plan.begin(ScrubKind.COMMAND)
        hashed = list[UUID]()
        both = [
            Scrubber(self.house.app[WARD], plan, hashed=lambda blob: hashed.append(blob.id))
            for _ in range(2)
        ]
        await asyncio.gather(*(scrubber.finish(scrub_id) for scrubber in both))
        if sorted(hashed) != sorted(patient.blob_id for patient in self.patients):
            raise Violated(f"{len(hashed)} hashed of {len(self.patients)}")
        await self._check_quarantine(injured)
        return len(injured)

    async def _found_by_reads(self, injured: Sequence[Patient]) -> int:
        """Each is read once; none may end as if it were whole. What is still open is as it was."""
        self.house.app[DOWNLOADS].reads.clear()
        for patient in self.patients:
            status, body = await self._read_to_end(patient)
            if status == 200 and body == patient.content and patient in injured:
                raise Violated(f"{patient.name} cannot be right")
            if status == 200 and len(body) >= len(patient.content) and body != patient.content:
                raise Violated(f"{patient.name} was sent to its end with other bytes")
        async with asyncio.timeout(20):
            while await self.house.stores.quarantine.count() < len(injured):
                await asyncio.sleep(0.01)
        await self._check_quarantine(injured)
        return len(injured)

    async def _check_quarantine(self, injured: Sequence[Patient]) -> None:
        entries = await self.house.stores.quarantine.page(None, len(self.patients))
        found, wanted = {e.file.name for e in entries}, {p.name for p in injured}
        if found != wanted:
            raise Violated(f"not found: {wanted - found}; found without reason: {found - wanted}")

    async def _read_to_end(self, patient: Patient) -> tuple[int, bytes]:
        """The status, 0 if it was cut before that, and what came of the body."""
        status, body = 0, b""
        async with raw_connection(self._port) as connection:
            await connection.send_head("GET", f"/files/{patient.name}", self._headers)
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                head = await connection.read_head()
                status, length = head.status, int(head.one("Content-Length"))
                while len(body) < length and (piece := await connection.read_some()):
                    body += piece
        return status, body

    async def _check_refused(self, injured: Sequence[Patient], choice: random.Random) -> None:
        """On connections that are kept, in between files that are well."""
        async with raw_connection(self._port) as connection:
            for patient in choice.sample(list(self.patients), len(self.patients)):
                if patient in injured:
                    await self._check_none(connection, patient)
                else:
                    await self._check_whole(connection, patient)

    async def _check_none(self, connection: RawConnection, patient: Patient) -> None:
        for more in ([], [("Range", "bytes=0-0")], [("Range", "bytes=1-")]):
            path = f"/files/{patient.name}"
            answer = await connection.ask("GET", path, [*self._headers, *more])
            if answer.status != 500 or not answer.body.startswith(b'{"error"'):
                raise Violated(f"{patient.name}: {answer.status} for {more}")

    async def _check_whole(self, connection: RawConnection, patient: Patient) -> None:
        answer = await connection.ask("GET", f"/files/{patient.name}", self._headers)
        if (answer.status, answer.body) != (200, patient.content):
            raise Violated(f"{patient.name}, which is well: {answer.status}")

    async def _mend(self, patient: Patient, choice: random.Random) -> None:
        if choice.random() < 0.5:
            said = await self.house.ask("PUT", patient.name, patient.content)
            if said.status != 200:
                raise Violated(f"{patient.name} could not be replaced: {said.status}")
            _remove(patient.path)
            return
        _remove(patient.path)
        patient.path.write_bytes(patient.content)
        entries = await self.house.stores.quarantine.page(None, len(self.patients))
        [entry] = [entry for entry in entries if entry.file.name == patient.name]
        if not await mend(self.house.app[WARD], entry.blob):
            raise Violated(f"{patient.name} is right again, and was not let out")


def _swap(one: Path, other: Path) -> None:
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def _remove(path: Path) -> None:
    """Whatever it is by now."""
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.with_name(f".{path.name}").unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """A gateway that hashes every whole download, and files of all sizes that are told apart."""
    dsn, choice = await new_database(stage.server, copied=True), random.Random(stage.seed)
    async with open_database(dsn, sql_folders(), connections=2) as database:
        headers = await new_thing(database)
    patients = [
        Patient(f"{size}-{copy}.bin", choice.randbytes(size))
        for size in _SIZES
        for copy in range(_COPIES)
    ]
    async with open_house(dsn, stage.folder / "data", headers, verify_one_in=1) as house:
        house.app[CALLERS].listeners.on_connected()  # so that reads are kept, and must be forgotten
        for patient in patients:
            said = await house.ask("POST", patient.name, patient.content)
            if said.status != 201:
                raise Violated(f"{patient.name}: {said.status}")
        yield Hospital(house, patients).case


SUITE: Final = Suite(
    name="damage",
    what="bits flipped, pages zeroed, files cut, lengthened, swapped, gone: found, sent to nobody, mended",
    unit="injections",
    full=1_000,
    small=6,
    opened=opened,
)
