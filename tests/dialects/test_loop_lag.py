"""No request keeps the event loop from the others for more than 50 ms, each kind made at its limit.

Every callback of the loop is measured by the processor time of its thread, which does not depend on what
else the machine has to do. The gateway is in the test's own process, so what the client does is measured along; it
sends bytes that were made before, and looks at none that it gets.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import aiohttp
import pytest
import pytest_asyncio

from gateway.dialects.mainflux.fields import METADATA_BYTES, MOST_ITEMS
from tests.dialects.gravwell.conftest import FORM, form
from tests.tools.client import Client
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.tools.inside import gateway_inside

MOST_SECONDS = 0.05
JSON = "application/json"
LARGE = {"a": "x" * (METADATA_BYTES - 8)}


@dataclass
class Probe:
    """The longest that one callback of the loop has worked, and which it was."""

    longest: float = 0.0
    which: str = ""

    def note(self, seconds: float, handle: object) -> None:
        if seconds > self.longest:
            self.longest, self.which = seconds, repr(handle)[:300]


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Probe]:
    """Looks at every callback from now on.

    What the tests before have left in this process is no gateway's: the garbage collector, which runs in
    whatever callback allocates, does not walk through it.
    """
    probe, plain = Probe(), asyncio.Handle._run

    def run(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        plain(handle)
        probe.note(time.thread_time() - began, handle)

    monkeypatch.setattr(asyncio.Handle, "_run", run)
    gc.freeze()
    yield probe
    gc.unfreeze()


@dataclass
class Crowded:
    """Somebody who has as much of everything as one page shows."""

    user: Client
    named: dict[str, str] = field(default_factory=dict)
    things: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)

    forms: ClassVar = {
        "file": form([("file", bytes(3_000_000))]),
        "meta": form(
            [("meta", json.dumps({"Desc": "d" * 200}).encode()), ("file", bytes(100_000))]
        ),
    }

    async def fill(self) -> None:
        user, named = self.user, self.named
        for _ in range(2):
            await user.ask("POST", "/things", [{"metadata": LARGE}] * 10)
        made = await user.ask("POST", "/things", [{"name": "x"}] * MOST_ITEMS)
        things = [thing["id"] for thing in made.json["things"]]
        made = await user.ask("POST", "/channels", [{"name": "x"}] * 100)
        channels = [channel["id"] for channel in made.json["channels"]]
        talker = await user.thing(name="talker")
        ids = {"thing_ids": [talker["id"]], "channel_ids": channels[:1]}
        assert (await user.ask("POST", "/connect", ids)).status == 200
        named["key"] = talker["key"]
        named |= {"thing": things[0], "channel": channels[0], "group": await user.group()}
        self.things, self.channels = things, channels
        parent = ""
        for _ in range(16):
            more = {"parent_id": parent} if parent else {}
            parent = await user.group(**more)
        application = await user.ask("POST", "/applications", {"name": "app"})
        named["application"] = application.json["applicationId"]
        files = f"/applications/{named['application']}/privateFiles"
        for number in range(60):
            await user.ask("POST", files, {"name": f"f{number}", "type": "file", "fileSize": 5})

    def filled(self, text: str) -> str:
        for name, value in self.named.items():
            text = text.replace("{" + name + "}", value)
        return text

    def body(self, kind: str) -> tuple[bytes, str]:
        """What is sent, made before it is measured."""
        if kind in self.forms:
            return self.forms[kind], FORM
        made: dict[str, Callable[[], object]] = {
            "things": lambda: [{"name": "x"}] * MOST_ITEMS,
            "large things": lambda: [{"metadata": LARGE}] * 15,
            "product": lambda: {"thing_ids": self.things[:100], "channel_ids": self.channels[:100]},
            "members": lambda: {"members": self.things},
            "metadata": lambda: {"name": "x", "metadata": {f"k{n}": n for n in range(5_000)}},
            "keys": lambda: {f"k{number}": number for number in range(60_000)},
            "lists": lambda: {"name": [[[]]] * 100_000},
            "search": lambda: {"name": "x", "limit": 100},
            "pack": lambda: [{"bn": "n" * 1000, "n": "a", "v": 1}, *[{"n": "a", "v": 1}] * 900],
            "hooks": lambda: [
                {"name": f"w{n}", "url": f"https://h{n}.example.com/"} for n in range(20)
            ],
            "log in": lambda: {"email": "nobody@email.com", "password": "p" * 1024},
        }
        return json.dumps(made[kind]()).encode(), JSON


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowded(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[Crowded]:
    folder = tmp_path_factory.mktemp("crowded")
    async with (
        gateway_inside(folder, database_server=postgres_server) as gateway,
        aiohttp.ClientSession() as session,
    ):
        nobody = Client(session, gateway.url)
        said = {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        token = (await nobody.ask("POST", "/tokens", said)).json["token"]
        crowded = Crowded(Client(session, gateway.url, token))
        await crowded.fill()
        yield crowded


TAGS = ", ".join(f'"{number}"' for number in range(900))

# What is expected, the route, its body, further headers.
LIMITS: list[tuple[int, str, str, dict[str, str]]] = [
    (201, "POST /things", "things", {}),
    (201, "POST /things", "large things", {}),
    (200, "GET /things?limit=0", "", {}),
    (200, "GET /things?limit=200&name=x", "", {}),
    (200, "POST /things/search", "search", {}),
    (201, "POST /channels", "things", {}),
    (200, "POST /connect", "product", {}),
    (200, "GET /channels?limit=0", "", {}),
    (200, "POST /groups/{group}/members", "members", {}),
    (200, "GET /groups/{group}/members?limit=0", "", {}),
    (201, "POST /groups", "things", {}),
    (200, "GET /groups?limit=0", "", {}),
    (400, "POST /groups", "keys", {}),
    (400, "POST /groups", "lists", {}),
    (201, "POST /orgs", "metadata", {}),
    (202, "POST /http/channels/{channel}/messages", "pack", {"Authorization": "Thing {key}"}),
    (200, "GET /channels/{channel}/messages?limit=1000", "", {}),
    (201, "POST /webhooks/{thing}", "hooks", {}),
    (401, "POST /tokens", "log in", {}),
    (201, "POST /groups/{group}/files", "file", {}),
    (200, "GET /groups/{group}/files/file", "", {"If-None-Match": TAGS}),
    (200, "GET /groups/{group}/files?limit=0", "", {}),
    (200, "POST /v1/file", "file", {}),
    (200, "POST /api/files", "meta", {}),
    (200, "GET /api/files", "", {}),
    (200, "GET /applications/{application}/privateFiles?perPage=1000&filter=*f*", "", {}),
    (200, "GET /openapi.json", "", {}),
    (200, "GET /metrics", "", {}),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("expected", "route", "body", "headers"), LIMITS, ids=[f"{r} {b}" for _, r, b, _ in LIMITS]
)
async def test_the_loop_is_not_held(
    crowded: Crowded, probe: Probe, expected: int, route: str, body: str, headers: dict[str, str]
) -> None:
    method, _, path = crowded.filled(route).partition(" ")
    user, sent = crowded.user, {"Authorization": f"Bearer {crowded.user.token}"}
    content, kind = crowded.body(body) if body else (None, "")
    sent |= {name: crowded.filled(value) for name, value in headers.items()}
    if kind:
        sent["Content-Type"] = kind
    # The callback that made the body has ended before anything is looked at.
    await asyncio.sleep(0)
    probe.longest = 0.0
    async with user.session.request(
        method, user.url + path, data=content and io.BytesIO(content), headers=sent
    ) as answer:
        async for _ in answer.content.iter_chunked(1 << 16):
            pass
    assert expected == answer.status
    assert probe.longest < MOST_SECONDS, probe.which


async def test_work_that_holds_the_loop_is_seen(probe: Probe) -> None:
    def work() -> None:
        until = time.thread_time() + 2 * MOST_SECONDS
        while time.thread_time() < until:
            pass

    asyncio.get_running_loop().call_soon(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert probe.longest >= MOST_SECONDS
