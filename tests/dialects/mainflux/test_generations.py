"""The requests of the clients of other generations, as their SDKs and command lines send them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from gateway.dialects.mainflux.dialect import MAINFLUX
from gateway.identity import secrets
from tests.dialects.mainflux.test_messages import PUBLISHED, connected, read, send
from tests.tools.client import PASSWORD, Answer, Client

LISTS = ("/things", "/channels", "/users", "/groups", "/orgs", "/keys")
UNKNOWN = "64140f0b-6448-41cf-967e-1bbcc703c332"


async def made(user: Client, kind: str, *names: str) -> list[str]:
    """The ids of new things or channels, in the order in which many are connected."""
    said = await user.ask("POST", f"/{kind}", [{"name": name} for name in names])
    return sorted(entity["id"] for entity in said.json[kind])


def ids(said: Answer, kind: str) -> list[str]:
    assert 200 == said.status, said.text
    return [entity["id"] for entity in said.json[kind]]


@pytest.mark.parametrize(
    ("subtopic", "under"),
    [("", "/"), ("", "//"), ("eng.room1", "//eng/room1"), ("eng.room1", "/eng/room1/")],
)
async def test_a_message_with_a_slash_behind_it(
    user: Client, nobody: Client, subtopic: str, under: str
) -> None:
    channel, thing = await connected(user)
    assert 202 == (await send(nobody, channel, thing, PUBLISHED, under)).status
    said = await read(user, channel)
    assert [subtopic] * 3 == [message.get("subtopic", "") for message in said["messages"]]


@pytest.mark.parametrize("limit", ["-1", "0"])
async def test_a_limit_that_is_none(user: Client, nobody: Client, limit: str) -> None:
    things, (channel,) = (
        await made(user, "things", *"abcdefghijkl"),
        await made(user, "channels", "c"),
    )
    await user.ask("POST", "/connect", {"channel_ids": [channel], "thing_ids": things})
    for path in (*LISTS, f"/channels/{channel}/things", f"/things/{things[0]}/channels"):
        assert 200 == (await user.ask("GET", f"{path}?limit={limit}")).status, path
    assert things == ids(
        await user.ask("GET", f"/channels/{channel}/things?limit={limit}"), "things"
    )
    assert 200 == (await user.ask("GET", f"/channels/{channel}/messages?limit={limit}")).status


@pytest.mark.parametrize("limit", ["-2", "-", "-01", "201"])
async def test_a_limit_that_is_no_number(user: Client, limit: str) -> None:
    for path in LISTS:
        assert 400 == (await user.ask("GET", f"{path}?limit={limit}")).status, path


@pytest.mark.parametrize("asked", ["true", "1", "T"])
async def test_what_is_not_connected_if_it_is_so_asked(
    user: Client, stranger: Client, asked: str
) -> None:
    """As the SDKs' ThingsByChannel and ChannelsByThing, which always say it."""
    things, channels = (
        await made(user, "things", "a", "b", "c"),
        await made(user, "channels", "x", "y"),
    )
    await made(stranger, "things", "d")
    await user.ask("POST", "/connect", {"channel_ids": channels[:1], "thing_ids": things[:2]})
    for answer, connected_ones, others in (
        ("false", things[:2], channels[:1]),
        (asked, things[2:], channels[1:]),
    ):
        query = f"?offset=0&limit=100&disconnected={answer}"
        said = await user.ask("GET", f"/channels/{channels[0]}/things{query}")
        assert (connected_ones, len(connected_ones)) == (ids(said, "things"), said.json["total"])
        said = await user.ask("GET", f"/things/{things[0]}/channels{query}")
        assert (others, len(others)) == (ids(said, "channels"), said.json["total"])
    assert 400 == (await user.ask("GET", f"/channels/{channels[0]}/things?disconnected=x")).status


async def test_many_at_once_by_an_address_of_their_own(user: Client) -> None:
    for kind in ("things", "channels"):
        said = await user.ask("POST", f"/{kind}/bulk", [{"name": "a"}, {"name": "b"}])
        assert (201, ["a", "b"]) == (said.status, [entity["name"] for entity in said.json[kind]])


async def test_registering_by_its_other_name(nobody: Client) -> None:
    body = {"email": "new@email.com", "password": PASSWORD}
    said = await nobody.ask("POST", "/register", body)
    assert 201 == said.status
    assert said.headers["Location"].startswith("/users/")
    assert (await nobody.log_in("new@email.com")).token


@pytest.mark.parametrize("prefix", ["", "/filestore"])
async def test_an_address_is_what_follows_the_collection(user: Client, prefix: str) -> None:
    """SDKs cut ``/users/`` off, so it never stands below the prefix."""
    bodies: dict[str, Any] = {
        "things": {"name": "t"},
        "channels": {"name": "c"},
        "groups": {"name": "g"},
        "orgs": {"name": "o"},
        "users": {"email": f"x{len(prefix)}@email.com", "password": PASSWORD},
    }
    for collection, body in bodies.items():
        said = await user.ask("POST", f"{prefix}/{collection}", body)
        assert said.headers["Location"].startswith(f"/{collection}/"), collection
        found = await user.ask("GET", said.headers["Location"])
        assert found.status == 200 or collection == "users"


async def test_own_profile(user: Client, nobody: Client) -> None:
    said = await user.ask("GET", "/users/profile")
    assert (200, "test@email.com") == (said.status, said.json["email"])
    assert 401 == (await nobody.ask("GET", "/users/profile")).status


async def test_search_in_a_body(user: Client) -> None:
    await made(user, "things", "alpha", "beta")
    await made(user, "channels", "alpha", "beta")
    for kind in ("things", "channels"):
        said = await user.ask("POST", f"/{kind}/search", {"name": "ALP", "limit": 5, "total": 0})
        assert ["alpha"] == [entity["name"] for entity in said.json[kind]]
        for body in ({"limit": 201}, {"limit": -1}, {"order": "x"}, {"offset": True}, {"name": 1}):
            assert 400 == (await user.ask("POST", f"/{kind}/search", body)).status


async def test_another_key_for_a_thing(user: Client, nobody: Client) -> None:
    thing, key = await user.thing(), "a-key-of-ones-own"
    path = f"/things/{thing['id']}/key"
    assert 200 == (await user.ask("PATCH", path, {"key": key})).status
    assert 200 == (await nobody.ask("GET", "/files", Authorization=f"Thing {key}")).status
    assert 403 == (await nobody.ask("GET", "/files", Authorization=f"Thing {thing['key']}")).status
    assert 400 == (await user.ask("PATCH", path, {})).status


async def test_trees_of_groups(user: Client, stranger: Client) -> None:
    root = await user.group(name="root")
    middle = await user.group(name="middle", parent_id=root)
    leaf = await user.group(name="leaf", parent_id=middle)
    other = await user.group(name="other", parent_id=root)
    asked = "?offset=0&limit=100&tree=false&level="
    expected = {
        f"/groups/{root}/children{asked}5": [root, middle, other, leaf],
        f"/groups/{root}/children{asked}2": [root, middle, other],
        f"/groups/{root}/children?limit=1&offset=1": [middle],
        f"/groups/{leaf}/children": [leaf],
        f"/groups/{leaf}/parents{asked}5": [leaf, middle, root],
        f"/groups/{leaf}/parents{asked}1": [leaf],
    }
    for path, groups in expected.items():
        assert groups == ids(await user.ask("GET", path), "groups"), path
        assert 404 == (await stranger.ask("GET", path)).status
    assert 400 == (await user.ask("GET", f"/groups/{root}/children?level=6")).status


async def test_things_and_channels_of_a_group(user: Client, stranger: Client) -> None:
    group, inside = await user.group(), await user.thing(name="inside")
    await user.thing(name="outside")
    await user.ask("POST", f"/groups/{group}/members", {"members": [inside["id"]]})
    said = await user.ask("GET", f"/groups/{group}/things?limit=5")
    order = {"order": "", "direction": ""}
    expected = {"total": 1, "offset": 0, "limit": 5, **order, "things": [inside]}
    assert (200, expected) == (said.status, said.json)
    assert [] == ids(await user.ask("GET", f"/groups/{group}/channels"), "channels")
    for kind in ("things", "channels"):
        assert 404 == (await stranger.ask("GET", f"/groups/{group}/{kind}")).status


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        pytest.param(3600, 3600, id="seconds, as published"),
        pytest.param(2**31 - 1, 2**31 - 1, id="as many as a client can write"),
        pytest.param(10**9, 1, id="keys issue 1s"),
        pytest.param(3 * 10**9, 3, id="keys issue 3s"),
        pytest.param(4_500_000_000, 4, id="keys issue 4.5s"),
        pytest.param(3600 * 10**9, 3600, id="keys issue 1h"),
        pytest.param(8760 * 3600 * 10**9, 8760 * 3600, id="keys issue 8760h"),
    ],
)
async def test_how_long_a_key_lives(user: Client, duration: int, seconds: int) -> None:
    """The Go clients write a duration as it is in Go, in nanoseconds."""
    said = (await user.ask("POST", "/keys", {"type": 2, "duration": duration})).json
    issued, expires = (datetime.fromisoformat(said[at]) for at in ("issued_at", "expires_at"))
    assert seconds == (expires - issued).total_seconds()


GETS = sorted({r.path for r in MAINFLUX.routes if r.method == "GET" and "{" not in r.path})


@pytest.mark.parametrize("path", [*GETS, "/things/{thing}/groups", "/channels/{channel}/messages"])
async def test_a_head_and_a_slash_at_the_end(root: Client, nobody: Client, path: str) -> None:
    """HEAD is GET without its body, and what ends in a word may end in a slash."""
    channel, thing = await connected(root)
    path = path.format(thing=thing["id"], channel=channel)
    client = nobody if path in {"/files", "/groupfiles"} else root
    headers = {"Authorization": f"Thing {thing['key']}"} if client is nobody else {}
    expected = await client.ask("GET", path, **headers)
    assert 200 == expected.status
    for address in (path, f"{path}/", f"/filestore{path}/"):
        assert expected.json == (await client.ask("GET", address, **headers)).json
        said = await client.ask("HEAD", address, **headers)
        assert (200, "") == (said.status, said.text)
        for name in ("Content-Type", "Content-Length"):
            assert expected.headers[name] == said.headers[name], address
    assert 401 == (await nobody.ask("HEAD", f"{path}/")).status


async def test_a_head_of_a_list_of_any_length(nobody: Client, user: Client) -> None:
    """None of it is made, so its length is not known."""
    thing = await user.thing()
    headers = {"Authorization": f"Thing {thing['key']}"}
    said = await nobody.ask("HEAD", "/files?limit=0", **headers)
    assert (200, "") == (said.status, said.text)
    assert "Content-Length" not in said.headers


async def test_making_something_at_an_address_with_a_slash(user: Client) -> None:
    assert 201 == (await user.ask("POST", "/things/", [{"name": "a"}])).status
    assert 201 == (await user.ask("POST", "/groups/", {"name": "a"})).status
    assert 404 == (await user.ask("GET", "/things//")).status


async def test_the_groups_of_a_member(user: Client, stranger: Client, root: Client) -> None:
    group, thing = await user.group(), await user.thing()
    await user.ask("POST", f"/groups/{group}/members", {"members": [thing["id"]]})
    me = (await user.ask("GET", "/users/profile")).json["id"]
    for client in (user, root):
        for member in (me, thing["id"]):
            assert [group] == ids(await client.ask("GET", f"/members/{member}/groups"), "groups")
    for member in (me, thing["id"], UNKNOWN):
        assert 404 == (await stranger.ask("GET", f"/members/{member}/groups")).status


async def test_the_bodies_of_april_2024(user: Client) -> None:
    things, (channel,) = await made(user, "things", "a", "b"), await made(user, "channels", "c")
    body = {"channel_id": channel, "thing_ids": things}
    assert 200 == (await user.ask("POST", "/connect", body)).status
    assert things == ids(await user.ask("GET", f"/channels/{channel}/things"), "things")
    assert 200 == (await user.ask("PUT", "/disconnect", body)).status
    assert [] == ids(await user.ask("GET", f"/channels/{channel}/things"), "things")
    said = await user.ask("POST", "/groups", [{"name": "a"}, {"name": "b"}])
    assert (201, ["a", "b"]) == (said.status, [group["name"] for group in said.json["groups"]])
    said = await user.ask("POST", "/groups", [{"name": "c"}, {"name": "d", "parent_id": UNKNOWN}])
    assert 404 == said.status
    assert 2 == (await user.ask("GET", "/groups")).json["total"]


@pytest.mark.parametrize("path", ["/health", "/filestore/health", "/ready", "/filestore/metrics"])
async def test_every_route_answers_under_the_prefix(nobody: Client, path: str) -> None:
    assert 200 == (await nobody.ask("GET", path)).status


def test_no_key_looks_like_an_option() -> None:
    keys = [secrets.new_thing_key() for _ in range(2000)]
    assert [] == [key for key in keys if key.startswith("-")]
    assert {43} == {len(key) for key in keys}
