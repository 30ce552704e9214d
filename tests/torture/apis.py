"""Every API as somebody who keeps account: what a name held, what was asked, what it may hold now.

A *world* is what each name holds: the digest of its bytes (empty while none have come) and what is said of it. An
operation leads from one world to another; while its outcome is unknown, both may be. Nothing else may ever be seen.

Rule: an account is kept by the answers alone, as a client could; nothing is looked up behind the gateway.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from uuid import UUID, uuid5

import aiohttp

from tests.tools.receiver import Receiver
from tests.torture.suite import Violated

State = tuple[str, str]
"""The SHA-256 of the bytes, in hex, and a note of ours that is kept with them."""

World = Mapping[str, State]
"""Names that hold something."""

SIZES: Final = (0, 1, 700, 5_000, 70_000, 300_000, 1_300_000)
_WEIGHTS: Final = (1, 1, 4, 6, 3, 2, 2)
_TOLD_SECONDS: Final = 20
_GUIDS: Final = UUID("0a8d62a0-6c8b-4f0e-9be0-6c7f7d8f3a10")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: its kind, the world if it happens, and how it is asked; the status is awaited."""

    kind: str
    after: World
    ask: Callable[[], Awaitable[int]]


class Refused(Violated):
    """Something was asked on the way, and not answered: ``status``."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def answered(asked: Awaitable[int]) -> int:
    """The status, of whatever was refused."""
    try:
        return await asked
    except Refused as refused:
        return refused.status


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def some_content(choice: random.Random) -> bytes:
    """Of a size at which the store does something else."""
    return choice.randbytes(choice.choices(SIZES, _WEIGHTS)[0])


@dataclass
class Api(ABC):
    """One caller of one API. ``url`` may change between any two questions."""

    away: ClassVar[int] = 503
    """The status of what cannot be done while the database is away."""

    session: aiohttp.ClientSession
    url: Callable[[], str]
    name: str = field(init=False)

    @abstractmethod
    def step(self, world: World, names: tuple[str, str], choice: random.Random) -> Step:
        """Something that may be asked in this world, of these names."""

    @abstractmethod
    async def seen(self, names: tuple[str, str]) -> World:
        """What they hold, read byte by byte. Raises ``Violated`` if that cannot be said."""

    @abstractmethod
    async def remove(self, name: str) -> int:
        """Remove what is there."""

    @abstractmethod
    async def publish(self, name: str, content: bytes) -> tuple[str, Mapping[str, str]]:
        """A new file; where its bytes are, and the headers that they need."""

    async def settled(self) -> None:
        """Once what was acknowledged is done; at once, in most."""
        await asyncio.sleep(0)

    async def _expect(self, asked: Awaitable[int]) -> None:
        status = await asked
        if status >= 300:
            raise Violated(f"{self.name}: {status}")

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str], **more: Any
    ) -> tuple[int, bytes]:
        url = path if "://" in path else self.url() + path
        async with self.session.request(method, url, headers=headers, **more) as answer:
            if answer.status == 503 and "Retry-After" not in answer.headers:
                raise Violated(f"{self.name}: {method} {path}: when is it to be asked again?")
            return answer.status, await answer.read()

    async def _content(self, path: str, headers: Mapping[str, str]) -> str | None:
        """The digest of the whole body; ``None`` if there is no such file. Raises ``Violated``."""
        status, body = await self._ask("GET", path, headers)
        if status == 404:
            return None
        if status != 200:
            raise Refused(status, f"GET {path}: {status} {body[:200]!r}")
        return sha256(body)

    async def _json(self, path: str, headers: Mapping[str, str]) -> Any:
        status, body = await self._ask("GET", path, headers)
        if status == 404:
            return None
        if status != 200:
            raise Refused(status, f"GET {path}: {status} {body[:200]!r}")
        return json.loads(body)


def _with(world: World, name: str, state: State | None) -> World:
    others = {key: value for key, value in world.items() if key != name}
    return others if state is None else others | {name: state}


def _form(content: bytes, name: str, part: str = "file", **fields: str) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    for key, value in fields.items():
        form.add_field(key, value)
    form.add_field(
        part, io.BytesIO(content), filename=name, content_type="application/octet-stream"
    )
    return form


@dataclass
class Mainflux(Api):
    """A thing and its files; the note is in their metadata."""

    headers: Mapping[str, str]
    name: str = field(default="mainflux", init=False)

    def step(self, world: World, names: tuple[str, str], choice: random.Random) -> Step:
        name, content, note = choice.choice(names), some_content(choice), f"{choice.random()}"
        new, metadata = (sha256(content), note), json.dumps({"note": note})
        if name not in world:

            async def create() -> int:
                form = _form(content, name, metadata=metadata)
                return (await self._ask("POST", "/files", self.headers, data=form))[0]

            return Step("create", _with(world, name, new), create)
        kind = choice.choice(("replace", "replace", "amend", "remove"))

        async def amend() -> int:
            body = {"metadata": {"note": note}}
            return (await self._ask("PUT", f"/files/{name}", self.headers, json=body))[0]

        if kind == "replace":
            return Step(kind, _with(world, name, new), lambda: self.replace(name, content, note))
        if kind == "amend":
            return Step(kind, _with(world, name, (world[name][0], note)), amend)
        return Step(kind, _with(world, name, None), lambda: self.remove(name))

    async def replace(self, name: str, content: bytes, note: str = "") -> int:
        """Other bytes for a file that is there."""
        form = _form(content, name, metadata=json.dumps({"note": note}))
        return (await self._ask("PUT", f"/files/{name}", self.headers, data=form))[0]

    async def digest(self, name: str) -> str | None:
        """That of its bytes; ``None`` if there is no such file. Raises ``Violated``."""
        return await self._content(f"/files/{name}", self.headers)

    async def remove(self, name: str) -> int:
        return (await self._ask("DELETE", f"/files/{name}", self.headers))[0]

    async def seen(self, names: tuple[str, str]) -> World:
        listed = await self._json("/files?limit=100", self.headers)
        notes = {file["name"]: file["metadata"]["note"] for file in listed["files"]}
        found: dict[str, State] = {}
        for name in names:
            digest = await self._content(f"/files/{name}", self.headers)
            if (digest is None) != (name not in notes):
                raise Violated(f"{name} is listed or read, and not both")
            if digest is not None:
                found[name] = (digest, notes[name])
        return found

    async def publish(self, name: str, content: bytes) -> tuple[str, Mapping[str, str]]:
        form = _form(content, name, metadata='{"note": ""}')
        status, said = await self._ask("POST", "/files", self.headers, data=form)
        if status != 201:
            raise Violated(f"{self.name}: {status} {said!r}")
        return f"/files/{name}", self.headers


@dataclass
class Hasura(Api):
    """An administrator and ids of files."""

    away: ClassVar[int] = 500  # its published table has no other word for it

    headers: Mapping[str, str]
    name: str = field(default="hasura", init=False)

    def step(self, world: World, names: tuple[str, str], choice: random.Random) -> Step:
        name, content = choice.choice(names), some_content(choice)
        kind = choice.choice(("replace", "replace", "remove")) if name in world else "create"
        if kind == "remove":
            return Step(kind, _with(world, name, None), lambda: self.remove(name))
        method = "PUT" if kind == "replace" or choice.random() < 0.3 else "POST"

        async def put() -> int:
            path = f"/v1/file/{name}"
            body = io.BytesIO(content)
            return (await self._ask(method, path, self.headers, data=body))[0]

        return Step(kind, _with(world, name, (sha256(content), "")), put)

    async def remove(self, name: str) -> int:
        return (await self._ask("DELETE", f"/v1/file/{name}", self.headers))[0]

    async def seen(self, names: tuple[str, str]) -> World:
        found: dict[str, State] = {}
        for name in names:
            digest = await self._content(f"/v1/file/{name}", self.headers)
            if digest is not None:
                found[name] = (digest, "")
        return found

    async def publish(self, name: str, content: bytes) -> tuple[str, Mapping[str, str]]:
        path = f"/v1/file/{name}"
        status, said = await self._ask("POST", path, self.headers, data=io.BytesIO(content))
        if status not in (200, 201):
            raise Violated(f"{self.name}: {status} {said!r}")
        return path, self.headers


@dataclass
class Gravwell(Api):
    """Two users, the first of them an administrator; a name is a GUID of one of them.

    A file is given away by the administrator, so that its name is the other's then: ``a/x`` is the first
    one's ``x``, ``b/x`` the second one's.
    """

    headers: Mapping[str, str]
    others: Mapping[str, str]
    numbers: tuple[int, int]
    name: str = field(default="gravwell", init=False)

    @staticmethod
    def _guid(name: str) -> str:
        return str(uuid5(_GUIDS, name.partition("/")[2] or name))

    def _who(self, name: str) -> Mapping[str, str]:
        return self.others if name.startswith("b/") else self.headers

    def step(self, world: World, names: tuple[str, str], choice: random.Random) -> Step:
        name, content, note = choice.choice(names), some_content(choice), f"{choice.random()}"
        mine, given = f"a/{name}", f"b/{name}"
        at = next((place for place in (mine, given) if place in world), None)
        if at is None:

            async def create() -> int:
                meta = json.dumps({"GUID": self._guid(name), "Name": name, "Desc": note})
                form = _form(content, "file", meta=meta)
                return (await self._ask("POST", "/api/files", self.headers, data=form))[0]

            return Step("create", _with(world, mine, (sha256(content), note)), create)
        kind = choice.choice(("replace", "amend", "move", "remove"))
        path, who = f"/api/files/{self._guid(name)}", self._who(at)

        async def replace() -> int:
            return (await self._ask("PUT", path, who, data=_form(content, "file")))[0]

        async def amend() -> int:
            return (await self._ask("PATCH", path, who, json={"Desc": note}))[0]

        async def move() -> int:
            details = await self._json(f"{path}/details", who)
            address = f"/api/files/{details['ThingUUID']}?admin=true"
            to = {"UID": self.numbers[0 if at == given else 1]}
            return (await self._ask("PATCH", address, self.headers, json=to))[0]

        if kind == "replace":
            return Step(kind, _with(world, at, (sha256(content), world[at][1])), replace)
        if kind == "amend":
            return Step(kind, _with(world, at, (world[at][0], note)), amend)
        if kind == "move":
            there = _with(_with(world, at, None), mine if at == given else given, world[at])
            return Step(kind, there, move)
        return Step(kind, _with(world, at, None), lambda: self.remove(at))

    async def remove(self, name: str) -> int:
        path = f"/api/files/{self._guid(name)}"
        return (await self._ask("DELETE", path, self._who(name)))[0]

    async def seen(self, names: tuple[str, str]) -> World:
        found: dict[str, State] = {}
        for name in (f"{whose}/{name}" for whose in "ab" for name in names):
            path, who = f"/api/files/{self._guid(name)}", self._who(name)
            digest, details = (
                await self._content(path, who),
                await self._json(f"{path}/details", who),
            )
            if (digest is None) != (details is None):
                raise Violated(f"{name} has bytes or a record, and not both")
            if digest is not None:
                if details["UID"] != self.numbers[name.startswith("b/")]:
                    raise Violated(f"{name} is {details['UID']}'s")
                found[name] = (digest, details["Desc"])
        return found

    async def publish(self, name: str, content: bytes) -> tuple[str, Mapping[str, str]]:
        meta = json.dumps({"GUID": self._guid(name), "Name": name})
        form = _form(content, "file", meta=meta)
        status, said = await self._ask("POST", "/api/files", self.headers, data=form)
        if status != 200:
            raise Violated(f"{self.name}: {status} {said!r}")
        return f"/api/files/{self._guid(name)}", self.headers


@dataclass
class Losant(Api):
    """An application; a file is awaited first, and gets its bytes by a form that was signed for it.

    A name with a slash is in a directory, which is moved and removed as a whole, in the background.
    """

    headers: Mapping[str, str]
    application: str
    forms: dict[str, Any] = field(default_factory=dict, init=False)
    name: str = field(default="losant", init=False)

    @property
    def _files(self) -> str:
        return f"/applications/{self.application}/privateFiles"

    def step(self, world: World, names: tuple[str, str], choice: random.Random) -> Step:
        name, content = choice.choice(names), some_content(choice)
        if name not in world:
            return Step("begin", _with(world, name, ("", "")), lambda: self._begin(name))
        kinds = ["await", "direct", "move", "remove"] + ["complete"] * 4 * (name in self.forms)
        kind, other = choice.choice(kinds), next(n for n in names if n != name)
        after = _with(world, name, (sha256(content), ""))
        if kind == "complete":
            return Step(kind, after, lambda: self._complete(name, content))
        if kind == "direct":
            return Step(kind, after, lambda: self._direct(name, content))
        if kind == "await":
            return Step(kind, world, lambda: self._await(name))
        if kind == "move" and other not in world:
            there = _with(_with(world, name, None), other, world[name])
            return Step(kind, there, lambda: self._move(name, other))
        return Step("remove", _with(world, name, None), lambda: self.remove(name))

    async def _begin(self, name: str) -> int:
        body = {"name": name, "type": "file"}
        status, said = await self._ask("POST", self._files, self.headers, json=body)
        if status == 201:
            self.forms[name] = json.loads(said)["upload"]
        return status

    async def _await(self, name: str) -> int:
        self.forms.pop(name, None)
        path = f"{self._files}/{await self._id(name)}"
        status, said = await self._ask("PATCH", path, self.headers, json={})
        if status == 201:
            self.forms[name] = json.loads(said)["upload"]
        return status

    async def _complete(self, name: str, content: bytes) -> int:
        form = _form(content, "local.bin", **self.forms.pop(name)["fields"])
        return (await self._ask("POST", "/private-files", {}, data=form))[0]

    async def _direct(self, name: str, content: bytes) -> int:
        self.forms.pop(name, None)
        path = f"{self._files}/{await self._id(name)}/upload"
        form = _form(content, "local.bin", "privateFile")
        return (await self._ask("POST", path, self.headers, data=form))[0]

    async def _move(self, name: str, other: str) -> int:
        form = self.forms.pop(name, None)
        path = f"{self._files}/{await self._id(name)}/move"
        status, _ = await self._ask("POST", path, self.headers, params={"name": other})
        if status == 201 and form is not None:
            self.forms[other] = form
        return status

    async def remove(self, name: str) -> int:
        self.forms.pop(name, None)
        return (await self._ask("DELETE", f"{self._files}/{await self._id(name)}", self.headers))[0]

    async def _id(self, name: str) -> str:
        return str((await self._listed())[name]["id"])

    async def _listed(self) -> dict[str, Any]:
        listed = await self._json(f"{self._files}?perPage=1000&type=file", self.headers)
        found = {f"{item['parentDirectory']}{item['name']}"[1:]: item for item in listed["items"]}
        if len(found) != len(listed["items"]):
            raise Violated("a name is there twice")
        return found

    async def seen(self, names: tuple[str, str]) -> World:
        found: dict[str, State] = {}
        for name, item in (await self._listed()).items():
            if name in names:
                found[name] = (await self._digest(item), "")
        return found

    async def publish(self, name: str, content: bytes) -> tuple[str, Mapping[str, str]]:
        await self._expect(self._begin(name))
        await self._expect(self._complete(name, content))
        url = (await self._listed())[name]["url"]
        return "/private-files" + url.partition("/private-files")[2], {}

    async def _digest(self, item: Mapping[str, Any]) -> str:
        """Of what its link gives; empty if it has none."""
        if not item.get("url"):
            return ""
        path = "/private-files" + item["url"].partition("/private-files")[2]
        return await self._content(path, {}) or ""


@dataclass
class Trees(Losant):
    """Directories with a file or two in them, which are moved and removed in the background.

    An answer says that it will be done: whoever asks next waits until it is.
    """

    name: str = field(default="trees", init=False)

    def step(self, world: World, names: tuple[str, str], choice: random.Random) -> Step:
        here = next((name for name in names if f"{name}/" in world), None)
        if here is None:
            name = choice.choice(names)
            after = _with(world, f"{name}/", ("", ""))
            return Step("mkdir", after, lambda: self._mkdir(name))
        files, content = (f"{here}/x", f"{here}/y"), some_content(choice)
        missing = next((name for name in files if name not in world), None)
        if missing is not None and choice.random() < 0.7:
            after = _with(world, missing, ("", ""))
            return Step("begin", after, lambda: self._begin(missing))
        empty = next((name for name in files if world.get(name) == ("", "")), None)
        if empty is not None:
            after = _with(world, empty, (sha256(content), ""))
            return Step("direct", after, lambda: self._direct(empty, content))
        other = next(name for name in names if name != here)
        if choice.random() < 0.6:
            moved = {other + path.removeprefix(here): state for path, state in world.items()}
            return Step("move tree", moved, lambda: self._move(f"{here}/", other))
        return Step("remove tree", {}, lambda: self.remove(f"{here}/"))

    async def _mkdir(self, name: str) -> int:
        await self.settled()
        body = {"name": name, "type": "directory"}
        return (await self._ask("POST", self._files, self.headers, json=body))[0]

    async def _begin(self, name: str) -> int:
        await self.settled()
        parent, _, last = name.rpartition("/")
        body = {"name": last, "type": "file", "parentDirectory": f"/{parent}/"}
        return (await self._ask("POST", self._files, self.headers, json=body))[0]

    async def _id(self, name: str) -> str:
        await self.settled()
        return str((await self._listed())[name]["id"])

    async def remove(self, name: str) -> int:
        """A directory; what is in it goes with it."""
        return 200 if name[-1] != "/" else await super().remove(name)

    async def _listed(self) -> dict[str, Any]:
        listed = await self._json(f"{self._files}?perPage=1000", self.headers)
        return {_path_of(item): item for item in listed["items"]}

    async def settled(self) -> None:
        async with asyncio.timeout(20):
            while await self._is_busy():
                await asyncio.sleep(0.02)

    async def _is_busy(self) -> bool:
        listed = (await self._listed()).values()
        return any(item["status"] in ("moving", "deleting") for item in listed)

    async def seen(self, names: tuple[str, str]) -> World:
        await self.settled()
        found: dict[str, State] = {}
        for path, item in (await self._listed()).items():
            if path.partition("/")[0] in names:
                found[path] = (await self._digest(item), "")
        return found


def _path_of(item: Mapping[str, Any]) -> str:
    slash = "/" if item["type"] == "directory" else ""
    return f"{item['parentDirectory']}{item['name']}{slash}"[1:]


@dataclass
class Hooked(Mainflux):
    """A thing whose owner is told of each change: of every acknowledged one at least once."""

    receiver: Receiver
    told: list[tuple[str, str, str]] = field(default_factory=list, init=False)
    name: str = field(default="hooked", init=False)

    def step(self, world: World, names: tuple[str, str], choice: random.Random) -> Step:
        step = super().step(world, names, choice)
        events = [_event(name, world, step.after) for name in names]

        async def ask() -> int:
            status = await step.ask()
            if status < 300:
                self.told += [event for event in events if event is not None]
            return status

        return Step(step.kind, step.after, ask)

    async def seen(self, names: tuple[str, str]) -> World:
        owed, self.told = set(self.told), []
        try:
            async with asyncio.timeout(_TOLD_SECONDS):
                await self.receiver.until(lambda: owed <= self._heard())
        except TimeoutError as exc:
            raise Violated(
                f"nobody was told of {owed - self._heard()}, but {self._heard()}"
            ) from exc
        self.receiver.taken.clear()
        return await super().seen(names)

    def _heard(self) -> set[tuple[str, str, str]]:
        told = (received.json for received in self.receiver.taken)
        return {(event["event"], event["name"], event.get("sha256", "")) for event in told}


def _event(name: str, before: World, after: World) -> tuple[str, str, str] | None:
    """What is told of it: an event, the name, and which bytes it has now."""
    old, new = before.get(name, ("", ""))[0], after.get(name, ("", ""))[0]
    if old == new:
        return None
    if not old:
        return ("uploaded", name, new)
    return ("replaced", name, new) if new else ("deleted", name, "")
