"""Who the service and its database run as, and what they may; combinations of settings that are refused."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.database.embedded import embedded_server
from gateway.model.errors import CatalogueUnavailable, Failure, StorageFailed, StorageFull
from gateway.web.operations.health import Readiness, ready_handler
from gateway.web.operations.operators import Operators
from tests.tools import warm
from tests.tools.gateway import environment_of
from tests.tools.inside import gateway_inside
from tests.tools.mainflux import sign_in
from tests.tools.waiting import PATIENCE_SECONDS

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")


def serve(**settings: object) -> tuple[int, str]:
    """What `serve` says and ends with, which it does at once: its port is taken or it is refused."""
    done = warm.run("-m", "gateway", "serve", env=environment_of(settings))
    return done.returncode, done.stderr


@AS_ROOT
@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0", "allow_root": "auto"},
        {"trusted_proxies": "127.0.0.1/32", "allow_root": "auto"},
        {"allow_root": "false"},
    ],
    ids=["others can come", "a proxy is trusted", "not at all"],
)
def test_root_is_refused_where_it_is_no_trial(tmp_path: Path, settings: dict[str, object]) -> None:
    status, said = serve(data_dir=tmp_path, **settings)
    assert (status, "GATEWAY_ALLOW_ROOT" in said) == (2, True), said
    assert not list(tmp_path.iterdir())


def test_a_network_of_everybody_is_refused(tmp_path: Path) -> None:
    status, said = serve(data_dir=tmp_path, trusted_proxies="10.0.0.0/8,::/0")
    assert (status, "everybody would be believed" in said) == (2, True), said


async def test_the_embedded_database_lets_the_gateway_in_without_further_rights(
    tmp_path: Path,
) -> None:
    """
    Also in a data directory of before, in which the superuser owned everything.
    """
    with embedded_server(tmp_path, superuser=True) as dsn:
        old = await asyncpg.connect(dsn)
        await old.execute(
            "create table kept (id int generated always as identity); create view v as select 1"
        )
        await old.execute(
            "create function f() returns int language sql as 'select 1'; create type t as enum ('a')"
        )
        await old.close()
    with embedded_server(tmp_path) as dsn:
        own = await asyncpg.connect(dsn)
        assert not await own.fetchval("select rolsuper from pg_roles where rolname = current_user")
        await own.execute("insert into kept default values; alter table kept add column more int")
        await own.execute(
            "create or replace function f() returns int language sql as 'select 2'; drop view v; drop type t"
        )
        for forbidden in (
            "select pg_read_file('/etc/passwd')",
            "copy kept from program 'id'",
            "copy kept to '/tmp/kept'",
            "alter system set fsync = off",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await own.execute(forbidden)
        await own.close()
        async with asyncio.timeout(PATIENCE_SECONDS):  # until the server has heard of it
            while True:
                try:
                    again = await asyncpg.connect(dsn.replace("filestore@", "postgres@", 1))
                except asyncpg.InvalidAuthorizationSpecificationError:
                    break
                await again.close()
                await asyncio.sleep(0.05)


def test_what_is_put_in_place_of_a_file_of_the_servers_is_not_followed(tmp_path: Path) -> None:
    """
    Root once wrote its configuration into whatever such a link led to, and gave that away.
    """
    with embedded_server(tmp_path):
        pass
    precious = tmp_path / "precious"
    precious.write_text("mine")
    precious.chmod(0o600)
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        (tmp_path / "postgres" / name).unlink()
        (tmp_path / "postgres" / name).symlink_to(precious)
    with embedded_server(tmp_path):
        pass
    found = precious.stat()
    assert (precious.read_text(), found.st_uid, found.st_mode & 0o777) == (
        "mine",
        os.geteuid(),
        0o600,
    )
    assert not (tmp_path / "postgres" / "postgresql.conf").is_symlink()


async def test_numbers_and_descriptions_are_for_who_has_the_token(
    tmp_path: Path, postgres_server: str
) -> None:
    async with (
        gateway_inside(
            tmp_path, database_server=postgres_server, operations_token="t" * 20
        ) as gateway,
        aiohttp.ClientSession() as session,
    ):
        user = (await sign_in(session, gateway.url)).headers
        for path in ("/metrics", "/openapi.json", "/docs", "/filestore/metrics"):
            for headers, expected in (({}, 401), (user, 401), (bearer("t" * 20), 200)):
                async with session.get(f"{gateway.url}{path}", headers=headers) as answer:
                    assert answer.status == expected, (path, headers)
        async with session.get(f"{gateway.url}/ready") as answer:
            assert (answer.status, await answer.json(content_type=None)) == (
                200,
                {"status": "pass"},
            )
        async with session.get(f"{gateway.url}/health") as answer:
            assert answer.status == 200


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_a_token_everybody_is_an_operator() -> None:
    handler = object()
    assert Operators().only(handler) is handler  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        ((200, "pass"), None),
        ((200, "warn"), StorageFull),
        ((503, "fail"), StorageFailed),
        ((503, "fail"), CatalogueUnavailable),
    ],
    ids=["all is well", "no room to write", "no disk", "no database"],
)
async def test_ready_is_who_can_be_read_from(
    expected: tuple[int, str], fault: type[Failure] | None
) -> None:
    """
    Whoever fills the disk must not have the gateway taken out of service.
    """

    async def probe() -> None:
        if fault is not None:
            raise fault()

    answer = await ready_handler(Readiness({"disk": probe}))(make_mocked_request("GET", "/ready"))
    assert isinstance(answer.body, bytes)
    assert (answer.status, json.loads(answer.body)["status"]) == expected
