"""backup, verify and restore: beside a gateway that is written to, on damage, and killed half-way."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.tools import warm
from tests.tools.command import run_inside
from tests.tools.firmware import Firmware
from tests.tools.gateway import (
    ADMIN_EMAIL,
    ADMIN_PASSWORD,
    GatewayProcess,
    environment_of,
    new_database,
    running_gateway,
)
from tests.tools.mainflux import Thing, signed_in
from tests.tools.ports import HOST, free_port

PASSPHRASE = "a passphrase\n"
SMALL = 2000


@dataclass
class House:
    """A gateway that serves, where it is backed up, and what it has acknowledged."""

    gateway: GatewayProcess
    vault: Path
    thing: Thing
    session: aiohttp.ClientSession
    held: dict[str, bytes] = field(default_factory=dict)

    async def put(self, name: str, content: bytes) -> None:
        method = "PUT" if name in self.held else "POST"
        at = f"/{name}" if method == "PUT" else ""
        form = aiohttp.FormData()
        form.add_field("file", io.BytesIO(content), filename=name)
        url = f"{self.gateway.url}/files{at}"
        async with self.session.request(
            method, url, data=form, headers=self.thing.headers
        ) as answer:
            assert answer.status in (200, 201), await answer.text()
        self.held[name] = content

    async def run(self, *argv: str, stdin: str = "") -> tuple[int, str]:
        return await run_inside(self.gateway.environment, *argv, stdin=stdin)

    async def tell(self, command: str, *more: str, stdin: str = "") -> tuple[int, dict[str, Any]]:
        status, said = await self.run(command, str(self.vault), *more, stdin=stdin)
        return status, json.loads(said)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
async def house(tmp_path: Path, postgres_server: str) -> AsyncIterator[House]:
    """Twenty files. What is replaced is swept at once: no grace, and ten sweeps a second."""
    async with (
        running_gateway(
            _made(tmp_path / "here"),
            database_server=postgres_server,
            garbage_grace_seconds=0,
            sweep_interval_seconds=0.1,
        ) as gateway,
        signed_in(gateway.url) as admin,
    ):
        made = House(gateway, tmp_path / "vault", await admin.thing(), admin.session)
        for number in range(20):
            await made.put(f"{number}.bin", Firmware(number, SMALL + number).content)
        yield made


@pytest.fixture
async def elsewhere(tmp_path: Path, postgres_server: str) -> AsyncIterator[GatewayProcess]:
    """Where there is no deployment yet, only an empty database."""
    port = free_port()
    place = GatewayProcess(_made(tmp_path / "there"), {}, port, "gateway")
    place._environment.update(
        environment_of(
            {
                "host": HOST,
                "port": port,
                "data_dir": place.data_dir,
                "database_url": await new_database(postgres_server),
            }
        )
    )
    yield place
    if place.running:
        await place.terminate()


async def holds(place: GatewayProcess, house: House, expected: dict[str, bytes]) -> None:
    """The gateway there serves exactly these files to the thing and knows the administrator."""
    await place.start()
    async with aiohttp.ClientSession() as session:
        url = f"{place.url}/files?limit=0"
        async with session.get(url, headers=house.thing.headers) as answer:
            assert sorted(expected) == sorted(f["name"] for f in (await answer.json())["files"])
        for name, content in expected.items():
            url = f"{place.url}/files/{name}"
            async with session.get(url, headers=house.thing.headers) as answer:
                assert content == await answer.read(), name
        body = {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        async with session.post(f"{place.url}/tokens", json=body) as answer:
            assert answer.status == 201


async def test_what_was_acknowledged_before_is_restored_though_all_is_replaced_meanwhile(
    house: House, elsewhere: GatewayProcess
) -> None:
    await house.put("large.bin", Firmware(99, 12_000_000).content)
    before, stop = dict(house.held), asyncio.Event()
    versions = {name: {content} for name, content in before.items()}

    async def replace_all() -> None:
        turn = 100
        while not stop.is_set():
            turn += 1
            for name in sorted(before):
                content = Firmware(turn, SMALL).content
                versions[name].add(content)
                await house.put(name, content)

    async with asyncio.TaskGroup() as group:
        group.create_task(replace_all())
        status, report = await house.tell("backup")
        stop.set()
    assert (0, True, 21) == (status, report["sound"], report["blobs"])
    assert 1 < min(map(len, versions.values())), "nothing was replaced meanwhile"
    status, said = await run_inside(elsewhere.environment, "restore", str(house.vault))
    assert (0, True) == (status, json.loads(said)["sound"])
    await elsewhere.start()
    async with aiohttp.ClientSession() as session:
        for name, known in versions.items():
            url = f"{elsewhere.url}/files/{name}"
            async with session.get(url, headers=house.thing.headers) as answer:
                assert await answer.read() in known, name


async def test_a_backup_copies_what_is_new_and_keeps_as_many_as_it_is_told(
    house: House, elsewhere: GatewayProcess
) -> None:
    await house.tell("backup")
    first = {path.name: path.stat().st_ino for path in (house.vault / "blobs").glob("*/*")}
    await house.put("0.bin", b"newer")
    status, report = await house.tell("backup", "--keep", "1")
    second = {path.name: path.stat().st_ino for path in (house.vault / "blobs").glob("*/*")}
    assert (0, 1, 20) == (status, report["removed"], report["blobs"])
    assert len(set(first.items()) & set(second.items())) == 19
    assert 1 == len(list((house.vault / "sets").iterdir()))
    assert [] == list((house.vault / "incoming").iterdir())
    status, _ = await run_inside(elsewhere.environment, "restore", str(house.vault))
    assert 0 == status
    await holds(elsewhere, house, house.held)


async def test_an_older_backup_is_restored_by_its_moment(
    house: House, elsewhere: GatewayProcess
) -> None:
    old = dict(house.held)
    _, report = await house.tell("backup")
    await house.put("0.bin", b"newer")
    await house.tell("backup")
    status, _ = await run_inside(
        elsewhere.environment, "restore", str(house.vault), "--moment", report["backup"]
    )
    assert 0 == status
    await holds(elsewhere, house, old)


async def test_the_secret_is_sealed_by_a_passphrase_and_opened_by_no_other(
    house: House, elsewhere: GatewayProcess
) -> None:
    await house.tell("backup", "--passphrase-stdin", stdin=PASSPHRASE)
    secret = (house.gateway.data_dir / "secret").read_text().strip()
    kept = [path.read_bytes() for path in house.vault.rglob("*") if path.is_file()]
    assert not any(secret.encode() in content for content in kept)
    options = ("restore", str(house.vault))
    assert 2 == (await run_inside(elsewhere.environment, *options))[0]
    assert (
        1
        == (
            await run_inside(
                elsewhere.environment, *options, "--passphrase-stdin", stdin="another\n"
            )
        )[0]
    )
    assert not (elsewhere.data_dir / "secret").exists()
    status, _ = await run_inside(
        elsewhere.environment, *options, "--passphrase-stdin", stdin=PASSPHRASE
    )
    assert 0 == status
    await holds(elsewhere, house, house.held)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _some_blob(vault: Path) -> Path:
    return min((vault / "blobs").glob("*/*"))


def _of_set(vault: Path, name: str) -> Path:
    return next((vault / "sets").iterdir()) / name


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a blob with another bit": ("damaged", lambda v: _flip(_some_blob(v))),
    "a blob that is gone": ("missing", lambda v: _some_blob(v).unlink()),
    "a blob that is cut": ("damaged", lambda v: _some_blob(v).write_bytes(b"")),
    "a dump with another bit": ("damaged", lambda v: _flip(_of_set(v, "catalogue.dump"))),
    "a dump that is gone": ("damaged", lambda v: _of_set(v, "catalogue.dump").unlink()),
    "a list of blobs that is cut": (
        "damaged",
        lambda v: _of_set(v, "blobs.jsonl").write_bytes(b""),
    ),
    "a secret that is gone": ("damaged", lambda v: _of_set(v, "secret").unlink()),
}


async def test_verify_finds_each_damage_and_restore_makes_nothing_wrong_of_it(
    house: House, elsewhere: GatewayProcess, tmp_path: Path
) -> None:
    await house.tell("backup")
    sound = house.vault.rename(tmp_path / "sound")
    for case, (what, damage) in DAMAGE.items():
        await asyncio.to_thread(_copy, sound, house.vault)
        assert (0, []) == _found(await house.tell("verify")), case
        damage(house.vault)
        assert (1, [what]) == _found(await house.tell("verify")), case
        if "blob with" in case:
            status, said = await run_inside(elsewhere.environment, "restore", str(house.vault))
            assert (1, ["missing"]) == _found((status, json.loads(said)))


async def test_what_verify_found_damaged_is_copied_anew_by_the_next_backup(house: House) -> None:
    await house.tell("backup")
    _flip(_some_blob(house.vault))
    assert (1, ["damaged"]) == _found(await house.tell("verify"))
    assert (0, []) == _found(await house.tell("backup"))
    for moment in sorted(path.name for path in (house.vault / "sets").iterdir()):
        assert (0, []) == _found(await house.tell("verify", "--moment", moment))


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def _found(told: tuple[int, dict[str, Any]]) -> tuple[int, list[str]]:
    return told[0], [finding["what"] for finding in told[1]["findings"]]


async def test_what_is_lost_already_is_told_and_the_rest_is_backed_up(house: House) -> None:
    lost, flipped, *_ = sorted((house.gateway.data_dir / "blobs").glob("*/*/*"))
    lost.unlink()
    _flip(flipped)
    status, report = await house.tell("backup")
    assert (1, ["damaged", "missing"]) == (status, sorted(f["what"] for f in report["findings"]))
    assert 18 == len(list((house.vault / "blobs").glob("*/*")))
    assert (1, 2) == ((told := await house.tell("verify"))[0], told[1]["lost"])


async def test_single_blobs_are_put_back_from_a_backup_and_ready_tells_what_is_left(
    house: House,
) -> None:
    """One with another bit, one that is gone, one that is cut; and one whose copy is no better."""
    await house.tell("backup")
    blobs = sorted((house.gateway.data_dir / "blobs").glob("*/*/*"))[:4]
    sound = [blob.read_bytes() for blob in blobs]
    _flip(blobs[0])
    blobs[1].unlink()
    blobs[2].write_bytes(sound[2][:-1])
    _flip(blobs[3])
    _flip(next((house.vault / "blobs").glob(f"*/{blobs[3].name}")))
    assert {"status": "pass", "faults": {}} == await ready(house)
    assert 1 == (await house.run("scrub"))[0]
    assert {"status": "warn", "faults": {}, "quarantine": 4} == await ready(house)
    status, said = await house.run("check", "--repair")
    assert (1, 4, 0) == (status, len(json.loads(said)["findings"]), mended(said))
    assert 2 == (await house.run("check", "--from", str(house.vault)))[0]
    status, said = await house.run("check", "--repair", "--from", str(house.vault))
    [left] = json.loads(said)["findings"]
    assert (1, blobs[3].name, 3) == (status, left["blob"], mended(said))
    assert sound[:3] == [blob.read_bytes() for blob in blobs[:3]]
    assert {"status": "warn", "faults": {}, "quarantine": 1} == await ready(house)
    await house.put(left["name"], b"sent again")
    assert (0, "pass") == ((await house.run("check"))[0], (await ready(house))["status"])
    for name, content in house.held.items():
        url = f"{house.gateway.url}/files/{name}"
        async with house.session.get(url, headers=house.thing.headers) as answer:
            assert content == await answer.read(), name


async def ready(house: House) -> dict[str, Any]:
    async with house.session.get(f"{house.gateway.url}/ready") as answer:
        assert answer.status == 200
        return dict(json.loads(await answer.text()))


def mended(said: str) -> int:
    return len(json.loads(said)["repaired"])


async def test_a_restore_that_is_killed_is_no_deployment_until_it_is_repeated(
    house: House, elsewhere: GatewayProcess
) -> None:
    await house.put("large.bin", Firmware(7, 12_000_000).content)
    await house.tell("backup")
    mark = elsewhere.data_dir / "restore.unfinished"
    for share in (0.0, 0.3):
        process = warm.start(
            *("-m", "gateway", "restore", str(house.vault)), env=elsewhere.environment
        )
        async with asyncio.timeout(30):
            while not mark.exists():
                await asyncio.sleep(0.01)
        await asyncio.sleep(share)
        process.kill()
        if await process.wait() == 0 or not mark.exists():
            break  # it was whole by then
        assert 1 == (await elsewhere.run("serve"))[0]
        for command in ("check", "sweep"):
            assert 1 == (await run_inside(elsewhere.environment, command))[0], command
    if mark.exists():
        assert 0 == (await run_inside(elsewhere.environment, "restore", str(house.vault)))[0]
    await holds(elsewhere, house, house.held)


async def test_nothing_is_restored_over_a_deployment_or_into_what_it_saves(house: House) -> None:
    await house.tell("backup")
    assert 2 == (await house.run("restore", str(house.vault)))[0]
    assert 2 == (await house.run("backup", str(house.vault), "--keep", "-1"))[0]
    assert 1 == len(list((house.vault / "sets").iterdir()))
    inside = house.gateway.data_dir / "backups"
    assert 2 == (await house.run("backup", str(inside)))[0]
    other = house.vault.with_name("other")
    other.mkdir()
    (other / "photo.jpg").touch()
    assert 1 == (await house.run("backup", str(other)))[0]
    assert ["photo.jpg"] == [path.name for path in other.iterdir()]
    assert 1 == (await house.run("verify", str(other)))[0]


async def test_the_rows_go_to_another_postgresql_and_the_blobs_stay(
    house: House, postgres_server: str, tmp_path: Path
) -> None:
    dumped = tmp_path / "rows.dump"
    assert 0 == (await house.run("database", "dump", str(dumped)))[0]
    assert 0o600 == dumped.stat().st_mode & 0o777
    assert 2 == (await house.run("database", "dump", str(dumped)))[0]
    assert 1 == (await house.run("database", "load", str(dumped)))[0]  # it has rows
    await house.gateway.terminate()
    environment = house.gateway.environment | {
        "GATEWAY_DATABASE_URL": await new_database(postgres_server)
    }
    assert 0 == (await run_inside(environment, "database", "load", str(dumped)))[0]
    status, said = await run_inside(environment, "scrub")
    assert (0, 20) == (status, json.loads(said)["blobs"])
    house.gateway._environment.update(environment)
    await holds(house.gateway, house, dict(house.held))
