"""check, scrub and sweep on a deployment with planted damage of every kind, beside its gateway."""

from __future__ import annotations

import json
import os
import pty
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest

from tests.tools import warm
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, signed_in, upload

CONTENT = b"exactly these bytes"
LONG_AGO = time.time() - 90_000


@dataclass(frozen=True, slots=True)
class Damaged:
    """A gateway that runs, its thing's files, and their blobs by name."""

    gateway: GatewayProcess
    thing: Thing
    blobs: dict[str, UUID]

    @property
    def scope(self) -> str:
        return f"things/{self.thing.id}"

    def path(self, name: str) -> Path:
        return self.gateway.data_dir / "blobs" / self.scope / str(self.blobs[name])

    async def tell(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        status, said = await self.gateway.run(*arguments)
        return status, json.loads(said)

    def found(self, report: dict[str, Any], key: str = "findings") -> list[tuple[Any, ...]]:
        fields = ("what", "scope", "name", "blob")
        return sorted(tuple(f[field] or "" for field in fields) for f in report[key])


NAMES = ("whole.bin", "missing.bin", "longer.bin", "damaged.bin")
FURTHER = ("short.bin", "row.bin", "folder.bin", "link.bin")


@pytest.fixture
async def house(tmp_path: Path, postgres_server: str) -> AsyncIterator[Damaged]:
    """Some files, none damaged yet."""
    async with (
        running_gateway(
            tmp_path, database_server=postgres_server, sweep_interval_seconds=0
        ) as gateway,
        signed_in(gateway.url) as admin,
    ):
        thing = await admin.thing()
        for name in (*NAMES, *FURTHER):
            await upload(admin.session, f"{gateway.url}/files", thing.headers, name, CONTENT)
        connection = await asyncpg.connect(gateway.environment["GATEWAY_DATABASE_URL"])
        try:
            rows = await connection.fetch("select name, blob_id from files")
        finally:
            await connection.close()
        yield Damaged(gateway, thing, {row["name"]: row["blob_id"] for row in rows})


def lose_bytes(house: Damaged) -> None:
    """A blob that is gone, one that has a byte more, one that has another byte."""
    house.path("missing.bin").unlink()
    with house.path("longer.bin").open("ab") as file:
        file.write(b"!")
    house.path("damaged.bin").write_bytes(b"E" + CONTENT[1:])


async def leave_rubbish(house: Damaged) -> UUID:
    """What can be mended: an orphan (its id is returned), a leftover, wrong totals."""
    orphan = uuid4()
    for path in (
        house.path("whole.bin").with_name(str(orphan)),
        house.gateway.data_dir / "incoming" / f"{uuid4()}.part",
    ):
        path.write_bytes(b"left")
        os.utime(path, (LONG_AGO, LONG_AGO))
    connection = await asyncpg.connect(house.gateway.environment["GATEWAY_DATABASE_URL"])
    try:
        await connection.execute("update usage set files = files + 7, bytes = bytes - 1")
    finally:
        await connection.close()
    return orphan


def losses(house: Damaged, *names: tuple[str, str]) -> list[tuple[str, ...]]:
    return [(what, house.scope, name, str(house.blobs[name])) for what, name in names]


async def test_check_and_scrub_name_scope_name_and_blob_of_what_is_lost(house: Damaged) -> None:
    lose_bytes(house)
    status, report = await house.tell("check")
    assert 1 == status
    expected = losses(house, ("missing", "missing.bin"), ("wrong size", "longer.bin"))
    assert expected == house.found(report)
    status, report = await house.tell("scrub")
    assert 1 == status
    expected = losses(
        house, ("damaged", "damaged.bin"), ("missing", "missing.bin"), ("wrong size", "longer.bin")
    )
    assert expected == house.found(report)


async def test_every_kind_of_damage_is_named_and_what_is_not_ours_is_left_alone(
    house: Damaged,
) -> None:
    foreign = await plant_all(house)
    expected = {
        "check": losses(
            house,
            ("missing", "missing.bin"),
            *(("wrong size", name) for name in ("folder.bin", "link.bin", "longer.bin")),
            *(("wrong size", name) for name in ("row.bin", "short.bin")),
        ),
        "scrub": losses(
            house,
            ("damaged", "damaged.bin"),
            ("missing", "missing.bin"),
            ("unreadable", "link.bin"),
            *(("wrong size", name) for name in ("folder.bin", "longer.bin")),
            *(("wrong size", name) for name in ("row.bin", "short.bin")),
        ),
    }
    said, _ = several(house.gateway.environment, *expected, "check --repair", "sweep")
    for command, (status, report) in zip(expected, said, strict=False):
        # The row that was changed by hand is in the kept total, too.
        assert report is not None
        found = [each for each in house.found(report) if each[0] != "miscounted"]
        assert (1, expected[command]) == (status, found)
    assert all(path.exists() for path in foreign)
    assert CONTENT == await content(house)
    assert "Traceback" not in house.gateway.log


async def plant_all(house: Damaged) -> list[Path]:
    """What ``lose_bytes`` does, and more kinds; the files of others that were put beside them."""
    lose_bytes(house)
    os.truncate(house.path("short.bin"), 3)
    house.path("folder.bin").unlink()
    house.path("folder.bin").mkdir()
    moved = house.path("link.bin").rename(house.path("link.bin").with_name("moved"))
    house.path("link.bin").symlink_to(moved)
    connection = await asyncpg.connect(house.gateway.environment["GATEWAY_DATABASE_URL"])
    try:
        changed = "update blobs set size = size + 5 where id = $1"
        await connection.execute(changed, house.blobs["row.bin"])
    finally:
        await connection.close()
    scope = house.path("whole.bin").parent
    foreign = [scope / "notes.txt", scope.parent / "stray", scope.parent.parent / "top.txt",
               house.gateway.data_dir / "incoming" / "notes.txt"]  # fmt: skip
    for path in foreign:
        path.write_text("somebody's")
        os.utime(path, (LONG_AGO, LONG_AGO))
    return [*foreign, moved]


async def test_with_the_database_away_a_command_says_so_in_one_line(house: Damaged) -> None:
    address = "postgresql://u:topsecret@127.0.0.1:9/x"
    environment = house.gateway.environment | {"GATEWAY_DATABASE_URL": address}
    commands = ("check", "check --repair", "scrub", "sweep", "migrate", "admin list")
    said, errors = several(environment, *commands)
    assert [(1, None)] * len(commands) == said
    sentence = "PostgreSQL at 127.0.0.1:9, database x, user u: Connection refused"
    assert [f"filestore-gateway: {sentence}"] * len(commands) == errors


SEVERAL = """
import sys
from gateway.__main__ import main
for command in sys.argv[1:]:
    print("status", main(command.split()), flush=True)
"""


def several(
    environment: Mapping[str, str], *commands: str
) -> tuple[list[tuple[int, dict[str, Any] | None]], list[str]]:
    """Status and report of each command, one after the other in one process; what is on stderr."""
    done = warm.run("-c", SEVERAL, *commands, env=environment)
    assert 0 == done.returncode, done.stderr
    found: list[tuple[int, dict[str, Any] | None]] = []
    report = None
    for line in done.stdout.splitlines():
        if line.startswith("status "):
            found.append((int(line.partition(" ")[2]), report))
            report = None
        else:
            report = json.loads(line)
    return found, done.stderr.splitlines()


async def test_repair_mends_what_can_be_mended_and_says_what_cannot(house: Damaged) -> None:
    lose_bytes(house)
    orphan = await leave_rubbish(house)
    mendable = sorted(
        [
            ("leftover", "", "", ""),
            ("miscounted", house.scope, "", ""),
            ("orphan", "", "", str(orphan)),
        ]
    )
    lost = losses(house, ("missing", "missing.bin"), ("wrong size", "longer.bin"))
    status, report = await house.tell("check")
    assert (1, sorted([*mendable, *lost])) == (status, house.found(report))
    status, report = await house.tell("check", "--repair")
    assert (1, lost, mendable) == (
        status,
        house.found(report),
        house.found(report, "repaired"),
    )
    assert CONTENT == house.path("whole.bin").read_bytes()
    assert not house.path("whole.bin").with_name(str(orphan)).exists()


async def test_a_sound_deployment_is_status_0_beside_a_gateway_that_serves_on(
    house: Damaged,
) -> None:
    await leave_rubbish(house)
    status, report = await house.tell("check", "--repair")
    assert (0, 3) == (status, len(report["repaired"]))
    # What may be an upload under way is no finding.
    house.path("whole.bin").with_name(str(uuid4())).write_bytes(b"just now")
    (house.gateway.data_dir / "incoming" / f"{uuid4()}.part").write_bytes(b"just now")
    for command in ("check", "scrub"):
        status, report = await house.tell(command)
        assert (0, 8, []) == (status, report["blobs"], report["findings"])
    assert CONTENT == await content(house)


async def test_sweep_says_what_it_removed(house: Damaged) -> None:
    await leave_rubbish(house)
    status, report = await house.tell("sweep")
    assert (0, 1, 1) == (status, report["orphans"], report["incoming"])
    assert CONTENT == await content(house)


async def content(house: Damaged) -> bytes:
    """The file that nothing was done to, as a device gets it."""
    url = f"{house.gateway.url}/files/whole.bin"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=house.thing.headers) as answer,
    ):
        return await answer.read()


async def test_a_terminal_gets_a_table_and_json_only_if_asked(house: Damaged) -> None:
    lose_bytes(house)
    status, shown = on_a_terminal(house.gateway, "check")
    assert 1 == status
    row = next(line for line in shown.splitlines() if "missing.bin" in line)
    for cell in ("found", "missing", house.scope, str(house.blobs["missing.bin"])):
        assert cell in row
    assert "8 blobs, 2 findings" in shown
    status, shown = on_a_terminal(house.gateway, "check", "--json")
    assert (1, 2) == (status, len(json.loads(shown.rpartition("\x1b[K")[2])["findings"]))


def on_a_terminal(gateway: GatewayProcess, *arguments: str) -> tuple[int, str]:
    """A command whose stdout and stderr are a terminal: its status and all that was shown."""
    here, there = pty.openpty()
    process = warm.start(
        *("-m", "gateway", *arguments), env=gateway.environment, stdout=there, stderr=there
    )
    os.close(there)
    shown = b""
    with suppress(OSError):  # the other end is closed: all is read
        while piece := os.read(here, 65_536):
            shown += piece
    os.close(here)
    return process.wait_here(), shown.decode()
