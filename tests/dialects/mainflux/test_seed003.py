"""The Mainflux API's published page: every curl line, in the page's order, as one script.

Each line runs in a shell against a fresh gateway, its placeholders filled from the answers
before it, and is compared with the answer that the page shows: the status, the headers, and
every JSON field with its type. Fields beyond those are welcome. Lines that are not on the
page, but without which a line of it could not run (a second user ...), are marked ``aside``.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD, running_gateway

JSON = '-H "Content-Type: application/json"'
USER = '-H "Authorization: Bearer <user_token>"'
CURL = "curl -s -S -i -X"
HOST = "http://localhost"
ID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
THING = '{"id":"64140f0b","name":"thing_name","key":"659aa6ca"}'
PAGE = '"total":3,"offset":0,"limit":10,"order":"","direction":""'
CHANNEL = '{"id":"db4b7428","name":"channel_name"}'
ORG = (
    '{"id":"25da5d7a","name":"org_name","owner_id":"a08bd22c","created_at":"2023-07-14",'
    '"updated_at":"2023-07-14"'
)
GROUP = (
    '{"id":"5316d843","name":"group_name","owner_id":"d782b42b","description":"desc",'
    '"created_at":"2021-03-10T16:58:09.579Z","updated_at":"2021-03-10T16:58:09.579Z"}'
)
WARNING = (
    "This endpoint will be depreciated in v1.0.0. It will be replaced with the bulk endpoint "
    "found at /connect."
)


@dataclass(frozen=True)
class Line:
    """A curl line, what the page says of its answer, and what later lines need of it.

    ``body`` is an answer as the page shows it, ``""`` for none. ``let`` gives placeholders
    other values than their own names have; ``keep`` names what a path into the answer holds,
    ``Location`` standing for the id at the end of that header.
    """

    command: str
    status: int
    body: str | None = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    let: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    aside: bool = False


def located(collection: str) -> dict[str, str]:
    return {"Location": f"/{collection}/{ID}"}


def aside(command: str, status: int, **more: Any) -> Line:
    return Line(command, status, more.pop("body", None), aside=True, **more)


SECOND = {"user_email": "user_email_2", "user_password": "user_password"}
LOG_IN = f"""{CURL} POST {JSON} {HOST}/tokens -d '{{"email":"<user_email>",
"password":"<user_password>"}}'"""
X, X1, X2 = (f"xxxxxxxx-xxxx-xxxx-xxxxxxxxxxxxxxx{end}" for end in "x12")
KEY_TAIL = "-H 'Content-Type: application/json' -H 'Authorization: Bearer <user_token>'"
NEW_USER = f"""{CURL} POST {JSON} {HOST}/users -d '{{"email":"<user_email>", "password":"<user_password>"}}'"""

USERS = (
    Line(NEW_USER, 201, "", located("users"), keep={"user_id": "Location"}),
    Line(LOG_IN, 201, '{"token":"eyJhbGciOi"}', keep={"user_token": "token"}),
    Line(f"{CURL} GET {USER} {HOST}/users/<user_id>", 200, '{"id":"d782b42b","email":"test@email.com"}'),
    Line(
        f"{CURL} GET {USER} {HOST}/users",
        200,
        '{"total":2,"offset":0,"limit":10,"Users":[{"id":"4bf4a13a","email":"admin@example.com"}]}',
    ),
    Line(f"""{CURL} PUT {JSON} {USER} {HOST}/users -d
'{{"metadata":{{"foo":"bar"}}}}'""".replace("-d\n", "-d \\\n"), 200),
    Line(
        f"""{CURL} PATCH {JSON} {USER} {HOST}/password -d '{{"old_password":"<old_password>", "password":"<new_password>"}}'""",
        201,
        None,
    ),
    aside(LOG_IN, 201, let={"user_password": "new_password"}, keep={"user_token": "token"}),
    aside(LOG_IN, 201, let={"user_email": "admin_email", "user_password": "admin_password"}, keep={"admin_token": "token"}),
    aside(NEW_USER, 201, let=SECOND, keep={"user_id_2": "Location"}),
)  # fmt: skip

THINGS = (
    Line(
        f"""{CURL} POST {JSON} {USER} {HOST}/things -d '[{{"id": "<{X}>","name": "<thing_name>"}}]'""",
        201,
        f'{{"things":[{THING}]}}',
        let={X: "external_1"},
        keep={"thing_id": "things.0.id"},
    ),
    Line(
        f"""{CURL} POST {JSON} {USER} {HOST}/things -d '[{{"name": "<thing_name_1>"}}, {{"name": "<thing_name_2>"}}]'""",
        201,
        f'{{"things":[{THING}]}}',
        keep={"thing_id_1": "things.0.id", "thing_key_1": "things.0.key", "thing_id_2": "things.1.id"},
    ),
    Line(
        f"""{CURL} POST {JSON} {USER} {HOST}/things -d '[{{"id": "<{X1}>","name": "<thing_name_1>"}}, {{"id": "<{X2}>","name": "<thing_name_2>"}}]'""",
        201,
        f'{{"things":[{THING}]}}',
        let={X1: "external_2", X2: "external_3"},
    ),
    Line(f"{CURL} GET {USER} {HOST}/things/<thing_id>", 200, THING),
    Line(f"{CURL} GET {USER} {HOST}/things", 200, f'{{{PAGE},"things":[{THING}]}}'),
    Line(f"""{CURL} PUT {JSON} {USER} {HOST}/things/<thing_id> -d '{{"name": "<thing_name>"}}'""", 200),
    Line(f"{CURL} DELETE {JSON} {USER} {HOST}/things/<thing_id>", 204),
)  # fmt: skip

CHANNELS = (
    Line(
        f"""{CURL} POST {JSON} {USER} {HOST}/channels -d '[{{"id": "<{X}>","name": "<channel_name>"}}]'""",
        201,
        None,
        located("channels"),
        let={X: "external_1"},
        keep={"channel_id": "Location"},
    ),
    Line(
        f"""{CURL} POST {JSON} {USER} {HOST}/channels -d '[{{"name": "<channel_name_1>"}}, {{"name": "<channel_name_2>"}}]'""",
        201,
        f'{{"channels":[{CHANNEL}]}}',
        keep={"channel_id_1": "channels.0.id", "channel_id_2": "channels.1.id"},
    ),
    Line(
        f"""{CURL} POST {JSON} {USER} {HOST}/channels -d '[{{"id": "<{X1}>","name": "<channel_name_1>"}}, {{"id": "<{X2}>","name": "<channel_name_2>"}}]'""",
        201,
        f'{{"channels":[{CHANNEL}]}}',
        let={X1: "external_2", X2: "external_3"},
    ),
    Line(f"{CURL} GET {USER} {HOST}/channels/<channel_id>", 200, CHANNEL),
    Line(f"{CURL} GET {USER} {HOST}/channels", 200, f'{{{PAGE},"channels":[{CHANNEL}]}}'),
    Line(f"""{CURL} PUT {JSON} {USER} {HOST}/channels/<channel_id> -d '{{"name": "<channel_name>"}}'""", 200),
    Line(f"{CURL} DELETE {JSON} {USER} {HOST}/channels/<channel_id>", 204),
)  # fmt: skip

FIRST = {"channel_id": "channel_id_1", "thing_id": "thing_id_1", "thing_key": "thing_key_1"}
CONNECT = f"""{CURL} POST {JSON} {USER} {HOST}/connect -d '{{"channel_ids": ["<channel_id>"], "thing_ids": ["<thing_id>"]}}'"""
CONNECTIONS = (
    Line(CONNECT, 200, let=FIRST),
    Line(
        f"{CURL} PUT {JSON} {USER} {HOST}/channels/<channel_id>/things/<thing_id>",
        200,
        "",
        {"Warning-Deprecated": re.escape(WARNING)},
        let=FIRST,
    ),
    Line(
        f"""{CURL} PUT {JSON} {USER} {HOST}:<service_port>/disconnect -d '{{"thing_ids": ["<thing_id_1>", "<thing_id_2>"], "channel_ids": ["<channel_id_1>", "<channel_id_2>"]}}'""",
        200,
    ),
    Line(f"{CURL} DELETE {JSON} {USER} {HOST}/channels/<channel_id>/things/<thing_id>", 204, let=FIRST),
    aside(CONNECT, 200, let=FIRST),
    Line(
        f"""{CURL} POST {JSON} {HOST}/identify/channels/<channel_id>/access-by-key -d '{{"token": "<thing_key>"}}'""",
        200,
        '{"id":"d69d0098"}',
        let=FIRST,
    ),
    Line(
        f"""{CURL} POST {JSON} {HOST}/identify/channels/<channel_id>/access-by-id -d '{{"thing_id": "<thing_id>"}}'""",
        200,
        let=FIRST,
    ),
    Line(f"""{CURL} POST {JSON} {HOST}/identify -d '{{"token": "<thing_key>"}}'""", 200, '{"id":"d69d0098"}', let=FIRST),
)  # fmt: skip

# The second address is not quoted on the page: its shell sees two commands, and we no limit.
SHOWN_MESSAGE = (
    '{"channel_name":"1a0cde06","publisher":"33eb28c3","protocol":"http","name":"some-base-name:voltage",'
    '"unit":"V","time":1276020076.001,"value":120.1}'
)
MESSAGES = (
    Line(
        f"""{CURL} POST {JSON} -H "Authorization: Thing <thing_key>" {HOST}/http/channels/<channel_id>/messages -d '[{{"bn":"some-base-name:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1}}, {{"n":"current","t":-5,"v":1.2}}, {{"n":"current","t":-4,"v":1.3}}]'""",
        202,
        let=FIRST,
    ),
    Line(
        f'curl -s -S -i -H "Authorization: Thing <thing_key>" {HOST}:<service_port>/channels/<channel_id>/messages?offset=0&limit=5',
        200,
        f'{{"offset":0,"limit":10,"format":"messages","total":3,"messages":[{SHOWN_MESSAGE}]}}',
        let=FIRST,
    ),
)  # fmt: skip

NEW_ORG = f"""{CURL} POST {JSON} {USER} {HOST}/orgs -d '{{"name": "<org_name>", "description": "<org_description>", "metadata": {{}}}}'"""
NEW_GROUP = f"""{CURL} POST {JSON} {USER} {HOST}/groups -d '{{"name": "<group_name>", "description": "<group_description>", "metadata": {{}}}}'"""
MEMBERS = """'{"members":[{"email": "<user_email>","role": "<user_role>"}]}'"""
GROUP_IDS = """'{"group_ids":["<group_id>", "<group_id_1>"]}'"""
ORGS = (
    Line(NEW_ORG, 201, "", located("orgs"), keep={"org_id": "Location"}),
    Line(
        f"{CURL} GET {JSON} {USER} {HOST}/orgs/<org_id>",
        200,
        f'{ORG},"description":"org_description"}}',
    ),
    Line(
        f"""{CURL} PUT {JSON} {USER}  {HOST}/orgs/<org_id> -d '{{"name": "<org_name>", "description": "<org_desc>", "metadata":{{}}}}'""",
        200,
    ),
    Line(f"{CURL} DELETE {JSON} {USER} {HOST}/orgs/<org_id>", 204),
    aside(NEW_ORG.replace("{}", '{"meta":"test1"}'), 201, keep={"org_id": "Location"}),
    Line(
        f"{CURL} GET {JSON} {USER} {HOST}/orgs",
        200,
        f'{{"limit":10,"offset":0,"total":2,"name":"","orgs":[{ORG},"metadata":{{"meta":"t"}}}}]}}',
    ),
    Line(f"{CURL} POST {JSON} {USER} {HOST}/orgs/<org_id>/members -d {MEMBERS}", 200, let={"user_email": "user_email_2"}),
    Line(
        f"""{CURL} DELETE {JSON} {USER} {HOST}/orgs/<org_id>/members -d '{{"member_ids":["<member_id>"]}}'""",
        204,
        let={"member_id": "user_id_2"},
    ),
    aside(f"{CURL} POST {JSON} {USER} {HOST}/orgs/<org_id>/members -d {MEMBERS}", 200, let={"user_email": "user_email_2"}),
    Line(
        f"{CURL} PUT {JSON} {USER} {HOST}/orgs/<org_id>/members -d {MEMBERS}",
        200,
        let={"user_email": "user_email_2", "user_role": "user_role_2"},
    ),
    Line(
        f"{CURL} GET {JSON} {USER} {HOST}/orgs/<org_id>/members",
        200,
        '{"limit":10,"offset":0,"total":2,"name":"","members":[{"id":"34cf","email":"user_2@example.com","role":"admin"}]}',
    ),
    aside(NEW_GROUP, 201, keep={"group_id": "Location"}),
    aside(NEW_GROUP, 201, keep={"group_id_1": "Location"}),
    Line(f"{CURL} POST {JSON} {USER} {HOST}/orgs/<org_id>/groups -d {GROUP_IDS}", 200),
    Line(f"{CURL} DELETE {JSON} {USER} {HOST}/orgs/<org_id>/groups -d {GROUP_IDS}", 204),
    aside(f"{CURL} POST {JSON} {USER} {HOST}/orgs/<org_id>/groups -d {GROUP_IDS}", 200),
    Line(
        f"{CURL} GET {JSON} {USER}  {HOST}/orgs/<org_id>/groups",
        200,
        '{"limit":10,"offset":0,"total":2,"name":"","groups":[{"id":"36cc5dfd","owner_id":"a08bd22c","name":"group_name","description":"description"}]}',
    ),
    Line(
        f"{CURL} GET {JSON} {USER}  {HOST}/members/<member_id>/orgs",
        200,
        f'{{"limit":10,"offset":0,"total":3,"name":"","orgs":[{ORG}}}]}}',
        let={"member_id": "user_id"},
    ),
)  # fmt: skip

ASSIGN = f"""{CURL} POST {JSON} {USER} {HOST}/groups/<group_id>/members -d '{{"members":["<member_id>", "<member_id_1>", "<member_id_2>"]}}'"""
THREE = {"member_id": "thing_id_1", "member_id_1": "thing_id_2", "member_id_2": "user_id_2"}
GROUPS = (
    Line(NEW_GROUP, 201, "", located("groups"), keep={"group_id": "Location"}),
    aside(ASSIGN, 200, let=THREE),
    Line(
        f"curl -s -S -i -X GET -H 'Content-Type: application/json' {USER} {HOST}/groups/<group_id>/members",
        200,
        '{"limit":10,"total":0,"offset":0,"name":"","members":[{"id":"d782b42b","name":"member_name", "key":"c1adc45a", "metadata":{}}]}',
    ),
    Line(ASSIGN, 200, let=THREE),
    Line(
        f"""{CURL} DELETE {JSON} {USER} {HOST}/groups/<group_id>/members -d '{{"members":["<user_id>", "<thing_id_1>", "<member_id_2>"]}}'""",
        204,
        let={"user_id": "user_id_2", "member_id_2": "thing_id_2"},
    ),
    aside(ASSIGN, 200, let=THREE),
    Line(
        f"{CURL} GET {JSON} {USER} {HOST}/things/<member_id>/groups",
        200,
        f'{{"total":2,"limit":10,"offset":0,"groups":[{GROUP}]}}',
        let=THREE,
    ),
    Line(f"{CURL} GET {JSON} {USER} {HOST}/groups/<group_id>", 200, GROUP),
    Line(
        f"{CURL} GET {JSON} {USER} {HOST}/groups",
        200,
        f'{{"total":2,"limit":10,"offset":0,"groups":[{GROUP}]}}',
    ),
    Line(f"""{CURL} PUT {JSON} {USER} {HOST}/groups/<group_id> -d '{{"name": "<group_name>"}}'""", 200),
    Line(f"{CURL} DELETE {JSON} {USER} {HOST}/groups/<group_id>", 204),
)  # fmt: skip

POLICY = """-d '{"subjects": ["<subject_id1>", "<subject_idN>"], "object": "<object>", "policies": ["<action_1>", "<action_N>"]}' -H "Authorization: Bearer <admin_token>" -H 'Content-Type: application/json'"""
GRANT = {
    "subject_id1": "user_id",
    "subject_idN": "user_id_2",
    "object": "thing_id_1",
    "action_1": "read",
    "action_N": "write",
}
POLICIES = (
    Line(f"curl -isSX POST {HOST}/policies {POLICY}", 201, "{}", let=GRANT),
    Line(f"curl -isSX PUT {HOST}/policies {POLICY}", 204, let=GRANT),
)

KEYS = (
    Line(
        f"""curl -isSX POST  {HOST}/keys {JSON} {USER} -d '{{"type":2, "duration":10000}}'""",
        201,
        '{"id":"4d62fb1e","value":"eyJhbGciOi","issued_at":"2021-12-19","expires_at":"2021-12-20"}',
        keep={"key_id": "id"},
    ),
    Line(
        f"curl -isSX GET  {HOST}/keys/<key_id> {KEY_TAIL}",
        200,
        '{"id":"f630f594","issuer_id":"c93cafb3","subject":"test@email.com","type":2,"issued_at":"2021-12-19","expires_at":"2021-12-20"}',
    ),
    Line(f"curl -isSX DELETE  {HOST}/keys/<key_id> {KEY_TAIL}", 204),
)  # fmt: skip

SHOWN_WEBHOOK = (
    '{"thing_id":"50e6b371","name":"Test","format":"json","url":"https://api.test.com/"}'
)
WEBHOOKS = (
    Line(
        f"""{CURL} POST -H "Authorization: Bearer <user_token>" {JSON} {HOST}/webhooks/<thing_id> -d '[{{"name":"<name>","format":"<format>","url":"<url>"}}]'""",
        201,
        let=FIRST,
    ),
    Line(
        f'{CURL} GET -H "Authorization: Bearer <user_token>" {JSON} {HOST}/webhooks/<thing_id>',
        200,
        f'{{"webhooks":[{SHOWN_WEBHOOK}]}}',
        let=FIRST,
    ),
)  # fmt: skip

SCRIPT = (
    *USERS,
    *THINGS,
    *CHANNELS,
    *CONNECTIONS,
    *MESSAGES,
    *ORGS,
    *GROUPS,
    *POLICIES,
    *KEYS,
    *WEBHOOKS,
)
ON_THE_PAGE = 58


def beginning() -> dict[str, str]:
    """What placeholders stand for before anything is answered: a person's own choices."""
    chosen = ("thing_name", "channel_name")
    return {
        "user_email": "test@email.com",
        "user_email_2": "user_2@example.com",
        "user_password": "correct-horse",
        "old_password": "correct-horse",
        "new_password": "battery-staple",
        "admin_email": ADMIN_EMAIL,
        "admin_password": ADMIN_PASSWORD,
        "name": "Test",
        "format": "json",
        "url": "https://8.8.8.8/",
        "user_role": "viewer",
        "user_role_2": "admin",
        **{f"{name}{end}": f"{name}{end}" for name in chosen for end in ("", "_1", "_2")},
        **{name: name for name in ("org_name", "org_description", "org_desc")},
        **{name: name for name in ("group_name", "group_description", "read", "write")},
        **{f"external_{number}": str(uuid4()) for number in range(1, 4)},
    }


async def test_every_line_of_the_page_runs_as_published(
    tmp_path: Path, postgres_server: str
) -> None:
    assert ON_THE_PAGE == sum(not line.aside for line in SCRIPT)
    known = beginning()
    async with running_gateway(tmp_path, database_server=postgres_server) as gateway:
        known["service_port"] = str(gateway.port)
        for line in SCRIPT:
            await _run(line, known, gateway.url)


async def _run(line: Line, known: dict[str, str], url: str) -> None:
    """Runs one line, compares its answer, and remembers what later ones need."""
    command = _filled(line, known, url)
    status, headers, body = await _shell(command)
    story = f"{command}\n\n{status}\n{headers}\n{body}"
    assert line.status == status, story
    for name, pattern in line.headers.items():
        assert re.fullmatch(pattern, headers.get(name.lower(), "")), story
    if line.body is not None:
        assert "application/json" == headers.get("content-type", ""), story
        assert _like(json.loads(line.body), json.loads(body)) if line.body else not body, story
    for name, path in line.keep.items():
        known[name] = _found(path, headers, body)


def _filled(line: Line, known: Mapping[str, str], url: str) -> str:
    def value(match: re.Match[str]) -> str:
        return known[line.let.get(match[1], match[1])]

    command = re.sub(r"http://localhost(?::<service_port>)?", url, line.command)
    return re.sub(r"<([^<>]+)>", value, command)


async def _shell(command: str) -> tuple[int, dict[str, str], str]:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, f"{command}\n{err.decode()}"
    head, _, body = out.decode().partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in rest)
    return int(first.split()[1]), {name.lower(): v for name, v in headers.items()}, body


def _like(shown: Any, got: Any) -> bool:
    """Whether ``got`` has all that the page shows, in the types that it shows.

    Of a list, the page shows what some item looks like.
    """
    if isinstance(shown, dict):
        return isinstance(got, dict) and all(
            k in got and _like(v, got[k]) for k, v in shown.items()
        )
    if isinstance(shown, list):
        return isinstance(got, list) and all(any(_like(s, g) for g in got) for s in shown)
    return type(shown) is type(got)


def _found(path: str, headers: Mapping[str, str], body: str) -> str:
    if path == "Location":
        return headers["location"].rpartition("/")[2]
    value = json.loads(body)
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value[step]
    return str(value)
