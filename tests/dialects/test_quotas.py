"""Quotas over HTTP: each dialect's own refusal, who sees and who sets them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.database.pool import Database
from gateway.model.quota import Resource, resources_of_class
from gateway.settings import quotas as written
from tests.dialects.conftest import ROOT_EMAIL
from tests.dialects.gravwell import conftest as gravwell
from tests.dialects.losant_storage import conftest as losant
from tests.tools.client import Answer, Client

MESSAGE = [{"n": "x", "v": 1}]


async def id_of(client: Client) -> str:
    [account] = (await client.ask("GET", "/users")).json["users"]
    return str(account["id"])


async def limited(root: Client, client: Client, **limits: object) -> str:
    """The path of the client's quota, which is set."""
    path = f"/users/{await id_of(client)}/quota"
    said = await root.ask("PUT", path, {"limits": limits})
    assert said.status == 200, said
    return path


async def send_file(client: Client, thing: dict[str, Any], name: str, content: bytes) -> Answer:
    credential = {"Authorization": f"Thing {thing['key']}"}
    path = f"/files/{name}"
    return await client.ask("PUT", path, content, Content_Type="text/plain", **credential)


async def mainflux_file(user: Client, root: Client) -> Answer:
    return await send_file(user, await user.thing(), "a.txt", b"x" * 11)


async def mainflux_group_file(user: Client, root: Client) -> Answer:
    path = f"/groups/{await user.group()}/files/a.txt"
    return await user.ask("PUT", path, b"x" * 11, Content_Type="text/plain")


async def gravwell_file(user: Client, root: Client) -> Answer:
    meta = json.dumps({"Name": "a"}).encode()
    return await gravwell.send(user, [("meta", meta), ("file", b"x" * 11)])


async def application_of(user: Client) -> losant.Owner:
    made = await user.ask("POST", "/applications", {"name": "app"})
    return losant.Owner(user, made.json["applicationId"])


async def losant_file(user: Client, root: Client) -> Answer:
    owner = await application_of(user)
    said = {"name": "a", "type": "file", "parentDirectory": "/", "fileSize": 11}
    return await user.ask("POST", owner.path, said)


@pytest.mark.parametrize(
    ("send", "limit", "status", "form"),
    [
        pytest.param(mainflux_file, "bytes", 507, {"error": "{}"}, id="Mainflux, a thing's file"),
        pytest.param(mainflux_group_file, "bytes", 507, {"error": "{}"}, id="Mainflux, a group's"),
        pytest.param(gravwell_file, "bytes", 507, "{}\n", id="Gravwell"),
        pytest.param(
            losant_file, "files", 507, {"type": "InsufficientStorage", "message": "{}"}, id="Losant"
        ),
    ],
)
async def test_a_file_too_many_is_refused_in_the_dialects_form(
    user: Client,
    root: Client,
    send: Callable[[Client, Client], Awaitable[Answer]],
    limit: str,
    status: int,
    form: Any,
) -> None:
    path = await limited(root, user, **{limit: 10 if limit == "bytes" else 0})
    answer = await send(user, root)
    said = (
        "over quota: the user may have 10 bytes, 10 are left, and this takes 11; "
        "bytes of what was replaced or removed count until they are swept"
        if limit == "bytes"
        else "over quota: the user may have 0 files, 0 are left, and this takes 1; "
        "bytes of what was replaced or removed count until they are swept"
    )
    assert (status, _filled(form, said)) == (
        answer.status,
        answer.text if isinstance(form, str) else answer.json,
    )
    assert 0 == (await user.ask("GET", path)).json["quotas"][limit]["used"]
    metrics = await root.ask("GET", "/metrics")
    assert f'gateway_quota_refusals_total{{resource="{limit}"}}' in metrics.text


def _filled(form: Any, said: str) -> Any:
    if isinstance(form, str):
        return form.format(said)
    return {member: value.format(said) for member, value in form.items()}


async def test_losants_form_is_refused_with_the_code_of_s3(user: Client, root: Client) -> None:
    owner = await application_of(user)
    file = await owner.make()
    await limited(root, user, bytes=len(losant.CONTENT) - 1)
    answer = await owner.post(file["upload"])
    assert 403 == answer.status
    assert "<Code>QuotaExceeded</Code>" in answer.text
    await limited(root, user, bytes=len(losant.CONTENT))
    assert (await owner.post(file["upload"])).status < 300


async def test_hasuras_files_have_a_quota_of_their_own(
    root: Client, nobody: Client, database: Database
) -> None:
    """All in one account, which has no owner but the deployment: its code is that of a 403."""
    await database.run("set_quotas", "hasura", "default", ["files"], [0])
    await database.run("add_scope", "hasura", "default")
    content = gravwell.form([("file", b"x")])
    answer = await root.ask("POST", "/v1/file", content, Content_Type=gravwell.FORM)
    assert 403 == answer.status
    assert "access_denied" == answer.json["code"]
    assert "over quota: the owner may have 0 files" in answer.json["message"]


ENTITIES: dict[str, tuple[str, object]] = {
    "things": ("/things", [{"name": "x"}, {"name": "y"}]),
    "channels": ("/channels", [{"name": "x"}, {"name": "y"}]),
    "groups": ("/groups", {"name": "x"}),
    "orgs": ("/orgs", {"name": "x"}),
    "keys": ("/keys", {"type": 2}),
}


@pytest.mark.parametrize("resource", ENTITIES)
async def test_an_entity_too_many_is_refused_and_leaves_nothing(
    user: Client, root: Client, resource: str
) -> None:
    path, body = ENTITIES[resource]
    more = len(body) if isinstance(body, list) else 1
    quota = await limited(root, user, **{resource: more})
    assert 201 == (await user.ask("POST", path, body)).status
    refused = await user.ask("POST", path, body)
    words = f"over quota: the user may have {more} {resource}, 0 are left, and this takes {more}"
    assert (403, {"error": words}) == (refused.status, refused.json)
    assert more == (await user.ask("GET", quota)).json["quotas"][resource]["used"]


async def test_losants_applications_count_as_groups_and_its_tokens_as_keys(
    user: Client, root: Client
) -> None:
    quota = await limited(root, user, groups=1, keys=1)
    owner = await application_of(user)
    refused = await user.ask("POST", "/applications", {"name": "another"})
    assert (403, "Forbidden") == (refused.status, refused.json["type"])
    tokens = f"/applications/{owner.application}/tokens"
    token = {"name": "token", "scope": ["all.Application.read"]}
    assert 201 == (await user.ask("POST", tokens, token)).status
    assert 403 == (await user.ask("POST", tokens, token)).status
    used = (await user.ask("GET", quota)).json["quotas"]
    assert (1, 1) == (used["groups"]["used"], used["keys"]["used"])
    assert 200 == (await user.ask("DELETE", f"/applications/{owner.application}")).status
    used = (await user.ask("GET", quota)).json["quotas"]
    assert (0, 0) == (used["groups"]["used"], used["keys"]["used"])


async def connected_thing(user: Client) -> tuple[str, dict[str, Any]]:
    thing = await user.thing()
    channel = (await user.ask("POST", "/channels", [{"name": "x"}])).json["channels"][0]["id"]
    await user.ask("PUT", f"/channels/{channel}/things/{thing['id']}")
    return f"/http/channels/{channel}/messages", thing


@pytest.mark.parametrize("whose", ["user", "thing"])
async def test_messages_of_a_day_are_counted_by_record(
    user: Client, root: Client, whose: str
) -> None:
    path, thing = await connected_thing(user)
    credential = {"Authorization": f"Thing {thing['key']}"}
    if whose == "user":
        await limited(root, user, messages=3)
    else:
        limits = {"limits": {"messages": 3}}
        assert 200 == (await root.ask("PATCH", f"/things/{thing['id']}/quota", limits)).status
    assert 202 == (await user.ask("POST", path, MESSAGE * 2, **credential)).status
    refused = await user.ask("POST", path, MESSAGE * 2, **credential)
    assert 429 == refused.status
    assert f"the {whose} may have 3 messages a day, 1 are left" in refused.json["error"]
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert 202 == (await user.ask("POST", path, MESSAGE, **credential)).status
    quotas = (await user.ask("GET", "/quota", **credential)).json["quotas"]
    assert 3 == quotas["messages"]["used"]
    assert 0 < quotas["message_bytes"]["used"]


async def test_bytes_of_messages_are_counted(user: Client, root: Client) -> None:
    path, thing = await connected_thing(user)
    credential = {"Authorization": f"Thing {thing['key']}"}
    await limited(root, user, message_bytes=1000)
    text = [{"n": "x", "vs": "x" * 2000}]
    assert 429 == (await user.ask("POST", path, text, **credential)).status
    assert 202 == (await user.ask("POST", path, MESSAGE, **credential)).status


@pytest.fixture
def settings() -> dict[str, Any]:
    """The defaults are small."""
    return {"quota_newcomers": "things=2,bytes=10", "quota_users": "things=3"}


@pytest.mark.parametrize(
    ("made_by", "things"),
    [
        pytest.param("themselves", 2, id="whoever registers is a newcomer"),
        pytest.param("another user", 2, id="whomever anybody registers, too"),
        pytest.param("an administrator", 3, id="whomever an administrator makes is not"),
    ],
)
async def test_who_is_a_newcomer(
    nobody: Client, root: Client, user: Client, made_by: str, things: int
) -> None:
    maker = {"themselves": nobody, "another user": user, "an administrator": root}[made_by]
    new = await maker.sign_up("new@email.com")
    client = Client(nobody.session, nobody.url, new.token)
    quota = (await client.ask("GET", "/quota")).json
    assert (made_by != "an administrator", things) == (
        quota["newcomer"],
        quota["quotas"]["things"]["limit"],
    )
    path = f"/users/{await id_of(client)}/quota"
    said = await root.ask("PATCH", path, {"newcomer": False, "limits": {"bytes": "unlimited"}})
    assert (200, False) == (said.status, said.json["newcomer"])
    assert (3, None) == tuple(said.json["quotas"][r]["limit"] for r in ("things", "bytes"))


async def test_put_sets_all_and_patch_some(user: Client, root: Client) -> None:
    path = await limited(root, user, bytes=10, things=5, keys="unlimited")
    patched = await root.ask("PATCH", path, {"limits": {"things": 7, "bytes": None}})
    limits = {name: quota["limit"] for name, quota in patched.json["quotas"].items()}
    assert {"things": 7, "bytes": None, "keys": None} == {
        n: limits[n] for n in ("things", "bytes", "keys")
    }
    put = await root.ask("PUT", path, {"limits": {"files": 1}})
    limits = {name: quota["limit"] for name, quota in put.json["quotas"].items()}
    assert {"files": 1, "things": 3} == {n: m for n, m in limits.items() if m is not None}
    assert put.json == (await user.ask("GET", path)).json
    own = (await user.ask("GET", "/quota")).json
    assert put.json == own
    admin = await root.ask("GET", "/quota")
    assert admin.json["quotas"]["things"]["limit"] is None, ROOT_EMAIL


@pytest.mark.parametrize(
    "body",
    [
        {"limits": {"bytes": -1}},
        {"limits": {"bytes": 1.5}},
        {"limits": {"bytes": True}},
        {"limits": {"bytes": "10GiB"}},
        {"limits": {"bytes": 2**60}},
        {"limits": {"colours": 1}},
        {"limits": []},
        {"newcomer": True},
        {"newcomer": 1},
        [],
    ],
    ids=json.dumps,
)
async def test_a_bad_limit_is_refused(user: Client, root: Client, body: object) -> None:
    path = f"/users/{await id_of(user)}/quota"
    before = (await user.ask("GET", path)).json
    for method in ("PUT", "PATCH"):
        assert 400 == (await root.ask(method, path, body)).status
    assert before == (await user.ask("GET", path)).json


async def test_what_is_not_counted_cannot_be_limited(user: Client, root: Client) -> None:
    thing = await user.thing()
    said = await root.ask("PUT", f"/things/{thing['id']}/quota", {"limits": {"keys": 1}})
    assert (400, {"error": "keys are not limited for things"}) == (said.status, said.json)


def test_the_settings_have_the_models_names() -> None:
    assert tuple(Resource) == written.OF_USERS == resources_of_class("newcomers")
    assert written.OF_USERS == resources_of_class("users")
    assert written.OF_THINGS == resources_of_class("things")
    assert written.OF_GROUPS == resources_of_class("groups")
    assert written.OF_ORGS == resources_of_class("orgs")
    assert {str(r) for r in Resource if r.is_size} == written.SIZES
