"""The deployment's hook on the Hasura routes: its word is the only one, for every role and operation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest
import pytest_asyncio

from tests.dialects.hasura.conftest import (
    ADMIN,
    OCTETS,
    Hasura,
    Headers,
    caller,
    check_refusal,
)
from tests.tools.hook import (
    ALLOW,
    Decision,
    HookRequest,
    HookServer,
    Misbehave,
    Say,
    deny,
    running_hook,
)
from tests.tools.inside import InsideGateway, gateway_inside
from tests.tools.mainflux import User
from tests.tools.nginx import ACCEL
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

FATAL = (500, "fatal_internal_error", "internal server error")
OPERATIONS = ("POST", "PUT", "GET", "HEAD", "DELETE")
_ids = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hook() -> AsyncIterator[HookServer]:
    """The hook."""
    async with running_hook() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    hook: HookServer, tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[InsideGateway]:
    """The service that asks it every time, under a policy that would let nobody write."""
    async with gateway_inside(
        tmp_path_factory.mktemp("gateway"),
        database_server=postgres_server,
        accel=ACCEL,
        trusted_proxies=f"{HOST}/32",
        hasura_policy="read-only",
        hook_url=hook.url,
        hook_timeout_seconds=0.5,
        hook_cache_seconds=0,
    ) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def shared(gateway: InsideGateway, hook: HookServer) -> str:
    """A file of this test's own; afterwards the hook has heard nothing and allows everything."""
    hook.always(ALLOW)
    path = f"/file-{next(_ids)}"
    await Hasura(gateway.port).create(path, b"content")
    hook.requests.clear()
    return path


async def ask(hasura: Hasura, method: str, path: str, headers: Headers = ADMIN) -> Answer:
    body = b"another" if method in ("POST", "PUT") else b""
    target = path + "-new" if method == "POST" else path
    return await hasura.ask(method, target, (*headers, OCTETS), body)


@pytest.mark.parametrize("role", ["admin", "user", "anonymous", "editor"])
@pytest.mark.parametrize("method", OPERATIONS)
async def test_what_the_hook_allows_is_done_whatever_the_role(
    hasura: Hasura, shared: str, method: str, role: str
) -> None:
    """Neither the built-in policy nor the rule that only admins may act is looked at."""
    assert 200 == (await ask(hasura, method, shared, caller(role))).status


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        pytest.param(deny(), "access denied", id="without a reason"),
        pytest.param(deny("not on sundays"), "not on sundays", id="in plain text"),
        pytest.param(
            Say(403, b'{"message": "quota used up"}', {"Content-Type": "application/json"}),
            "quota used up",
            id="in JSON",
        ),
        pytest.param(
            Say(403, b"<html>no</html>", {"Content-Type": "text/html"}),
            "access denied",
            id="markup",
        ),
    ],
)
@pytest.mark.parametrize("role", ["admin", "user"])
@pytest.mark.parametrize("method", OPERATIONS)
async def test_what_the_hook_denies_is_refused_with_its_reason(
    hasura: Hasura,
    hook: HookServer,
    shared: str,
    method: str,
    role: str,
    decision: Say,
    message: str,
) -> None:
    hook.always(decision)
    answer = await ask(hasura, method, shared, caller(role))
    if method == "HEAD":
        assert (403, b"") == (answer.status, answer.body)
    else:
        check_refusal(answer, 403, "access_denied", message)


@pytest.mark.parametrize(
    "decision",
    [
        *(
            pytest.param(Say(status), id=str(status))
            for status in (201, 204, 302, 400, 401, 404, 500)
        ),
        *(
            pytest.param(how, id=how.name.lower())
            for how in Misbehave
            if how is not Misbehave.ENDLESS_BODY
        ),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_anything_else_is_our_fault_and_nothing_happens(
    gateway: InsideGateway, hook: HookServer, shared: str, method: str, decision: Decision
) -> None:
    direct = Hasura(gateway.port)
    hook.always(decision)
    check_refusal(await ask(direct, method, shared), *FATAL)
    hook.always(ALLOW)
    assert b"content" == (await direct.ask("GET", shared)).body


@pytest.mark.parametrize("decision", [deny("too big"), Say(500), Misbehave.DROP])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_the_hook_may_change_its_mind_when_it_knows_the_bytes(
    hasura: Hasura, hook: HookServer, shared: str, method: str, decision: Decision
) -> None:
    hook.at("commit", decision)
    answer = await ask(hasura, method, shared)
    if isinstance(decision, Say) and decision.status == 403:
        check_refusal(answer, 403, "access_denied", "too big")
    else:
        check_refusal(answer, *FATAL)
    assert b"content" == (await hasura.ask("GET", shared)).body
    assert 404 == (await hasura.ask("GET", f"{shared}-new")).status


async def test_the_hook_is_asked_before_it_is_looked_whether_there_is_a_file(
    hasura: Hasura, hook: HookServer, shared: str
) -> None:
    hook.always(deny("no"))
    for method in ("GET", "DELETE", "PUT"):
        there, absent = await ask(hasura, method, shared), await ask(hasura, method, "/absent")
        assert (403, there.body) == (absent.status, absent.body)
    taken = await hasura.ask("POST", shared, (*ADMIN, OCTETS), b"another")
    check_refusal(taken, 403, "access_denied", "no")


async def test_a_denial_without_end_is_one_without_a_reason(
    hasura: Hasura, hook: HookServer, shared: str
) -> None:
    hook.always(Misbehave.ENDLESS_BODY)
    check_refusal(await ask(hasura, "GET", shared), 403, "access_denied", "access denied")


async def test_a_refused_body_is_never_asked_for(
    gateway: InsideGateway, hook: HookServer, shared: str
) -> None:
    hook.always(deny("no"))
    async with raw_connection(gateway.port) as connection:
        headers = (*ADMIN, OCTETS, ("Content-Length", "7"), ("Expect", "100-continue"))
        await connection.send_head("PUT", f"/v1/file{shared}", headers)
        head = await connection.read_head()
    assert (403, False) == (head.status, head.interim)


@pytest.mark.parametrize(
    ("method", "operation"),
    [
        ("POST", "create"),
        ("PUT", "create"),
        ("GET", "read"),
        ("HEAD", "read"),
        ("DELETE", "delete"),
    ],
)
async def test_the_hook_is_told_who_asks_for_what(
    gateway: InsideGateway, hook: HookServer, shared: str, method: str, operation: str
) -> None:
    identity = (
        *caller("editor", 7),
        ("X-Hasura-Allowed-Roles", "editor, user"),
        ("Authorization", "Bearer of-another-system"),
        ("Cookie", "session=secret"),
    )
    await ask(Hasura(gateway.port), method, shared, identity)
    asked = hook.requests[0]
    assert ("GET", operation, "authorise") == (asked.method, asked.operation, asked.phase)
    assert shared.removeprefix("/") + ("-new" if method == "POST" else "") == asked.query["file_id"]
    assert {
        "x-hasura-user-id": "7",
        "x-hasura-user-role": "editor",
        "x-hasura-allowed-roles": "editor,user",
        "authorization": "Bearer of-another-system",
        "x-filestore-dialect": "hasura",
        "x-filestore-scope": "hasura/default",
        "cookie": None,
    } == told(asked)


def told(asked: HookRequest) -> dict[str, str | None]:
    names = (
        "x-hasura-user-id",
        "x-hasura-user-role",
        "x-hasura-allowed-roles",
        "authorization",
        "x-filestore-dialect",
        "x-filestore-scope",
        "cookie",
    )
    return {name: asked.headers.get(name) for name in names}


async def test_the_hook_is_told_the_id_that_we_make_up(
    gateway: InsideGateway, hook: HookServer, shared: str
) -> None:
    created = await Hasura(gateway.port).create("", b"content")
    assert ["authorise", "commit"] == [asked.phase for asked in hook.requests]
    assert {created["file_id"]} == {asked.query["file_id"] for asked in hook.requests}


async def test_the_hook_sees_a_user_of_ours_as_an_integer(
    gateway: InsideGateway, hook: HookServer, shared: str, admin: User
) -> None:
    headers = (("Authorization", f"Bearer {admin.token}"), OCTETS)
    answer = await Hasura(gateway.port).ask("PUT", shared, headers, b"content")
    assert 200 == answer.status
    shown = hook.requests[0].headers["x-hasura-user-id"]
    assert f'"user_id":{int(shown)},'.encode() in answer.body
    assert "admin" == hook.requests[0].headers["x-hasura-user-role"]


async def test_a_hook_is_never_asked_about_nobody(
    hasura: Hasura, hook: HookServer, shared: str
) -> None:
    """The policy would let anybody read; with a hook there is no policy."""
    answer = await hasura.ask("GET", shared, ())
    check_refusal(answer, 400, "bad_request", "missing header: X-Hasura-User-Id")
    assert [] == hook.requests
