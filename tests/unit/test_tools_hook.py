"""The hook server says what it is told to, and remembers what it was asked."""

from __future__ import annotations

import aiohttp
import pytest

from tests.tools.hook import ALLOW, Misbehave, Say, deny, running_hook

TIMEOUT = aiohttp.ClientTimeout(total=0.5)


async def test_a_request_is_remembered_and_allowed() -> None:
    headers = {"X-Filestore-Phase": "commit", "X-Hasura-User-Id": "7"}
    async with running_hook() as hook, aiohttp.ClientSession() as session:
        url = f"{hook.url}?file_id=a%20b&file_op=create"
        async with session.get(url, headers=headers) as answer:
            assert answer.status == 200
    [request] = hook.requests
    assert (request.method, request.path) == ("GET", "/hook")
    assert request.query == {"file_id": "a b", "file_op": "create"}
    assert (request.phase, request.operation) == ("commit", "create")
    assert request.headers["x-hasura-user-id"] == "7"


async def test_a_phase_can_be_answered_on_its_own() -> None:
    async with running_hook() as hook, aiohttp.ClientSession() as session:
        hook.at("commit", deny("not today"))
        for phase, expected in {"authorise": (200, ""), "commit": (403, "not today")}.items():
            async with session.get(hook.url, headers={"X-Filestore-Phase": phase}) as answer:
                assert expected == (answer.status, await answer.text())


@pytest.mark.parametrize("status", [200, 201, 204, 302, 401, 404, 500])
async def test_any_status_can_be_said_on_one_connection(status: int) -> None:
    async with running_hook() as hook, aiohttp.ClientSession() as session:
        hook.always(Say(status, headers={"Location": "/elsewhere"}))
        for _ in range(2):
            async with session.get(hook.url, allow_redirects=False) as answer:
                assert status == answer.status


@pytest.mark.parametrize("how", [pytest.param(how, id=how.name.lower()) for how in Misbehave])
async def test_every_misbehaviour_fails_a_client_that_is_on_its_guard(how: Misbehave) -> None:
    async with running_hook() as hook, aiohttp.ClientSession(timeout=TIMEOUT) as session:
        hook.always(how)
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            async with session.get(hook.url) as answer:
                await answer.read()
        hook.always(ALLOW)
        async with session.get(hook.url) as answer:
            assert answer.status == 200
