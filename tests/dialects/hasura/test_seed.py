"""The published page, replayed: every request and response of it, host aside, and what it leaves open."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from tests.dialects.hasura.conftest import ADMIN, OCTETS, Hasura, caller, check_refusal
from tests.tools.firmware import Firmware
from tests.tools.rawhttp import Answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED_ID = "05c40f1e-cdaf-4e29-8976-38c899"
IMAGE = Firmware(42, 351_667).content
SETTINGS = {"hasura_policy": "private"}
USER = caller("user", 42)
PNG = ("Content-Type", "image/png")
_ids = count()


@pytest.fixture
def fresh() -> str:
    """An id that no other test has."""
    return f"/file-{next(_ids)}"


@pytest.fixture(scope="module", params=["", "/filestore"], ids=["at the root", "under the prefix"])
def prefixed(request: pytest.FixtureRequest, hasura: Hasura) -> Hasura:
    return Hasura(hasura.port, request.param)


def shown(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer
    assert answer.head.one("Content-Type") == "application/json"
    return dict(json.loads(answer.body))


def check_created(answer: Answer, expected: Mapping[str, object]) -> datetime:
    """Exactly the documented members, in their order and types; when it was created."""
    body = shown(answer)
    created_at = body.pop("created_at")
    assert list(expected.items()) == list(body.items())
    assert type(body["user_id"]) is int
    moment = datetime.strptime(created_at, "%Y-%m-%dT%H:%M:%S.%f%z")
    assert moment.isoformat(timespec="microseconds") == created_at
    assert created_at.endswith("+00:00")
    return moment


def as_published(size: int = 351_667) -> dict[str, object]:
    return {
        "file_id": SEED_ID,
        "content_type": "image/png",
        "file_status": "uploaded",
        "file_size": size,
        "user_id": 42,
        "user_role": "user",
    }


async def test_the_published_examples_replay(prefixed: Hasura) -> None:
    path, headers = f"/{SEED_ID}", (*USER, PNG)
    before = datetime.now(UTC)
    created = await prefixed.ask("POST", path, headers, IMAGE)
    moment = check_created(created, as_published())
    assert before <= moment <= datetime.now(UTC)
    got = await prefixed.ask("GET", path, USER)
    assert (200, "image/png", IMAGE) == (got.status, got.head.one("Content-Type"), got.body)
    replaced = await prefixed.ask("PUT", path, headers, IMAGE[:1000])
    assert moment == check_created(replaced, as_published(1000))
    assert IMAGE[:1000] == (await prefixed.ask("GET", path, USER)).body
    deleted = await prefixed.ask("DELETE", path, USER)
    assert {"file_id": SEED_ID, "status": "deleted"} == shown(deleted)
    gone = await prefixed.ask("GET", path, USER)
    check_refusal(gone, 404, "not_found", f"file not found : {SEED_ID}")


async def test_put_creates_what_is_not_there(hasura: Hasura) -> None:
    put = await hasura.ask("PUT", f"/{SEED_ID}", (*USER, PNG), IMAGE)
    check_created(put, as_published())
    await hasura.ask("DELETE", f"/{SEED_ID}")


@pytest.mark.parametrize("path", ["", "/"])
async def test_an_id_is_made_up_on_request(hasura: Hasura, path: str) -> None:
    first, second = await hasura.create(path, b"one"), await hasura.create(path, b"two")
    assert first["file_id"] != second["file_id"]
    assert str(UUID(first["file_id"])) == first["file_id"]
    assert b"one" == (await hasura.ask("GET", f"/{first['file_id']}")).body


async def test_head_says_what_get_would(hasura: Hasura, fresh: str) -> None:
    await hasura.create(fresh, IMAGE)
    got, head = await hasura.ask("GET", fresh), await hasura.ask("HEAD", fresh)
    assert (200, b"") == (head.status, head.body)
    for name in ("Content-Length", "Content-Type", "ETag", "Accept-Ranges", "Repr-Digest"):
        assert got.head.one(name) == head.head.one(name)
    assert "bytes" == head.head.one("Accept-Ranges")
    assert [] == got.head.all("Transfer-Encoding")


async def test_a_file_belongs_to_its_last_writer(hasura: Hasura, fresh: str) -> None:
    await hasura.create(fresh, b"one")
    answer = await hasura.ask("PUT", fresh, (*caller("admin", -7), OCTETS), b"two")
    assert -7 == shown(answer)["user_id"]


async def test_an_empty_file_is_a_file(hasura: Hasura, fresh: str) -> None:
    created = await hasura.create(fresh, b"")
    assert 0 == created["file_size"]
    got = await hasura.ask("GET", fresh)
    assert (200, "0", b"") == (got.status, got.head.one("Content-Length"), got.body)


async def test_a_chunked_body_is_a_body(hasura: Hasura, fresh: str) -> None:
    headers = (*ADMIN, OCTETS, ("Transfer-Encoding", "chunked"))
    body = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    assert 11 == shown(await hasura.ask("POST", fresh, headers, body))["file_size"]
    assert b"hello world" == (await hasura.ask("GET", fresh)).body
