"""Who may do what: every route of the Mainflux identity API, asked by everybody.

The table says the status of each cell. A viewer and an editor have that role in the group that
the thing is in and in the org, and policies to read, and to read and write, on the channel.
The API key is the owner's, and so was the expired one. What is asked about is made anew for
every cell, so that nothing depends on the order.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from gateway.dialects.mainflux import (
    audit,
    certificates,
    channels,
    connections,
    groups,
    identify,
    invitations,
    keys,
    messages,
    orgs,
    policies,
    quarantine,
    quotas,
    things,
    users,
    webhooks,
)
from tests.tools.client import PASSWORD, Client
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.tools.inside import gateway_inside
from tests.tools.waiting import until

WHO = (
    "nobody",
    "stranger",
    "viewer",
    "editor",
    "owner",
    "thing",
    "API key",
    "expired key",
    "admin",
)
Statuses = tuple[int, int, int, int, int, int, int, int, int]

ANYBODY = (200, 200, 200, 200, 200, 200, 200, 200, 200)
MAKING = (201, 201, 201, 201, 201, 201, 201, 201, 201)
ANY_USER = (401, 200, 200, 200, 200, 401, 200, 401, 200)
ANY_MAKER = (401, 201, 201, 201, 201, 401, 201, 401, 201)
WHO_SEES = (401, 404, 200, 200, 200, 401, 200, 401, 200)
WHO_EDITS = (401, 404, 403, 200, 200, 401, 200, 401, 200)
WHO_OWNS = (401, 404, 403, 403, 200, 401, 200, 401, 200)
WHO_REMOVES = (401, 404, 403, 403, 204, 401, 204, 401, 204)
ONLY_THINGS = (401, 401, 401, 401, 401, 202, 401, 401, 401)
WHO_ADMINISTERS = (401, 403, 403, 403, 403, 401, 403, 401, 204)
NOBODYS = (403, 403, 403, 403, 403, 403, 403, 403, 403)
WHO_LIMITS = (401, 404, 403, 403, 403, 401, 403, 401, 200)
ONESELF = (401, 404, 404, 404, 200, 401, 200, 401, 200)

# The route, its body if it takes one, and the status for each of WHO.
MATRIX: list[tuple[str, str, Statuses]] = [
    ("POST /users", '{"email": "{fresh}@email.com", "password": "correct-horse"}', MAKING),
    ("POST /tokens", '{"email": "{owner_email}", "password": "correct-horse"}', MAKING),
    ("GET /users", "", ANY_USER),
    ("GET /users/{owner}", "", ONESELF),
    ("POST /users/{locked}/disable", "", WHO_ADMINISTERS),
    ("POST /users/{locked}/enable", "", WHO_ADMINISTERS),
    ("POST /users/{locked}/end-sessions", "", (401, 404, 404, 404, 404, 401, 404, 401, 204)),
    ("GET /users/{owner}/keys", "", ONESELF),
    ("PUT /users", '{"metadata": {"foo": "bar"}}', ANY_USER),
    # Too short a password: a right one would end every other cell's token.
    ("PATCH /password", '{"old_password": "correct-horse", "password": "short"}', (401, 400, 400, 400, 400, 401, 400, 401, 400)),
    ("POST /password/reset-request", '{"email": "{locked_email}"}', (201, 403, 403, 403, 403, 401, 403, 401, 201)),
    ("PUT /password/reset", '{"token": "x", "password": "correct-horse"}', NOBODYS),
    ("POST /invitations", '{"email": "{fresh}@email.com"}', (401, 403, 403, 403, 403, 401, 403, 401, 201)),
    ("GET /invitations", "", ANY_USER),
    ("POST /invitations/accept", '{"token": "x"}', (401, 404, 404, 404, 404, 401, 404, 401, 404)),
    ("DELETE /invitations/{invitation}", "", (401, 404, 404, 404, 404, 401, 404, 401, 204)),
    ("GET /audit", "", (401, 403, 403, 403, 403, 401, 403, 401, 200)),
    ("GET /quarantine", "", (401, 403, 403, 403, 403, 401, 403, 401, 200)),
    ("POST /things", '[{"name": "x"}]', ANY_MAKER),
    ("GET /things", "", ANY_USER),
    ("GET /things/{thing}", "", WHO_SEES),
    ("PUT /things/{thing}", '{"name": "x"}', WHO_EDITS),
    ("DELETE /things/{thing}", "", WHO_REMOVES),
    ("GET /things/{thing}/groups", "", WHO_SEES),
    ("POST /things/{thing}/certificates", f'{{"sha256": "{"0" * 64}"}}', (401, 404, 403, 403, 201, 401, 201, 401, 201)),
    ("GET /things/{thing}/certificates", "", (401, 404, 403, 403, 200, 401, 200, 401, 200)),
    # One that is not there: that of another is no other (tests/web/test_certificates.py).
    ("DELETE /things/{thing}/certificates/{certificate}", "", (401, 404, 404, 404, 404, 401, 404, 401, 404)),
    ("GET /things/{thing}/channels", "", WHO_SEES),
    ("POST /channels", '[{"name": "x"}]', ANY_MAKER),
    ("GET /channels", "", ANY_USER),
    ("GET /channels/{channel}", "", WHO_SEES),
    ("PUT /channels/{channel}", '{"name": "x"}', WHO_EDITS),
    ("DELETE /channels/{channel}", "", WHO_REMOVES),
    ("GET /channels/{channel}/things", "", WHO_SEES),
    ("POST /connect", '{"channel_ids": ["{channel}"], "thing_ids": ["{thing}"]}', WHO_EDITS),
    ("PUT /disconnect", '{"channel_ids": ["{channel}"], "thing_ids": ["{thing}"]}', WHO_EDITS),
    ("PUT /channels/{channel}/things/{thing}", "", WHO_EDITS),
    ("DELETE /channels/{channel}/things/{thing}", "", (401, 404, 403, 204, 204, 401, 204, 401, 204)),
    ("POST /identify", '{"token": "{thing_key}"}', ANYBODY),
    ("POST /identify/channels/{channel}/access-by-key", '{"token": "{thing_key}"}', ANYBODY),
    ("POST /identify/channels/{channel}/access-by-id", '{"thing_id": "{thing}"}', ANYBODY),
    ("POST /groups", '{"name": "x"}', ANY_MAKER),
    ("GET /groups", "", ANY_USER),
    ("GET /groups/{group}", "", WHO_SEES),
    ("PUT /groups/{group}", '{"name": "x"}', WHO_OWNS),
    ("DELETE /groups/{group}", "", WHO_REMOVES),
    ("GET /groups/{group}/members", "", WHO_SEES),
    ("POST /groups/{group}/members", '{"members": ["{thing}"]}', WHO_OWNS),
    ("DELETE /groups/{group}/members", '{"members": ["{thing}"]}', WHO_REMOVES),
    ("POST /orgs", '{"name": "x"}', ANY_MAKER),
    ("GET /orgs", "", ANY_USER),
    ("GET /orgs/{org}", "", WHO_SEES),
    ("PUT /orgs/{org}", '{"name": "x"}', WHO_OWNS),
    ("DELETE /orgs/{org}", "", WHO_REMOVES),
    ("GET /orgs/{org}/members", "", WHO_SEES),
    ("POST /orgs/{org}/members", '{"members": [{"email": "{stranger_email}", "role": "viewer"}]}', WHO_OWNS),
    ("PUT /orgs/{org}/members", '{"members": [{"email": "{viewer_email}", "role": "editor"}]}', WHO_OWNS),
    ("DELETE /orgs/{org}/members", '{"member_ids": ["{stranger}"]}', WHO_REMOVES),
    ("GET /orgs/{org}/groups", "", WHO_SEES),
    ("POST /orgs/{org}/groups", '{"group_ids": ["{group}"]}', WHO_OWNS),
    ("DELETE /orgs/{org}/groups", '{"group_ids": ["{group}"]}', (401, 404, 403, 204, 204, 401, 204, 401, 204)),
    ("GET /members/{owner}/orgs", "", ONESELF),
    ("POST /policies", '{"subjects": ["{stranger}"], "object": "{thing}", "policies": ["read"]}', (401, 403, 403, 403, 403, 401, 403, 401, 201)),
    ("PUT /policies", '{"subjects": ["{stranger}"], "object": "{thing}", "policies": ["read"]}', (401, 403, 403, 403, 403, 401, 403, 401, 204)),
    ("POST /keys", '{"type": 2}', ANY_MAKER),
    ("GET /keys", "", ANY_USER),
    ("GET /keys/{key}", "", ONESELF),
    ("DELETE /keys/{key}", "", (401, 404, 404, 404, 204, 401, 204, 401, 204)),
    ("GET /quota", "", (401, 200, 200, 200, 200, 200, 200, 401, 200)),
    ("GET /users/{owner}/quota", "", ONESELF),
    ("PUT /users/{owner}/quota", "{}", (401, 404, 404, 404, 403, 401, 403, 401, 200)),
    ("PATCH /users/{owner}/quota", "{}", (401, 404, 404, 404, 403, 401, 403, 401, 200)),
    *((f"GET /{kind}s/{{{kind}}}/quota", "", WHO_OWNS) for kind in ("thing", "group", "org")),
    *((f"PUT /{kind}s/{{{kind}}}/quota", "{}", WHO_LIMITS) for kind in ("thing", "group", "org")),
    *((f"PATCH /{kind}s/{{{kind}}}/quota", "{}", WHO_LIMITS) for kind in ("thing", "group", "org")),
    ("POST /http/channels/{channel}/messages", '[{"n": "x", "v": 1}]', ONLY_THINGS),
    ("POST /http/channels/{channel}/messages/{subtopic}", '[{"n": "x", "v": 1}]', ONLY_THINGS),
    ("GET /channels/{channel}/messages", "", (401, 404, 200, 200, 200, 200, 200, 401, 200)),
    ("POST /webhooks/{thing}", '[{"name": "x", "url": "https://8.8.8.8/"}]', (401, 404, 403, 403, 201, 401, 201, 401, 201)),
    ("GET /webhooks/{thing}", "", WHO_OWNS),
    ("PUT /webhooks/{webhook}", '{"name": "x"}', WHO_OWNS),
    ("POST /webhooks/{webhook}/secret", "", (401, 404, 403, 403, 201, 401, 201, 401, 201)),
    ("DELETE /webhooks/{webhook}", "", WHO_REMOVES),
    ("PATCH /webhooks", '{"webhook_ids": ["{webhook}"]}', WHO_REMOVES),
]  # fmt: skip

# The names that the table gives to what the routes call {id}.
NAMED = ("owner", "thing", "channel", "group", "org", "key", "webhook", "locked", "invitation")


@dataclass(frozen=True)
class People:
    """Everybody but the thing, and their ids and e-mails."""

    clients: dict[str, Client]
    named: dict[str, str]

    async def world(self) -> dict[str, str]:
        """A thing, a channel, a group, an org and a key of the owner's, shared as above."""
        owner, admin, named = self.clients["owner"], self.clients["admin"], dict(self.named)
        thing = await owner.thing()
        named |= {"thing": thing["id"], "thing_key": thing["key"], "fresh": f"x{uuid4().hex}"}
        made = await owner.ask("POST", "/channels", [{"name": "hall"}])
        named["channel"] = made.json["channels"][0]["id"]
        named["group"] = await owner.group()
        named["org"] = (await owner.ask("POST", "/orgs", {"name": "org"})).created
        named["key"] = (await owner.ask("POST", "/keys", {"type": 2})).json["id"]
        roles = [{"email": named[f"{role}_email"], "role": role} for role in ("viewer", "editor")]
        await owner.ask("POST", f"/orgs/{named['org']}/members", {"members": roles})
        members = {"members": [named["thing"], *roles]}
        assert 200 == (await owner.ask("POST", f"/groups/{named['group']}/members", members)).status
        await owner.ask("PUT", f"/channels/{named['channel']}/things/{named['thing']}")
        for role, actions in (("viewer", ["read"]), ("editor", ["read", "write"])):
            granted = {"subjects": [named[role]], "object": named["channel"], "policies": actions}
            assert 201 == (await admin.ask("POST", "/policies", granted)).status
        hook = [{"name": "hook", "url": "https://8.8.8.8/"}]
        assert 201 == (await owner.ask("POST", f"/webhooks/{thing['id']}", hook)).status
        made = await owner.ask("GET", f"/webhooks/{thing['id']}")
        named["webhook"] = made.json["webhooks"][0]["id"]
        made = await admin.ask("POST", "/invitations", {"email": "invited@email.com"})
        named["invitation"] = made.json["id"]
        return named


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[People]:
    folder = tmp_path_factory.mktemp("matrix")
    async with (
        gateway_inside(folder, database_server=postgres_server) as gateway,
        aiohttp.ClientSession() as session,
    ):
        nobody = Client(session, gateway.url)
        body = {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        admin = await nobody.ask("POST", "/tokens", body)
        clients = {"nobody": nobody, "admin": Client(session, gateway.url, admin.json["token"])}
        named: dict[str, str] = {}
        for role in ("stranger", "viewer", "editor", "owner"):
            clients[role] = await nobody.sign_up(f"{role}@email.com")
            [account] = (await clients[role].ask("GET", "/users")).json["users"]
            named |= {role: account["id"], f"{role}_email": account["email"]}
        account = {"email": "locked@email.com", "password": PASSWORD}
        named["locked"] = (await clients["admin"].ask("POST", "/users", account)).created
        named["locked_email"] = account["email"]
        for name, duration in (("API key", 0), ("expired key", 1)):
            key = await clients["owner"].ask("POST", "/keys", {"type": 2, "duration": duration})
            clients[name] = Client(session, gateway.url, key.json["value"])

        async def has_expired() -> bool:
            return (await clients["expired key"].ask("GET", "/users")).status == 401

        await until(has_expired)
        assert PASSWORD == "correct-horse"
        yield People(clients, named)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("route", "body", "statuses"), MATRIX, ids=[row[0] for row in MATRIX])
async def test_who_may(people: People, route: str, body: str, statuses: Statuses) -> None:
    """What is refused or only read changes nothing, so the next finds the same world."""
    method, _, path = route.partition(" ")
    said, named = {}, await people.world()
    for who in WHO:
        sent = json.loads(_filled(body, named)) if body else ...
        place = _filled(path, named)
        if who == "thing":
            credential = {"Authorization": f"Thing {named['thing_key']}"}
            answer = await people.clients["nobody"].ask(method, place, sent, **credential)
        else:
            answer = await people.clients[who].ask(method, place, sent)
        said[who] = answer.status
        if method != "GET" and answer.status < 300:
            named = await people.world()
    assert dict(zip(WHO, statuses, strict=True)) == said


def test_no_route_is_left_out() -> None:
    identity = (users, things, channels, connections, identify, groups, orgs, policies, keys)
    modules = (*identity, certificates, invitations, audit, quarantine, quotas, messages, webhooks)
    routes = [f"{route.method} {route.path}" for module in modules for route in module.ROUTES]
    served = {route.replace("{subtopic:.*}", "{subtopic}") for route in routes}
    assert served == {_as_routed(route) for route, _, _ in MATRIX}


def _as_routed(route: str) -> str:
    path = route.replace("/things/{thing}", "/things/{thing_id}") if "{channel}" in route else route
    for name in NAMED:
        path = path.replace("{" + name + "}", "{id}")
    return path


def _filled(text: str, named: dict[str, str]) -> str:
    for name, value in named.items():
        text = text.replace("{" + name + "}", value)
    return text
