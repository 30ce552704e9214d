"""The operator's pages, followed from the first line to the last, and back from a backup.

One machine in a folder (``machine.py``), in the order of a deployment's life: what a page does, the
next one finds. ``make operator`` follows all of them, and installs with a real pip.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from tests.documents import pages
from tests.documents.machine import Machine, machine
from tests.tools.firmware import Firmware
from tests.tools.mainflux import Thing, User, sign_in, upload

IMAGE = Firmware(91, 600_000)
INSTALL, TLS, UPGRADE = "docs/install.md", "docs/tls.md", "docs/upgrade.md"
BACKUP, MONITORING, TROUBLE = "docs/backup.md", "docs/monitoring.md", "docs/troubleshooting.md"
WHOLE = "TESTS_OPERATOR_WHOLE"
FIRST_PASSWORD = "exec gateway cat /var/lib/filestore-gateway/first-password"
FOLLOWED = {
    INSTALL: ("systemd", "postgresql", "nginx", "edge", "compose"),
    TLS: ("certificate", "tls"),
    UPGRADE: ("upgrade",),
    BACKUP: ("backup", "embedded", "restore"),
    MONITORING: ("prometheus", "nginx"),
    TROUBLE: ("look", "password", "fleet"),
}


@pytest.mark.parametrize("page", FOLLOWED)
def test_every_block_of_a_page_is_followed(page: str) -> None:
    blocks = re.findall(r"(?:<!-- (\w+) -->\n)?```sh$", pages.read(page), re.MULTILINE)
    assert list(FOLLOWED[page]) == blocks


def test_what_the_unit_says_of_its_installation_is_what_the_page_says() -> None:
    unit = pages.read("deploy/systemd/filestore-gateway.service").partition("[Unit]")[0]
    said = re.findall(r"^#   (\S.*)$", unit, re.MULTILINE)
    assert [] == [line for line in said if line not in pages.shell(INSTALL, "systemd")]
    assert len(said) > 3


def test_the_composition_says_what_the_page_says() -> None:
    said = re.findall(r"^#   (\S.*)$", pages.read("deploy/compose/compose.yaml"), re.MULTILINE)
    assert [] == [line for line in said if line not in pages.shell(INSTALL, "compose")]


@pytest.mark.parametrize(
    "message", re.findall(r"^\| `([a-z][^`]+)`", pages.read(TROUBLE), re.MULTILINE)
)
def test_a_message_that_is_explained_is_one_that_is_said(message: str) -> None:
    code = "".join(path.read_text("utf-8") for path in (pages.ROOT / "gateway").rglob("*.py"))
    for part in re.split(r" in var|\.\.\.: ", message):
        assert part in code or part == "Address already in use", part


async def test_from_installing_to_a_restore(tmp_path: Path, postgres_server: str) -> None:
    """Every block with ``make operator``, which takes a minute or two; else the shortest way."""
    whole = bool(os.environ.get(WHOLE))
    with machine(tmp_path, postgres_server) as here:
        await installed(here)
        if whole:
            await with_nginx_and_tls(here)
        email, password = first_administrator(here)
        thing = await published(here, email, password)
        await here.does(BACKUP, "backup")
        if whole:
            await here.does(MONITORING, "prometheus")
            await here.does(MONITORING, "nginx")
            await here.does(UPGRADE, "upgrade")
            await here.does(BACKUP, "embedded")
        await restored(here, thing)
        if whole:
            await in_trouble(here, thing, email)


async def installed(here: Machine) -> None:
    """With a database of its own, made before the first start."""
    first = "systemctl daemon-reload"
    database = here.here(pages.shell(INSTALL, "postgresql"))
    await here.does(INSTALL, "systemd", (first, f"{database}{first}"))


async def with_nginx_and_tls(here: Machine) -> None:
    assert "leads to a gateway" in await here.does(INSTALL, "nginx")
    assert "user" in (here.folder / "etc/nginx/nginx.conf.before").read_text()
    await here.does(INSTALL, "edge")
    await here.does(TLS, "certificate")
    assert '"status":"pass"' in await here.does(TLS, "tls")
    (here.folder / "compose").mkdir()
    await here.does(INSTALL, "compose", ("cd deploy/compose", f"cd {here.folder}/compose"))
    assert [
        "up --build --detach",
        "logs gateway",
        FIRST_PASSWORD,
        "exec gateway filestore-gateway doctor",
    ] == [
        line.removeprefix("docker compose ").replace(str(here.folder), "")
        for line in (here.folder / "docker.log").read_text().splitlines()
    ]


def first_administrator(here: Machine) -> tuple[str, str]:
    """E-mail, from the journal, and password, from the file that it names."""
    journal = (here.folder / "journal").read_text()
    email = re.search(r"^First administrator: (\S+)$", journal, re.MULTILINE)
    kept = re.search(r"^Password: +in (\S+),", journal, re.MULTILINE)
    assert email is not None, journal
    assert kept is not None, journal
    return email[1], Path(kept[1]).read_text().strip()


async def published(here: Machine, email: str, password: str) -> Thing:
    """A thing and its firmware."""
    async with aiohttp.ClientSession() as session:
        return await with_firmware(await sign_in(session, here.url, email, password))


async def with_firmware(admin: User) -> Thing:
    thing = await admin.thing()
    await upload(admin.session, f"{admin.url}/files", thing.headers, "firmware.bin", IMAGE.content)
    return thing


async def restored(here: Machine, thing: Thing) -> None:
    """Everything is lost but the backup, and comes back."""
    shutil.rmtree(here.data_dir)
    connection = await asyncpg.connect(here.database_server)
    await connection.execute("drop database filestore with (force)")
    await connection.execute("create database filestore")
    await connection.close()
    said = await here.does(BACKUP, "restore")
    check, scrub = (json.loads(line) for line in said.splitlines() if line.startswith("{"))
    assert (1, True, 1, True) == (check["blobs"], check["sound"], scrub["blobs"], scrub["sound"])
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{here.url}/files/firmware.bin", headers=thing.headers) as answer,
    ):
        assert IMAGE.content == await answer.read()


async def in_trouble(here: Machine, thing: Thing, email: str) -> None:
    assert '"status":"pass"' in await here.does(TROUBLE, "look")
    said = await here.does(TROUBLE, "password", ("admin@gateway.test", email))
    assert said.count(email) == 2
    await here.does(TROUBLE, "fleet", ('"$KEY"', thing.key))
