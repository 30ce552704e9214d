"""One credential, however a client can send it, on every kind of route that takes it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from tests.dialects.mainflux.test_messages import PUBLISHED, connected
from tests.tools.client import Client

CHALLENGES = ["Bearer", 'Basic realm="filestore", charset="UTF-8"']


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


FORMS = {
    "as published": (True, "{scheme} {secret}"),
    "basic, any name": (True, basic("device", "{secret}")),
    "basic, no name": (True, basic("", "{secret}")),
    "basic, in capitals": (True, basic("x", "{secret}").replace("Basic", "BASIC")),
    "bare": (True, "{secret}"),
    "as the name": (False, basic("{secret}", "")),
    "basic without a colon": (False, "Basic e3NlY3JldH0="),
    "the other scheme": (False, "{other} {secret}"),
    "digest": (False, "Digest {secret}"),
    "the scheme alone": (False, "{scheme}"),
    "nothing": (False, ""),
}


def written(form: str, scheme: str, secret: str) -> str:
    """The header's value; in one of Basic the password is filled in before it is encoded."""
    other = "Bearer" if scheme == "Thing" else "Thing"
    head, _, rest = form.partition(" ")
    if head.lower() == "basic" and not rest.endswith("="):
        plain = base64.b64decode(rest).decode()
    elif head.lower() == "basic":
        plain = base64.b64decode(rest + "==").decode()
    else:
        return form.format(scheme=scheme, other=other, secret=secret)
    return f"{head} {base64.b64encode(plain.format(secret=secret).encode()).decode()}"


@pytest.fixture
async def secrets(user: Client) -> Mapping[str, str]:
    """A key, a token and an API key; the thing is connected and in a group."""
    channel, thing = await connected(user)
    group = await user.group()
    await user.ask("POST", f"/groups/{group}/members", {"members": [thing["id"]]})
    api_key = (await user.ask("POST", "/keys", {"type": 2})).json["value"]
    return {
        "thing": thing["key"],
        "token": user.token,
        "api key": api_key,
        "channel": channel,
        "group": group,
    }


ROUTES = {
    "files": ("Thing", "thing", "GET", "/files"),
    "a file": ("Thing", "thing", "GET", "/groupfiles/none"),
    "a group's files, a thing": ("Thing", "thing", "GET", "/groups/{group}/files"),
    "a group's files, a user": ("Bearer", "token", "GET", "/groups/{group}/files"),
    "a group's files, a key": ("Bearer", "api key", "GET", "/groups/{group}/files"),
    "sending": ("Thing", "thing", "POST", "/http/channels/{channel}/messages"),
    "reading, a thing": ("Thing", "thing", "GET", "/channels/{channel}/messages"),
    "reading, a user": ("Bearer", "token", "GET", "/channels/{channel}/messages"),
    "things": ("Bearer", "token", "GET", "/things"),
    "things, a key": ("Bearer", "api key", "GET", "/things"),
    "groups": ("Bearer", "token", "GET", "/groups/{group}"),
}


async def test_a_credential_is_taken_however_it_comes(
    nobody: Client, secrets: Mapping[str, str]
) -> None:
    """All forms on all routes: a wrong one is a 401 that says what would do."""
    wrong = []
    for route, (scheme, kind, method, path) in ROUTES.items():
        for form, (taken, header) in FORMS.items():
            asked = path.format_map(secrets)
            body = PUBLISHED if method == "POST" else ...
            sent = {"Authorization": written(header, scheme, secrets[kind])}
            said = await nobody.ask(method, asked, body, **sent)
            # Of either scheme is what these routes take, and a token is nobody's key.
            refused = {401, 403} if form == "the other scheme" else {401}
            if said.status not in ({200, 202, 404} if taken else refused):
                wrong.append((route, form, said.status))
    assert [] == wrong


async def test_a_refusal_says_what_would_do(nobody: Client) -> None:
    async with nobody.session.get(f"{nobody.url}/files") as reply:
        assert (401, CHALLENGES) == (reply.status, reply.headers.getall("WWW-Authenticate"))


PAGES = {
    "of another origin": (401, "http://elsewhere.example"),
    "of another port": (401, "{url}1"),
    "of nowhere": (401, "null"),
    "of what is no address": (401, "http://[::"),
    "of ours": (200, "{url}"),
}


@pytest.mark.parametrize(("status", "origin"), PAGES.values(), ids=PAGES)
async def test_what_a_browser_repeats_by_itself_is_not_taken_from_any_page(
    nobody: Client, user: Client, status: int, origin: str
) -> None:
    """A form on another site could be sent with it. What a page writes itself is taken."""
    thing = await user.thing()
    page = origin.format(url=nobody.url)
    said = await nobody.ask("GET", "/files", Authorization=basic("x", thing["key"]), Origin=page)
    assert status == said.status
    key = f"Thing {thing['key']}"
    assert 200 == (await nobody.ask("GET", "/files", Authorization=key, Origin=page)).status
