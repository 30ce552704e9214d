"""The authorisation hook has its say about forms and links, which have no caller of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.dialects.losant_storage.conftest import CONTENT, Owner, code_of, encoded
from tests.dialects.losant_storage.test_upload import early_answer, left
from tests.tools.hook import ALLOW, HookServer, deny, running_hook


@pytest.fixture
async def hook() -> AsyncIterator[HookServer]:
    async with running_hook() as running:
        yield running


@pytest.fixture
def settings(hook: HookServer) -> dict[str, Any]:
    return {"hook_url": hook.url, "hook_cache_seconds": 0}


async def test_a_form_is_asked_about_before_its_file_and_before_its_row(
    owner: Owner, hook: HookServer
) -> None:
    made = await owner.make()
    hook.requests.clear()
    assert 204 == (await owner.post(made["upload"])).status
    asked = [(r.operation, r.phase, r.query["file_id"]) for r in hook.requests]
    expected = ("create", "authorise", made["id"]), ("create", "commit", made["id"])
    assert list(expected) == asked
    assert {"losant"} == {r.headers["x-filestore-dialect"] for r in hook.requests}
    assert [None, str(len(CONTENT))] == [r.headers.get("x-filestore-size") for r in hook.requests]


@pytest.mark.parametrize("phase", ["authorise", "commit"])
async def test_a_form_that_the_hook_refuses_leaves_nothing(
    owner: Owner, hook: HookServer, tmp_path: Path, phase: str
) -> None:
    made = await owner.make()
    hook.at(phase, deny("not today"))
    answer = await owner.post(made["upload"])
    assert (403, "AccessDenied") == (answer.status, code_of(answer))
    assert "<Message>not today</Message>" in answer.text
    assert [] == left(tmp_path)
    hook.always(ALLOW)
    await owner.complete(made)


async def test_a_form_that_the_hook_refuses_is_not_read(owner: Owner, hook: HookServer) -> None:
    made = await owner.make()
    body = encoded(list(made["upload"]["fields"].items()))
    hook.always(deny())
    answer, _ = await early_answer(owner, body[: body.index(CONTENT) + 4])
    assert (403, "AccessDenied") == (answer.status, code_of(answer))


async def test_a_link_is_asked_about_every_time(owner: Owner, hook: HookServer) -> None:
    made = await owner.make()
    url = (await owner.complete(made))["url"]
    hook.requests.clear()
    assert 200 == (await owner.read(url)).status
    assert [("read", "authorise", made["id"])] == [
        (r.operation, r.phase, r.query["file_id"]) for r in hook.requests
    ]
    hook.always(deny("not today"))
    answer = await owner.read(url)
    assert (403, "AccessDenied") == (answer.status, code_of(answer))
