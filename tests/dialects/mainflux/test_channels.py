"""Mainflux channels, connections and access, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tools.client import Client

UNKNOWN = "64140f0b-6448-41cf-967e-1bbcc703c332"
WARNING = (
    "This endpoint will be depreciated in v1.0.0. It will be replaced with the bulk endpoint "
    "found at /connect."
)


async def channel(client: Client, **fields: object) -> dict[str, Any]:
    said = await client.ask("POST", "/channels", [{"name": "hall", **fields}])
    return dict(said.json["channels"][0])


async def test_one_channel_has_a_location_many_have_none(user: Client) -> None:
    said = await user.ask("POST", "/channels", [{"name": "hall", "metadata": {"a": 1}}])
    [made] = said.json["channels"]
    assert (201, f"/channels/{made['id']}") == (said.status, said.headers["Location"])
    assert {"id": made["id"], "name": "hall", "metadata": {"a": 1}} == made
    assert made == (await user.ask("GET", said.headers["Location"])).json
    said = await user.ask("POST", "/channels", [{"name": "a"}, {"name": "b"}])
    assert ["a", "b"] == [c["name"] for c in said.json["channels"]]
    assert "Location" not in said.headers


@pytest.mark.parametrize(
    "body", [[], [{"id": "7"}], ["hall"], [{"name": 7}], [{"metadata": [1]}], b"[{"]
)
async def test_bad_channels_are_refused(user: Client, body: object) -> None:
    assert 400 == (await user.ask("POST", "/channels", body)).status
    assert 0 == (await user.ask("GET", "/channels")).json["total"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"channel_ids": ["{c}"], "thing_ids": ["{t}"]}, 200, id="both"),
        pytest.param({"channel_ids": ["{c}"]}, 400, id="no things"),
        pytest.param({"channel_ids": [], "thing_ids": ["{t}"]}, 400, id="no channels"),
        pytest.param({"channel_ids": "{c}", "thing_ids": ["{t}"]}, 400, id="no list"),
        pytest.param({"channel_ids": ["7"], "thing_ids": ["{t}"]}, 404, id="no id"),
        pytest.param({"channel_ids": ["{c}"], "thing_ids": [UNKNOWN]}, 404, id="unknown"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/connect"), ("PUT", "/disconnect")])
async def test_connecting_takes_lists_of_both(
    user: Client, method: str, path: str, body: dict[str, Any], status: int
) -> None:
    ids = {"c": (await channel(user))["id"], "t": (await user.thing())["id"]}
    sent = {
        name: [i.format(**ids) for i in value] if isinstance(value, list) else value
        for name, value in body.items()
    }
    assert status == (await user.ask(method, path, sent)).status


async def test_a_connection_is_seen_from_both_sides(user: Client) -> None:
    thing, hall = await user.thing(), await channel(user)
    said = await user.ask("PUT", f"/channels/{hall['id']}/things/{thing['id']}")
    assert (200, "", WARNING) == (said.status, said.text, said.headers["Warning-Deprecated"])
    page = {"total": 1, "offset": 0, "limit": 10, "order": "", "direction": ""}
    assert {**page, "channels": [hall]} == (
        await user.ask("GET", f"/things/{thing['id']}/channels")
    ).json
    assert {**page, "things": [thing]} == (
        await user.ask("GET", f"/channels/{hall['id']}/things")
    ).json
    said = await user.ask("DELETE", f"/channels/{hall['id']}/things/{thing['id']}")
    assert (204, "") == (said.status, said.text)
    assert 0 == (await user.ask("GET", f"/channels/{hall['id']}/things")).json["total"]


@pytest.mark.parametrize(
    ("channel_id", "body", "status"),
    [
        pytest.param("{c}", '{"token": "{k}"}', 200, id="token"),
        pytest.param("{c}", '{"type": "internal", "value": "{k}"}', 200, id="type and value"),
        pytest.param("{d}", '{"token": "{k}"}', 403, id="not connected"),
        pytest.param(UNKNOWN, '{"token": "{k}"}', 403, id="unknown channel"),
        pytest.param("{c}", '{"token": "nobody-has-this-key"}', 404, id="unknown key"),
        pytest.param("{c}", '{"token": ""}', 401, id="empty"),
        pytest.param("{c}", "{", 400, id="malformed"),
    ],
)
async def test_access_by_key(
    nobody: Client, user: Client, channel_id: str, body: str, status: int
) -> None:
    said, thing = await _try_access(nobody, user, "access-by-key", channel_id, body)
    assert status == said.status
    assert status != 200 or {"id": thing["id"]} == said.json


@pytest.mark.parametrize(
    ("channel_id", "body", "status"),
    [
        pytest.param("{c}", '{"thing_id": "{t}"}', 200, id="connected"),
        pytest.param("{d}", '{"thing_id": "{t}"}', 403, id="not connected"),
        pytest.param("{c}", f'{{"thing_id": "{UNKNOWN}"}}', 403, id="unknown thing"),
        pytest.param("{c}", "{}", 400, id="no thing"),
    ],
)
async def test_access_by_id(
    nobody: Client, user: Client, channel_id: str, body: str, status: int
) -> None:
    said, _ = await _try_access(nobody, user, "access-by-id", channel_id, body)
    assert status == said.status
    assert status != 200 or said.text == ""


async def _try_access(
    nobody: Client, user: Client, how: str, channel_id: str, body: str
) -> tuple[Any, dict[str, Any]]:
    thing, hall, other = await user.thing(), await channel(user), await channel(user)
    await user.ask("PUT", f"/channels/{hall['id']}/things/{thing['id']}")
    names = {"{c}": hall["id"], "{d}": other["id"], "{k}": thing["key"], "{t}": thing["id"]}
    for name, value in names.items():
        channel_id, body = channel_id.replace(name, value), body.replace(name, value)
    return await nobody.ask("POST", f"/identify/channels/{channel_id}/{how}", body.encode()), thing
