"""A conversation with a gateway, and all that can be seen of it: answers, endings, what is stored, what is left.

Rule: headers are compared by their names (RFC 9110 5.3), lines of one name in their order. What differs
from one time to the next (dates, ids, keys) is named by what it is; everything else is kept to the byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import pairwise, zip_longest
from pathlib import Path

import aiohttp

from tests.differential.conversation import Change, Conversation, Talk
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, User, sign_in
from tests.tools.rawhttp import Head, RawConnection, raw_connection

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[.0-9]*(\+00:00|Z)|\b1[789]\d{8}(\.\d+)?\b")
_BOUNDARY = re.compile(r"boundary=([0-9a-f]{32})")
_PASSING = frozenset({"date", "last-modified", "x-request-id"})
_PAUSE = 0.002
_SETTLE_SECONDS = 15.0


class Difference(AssertionError):
    """The two ways can be told apart; the message says by what, and in which conversation."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer, or the end that came in its place."""

    status: int
    headers: tuple[str, ...]
    body: bytes

    def __str__(self) -> str:
        shown = f"{self.body[:200]!r} ... of {len(self.body)} bytes, {_digest(self.body)[:12]}"
        return f"{self.status} {', '.join(self.headers)} {shown}"


ENDED = Answered(0, (), b"")


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that a conversation came to."""

    answers: tuple[Answered, ...]
    listed: Answered
    stored: tuple[tuple[str, Answered], ...]
    blobs: tuple[tuple[str, int], ...]
    incoming: tuple[str, ...]
    open_uploads: float


@dataclass(frozen=True, slots=True)
class Holder:
    """A gateway under comparison, its administrator, and the gateway that is asked what was stored.

    ``front`` is the port of the nginx through which it is talked to.
    """

    name: str
    gateway: GatewayProcess
    admin: User
    judge: GatewayProcess
    front: int | None = None

    def behind(self, port: int) -> Holder:
        """The same, talked to through that nginx."""
        return replace(self, front=port)

    @property
    def port(self) -> int:
        """Where it is talked to."""
        return self.gateway.port if self.front is None else self.front

    async def hold(self, conversation: Conversation) -> Seen:
        """The conversation, with a thing of its own."""
        one = await _Held.begin(self)
        answers: list[Answered] = []
        for step in conversation.steps:
            if isinstance(step, Talk):
                answers += await one.talk(step)
            else:
                answers.append(await one.change(step))
        return await one.seen(answers)


@dataclass(frozen=True, slots=True)
class _Held:
    holder: Holder
    thing: Thing
    group: str
    tag: str

    @classmethod
    async def begin(cls, holder: Holder) -> _Held:
        admin = holder.admin
        thing = await admin.thing()
        return cls(holder, thing, await admin.group("group", thing.id), f"tag-{thing.id[:8]}")

    def key_for(self, target: str) -> str:
        """The thing's credential; the administrator's where things have no rights."""
        by_admin = target.startswith(("/v1/", "/groups/"))
        return (self.holder.admin if by_admin else self.thing).headers["Authorization"]

    async def talk(self, talk: Talk) -> list[Answered]:
        requests = [
            request.wire(self.key_for(request.target), self.tag).replace(
                b"{group}", self.group.encode()
            )
            for request in talk.requests
        ]
        stream = b"".join(requests)
        cut = sorted({0, *(int(share * len(stream)) for share in talk.cuts), len(stream)})
        pieces = [stream[start:end] for start, end in pairwise(cut)]
        if not talk.ending:
            return await self._ask(talk, requests if talk.in_turn else pieces, None)
        whole = len(stream) - len(requests[-1])
        last = requests[-1][: -talk.ends_at]
        return await self._ask(talk, list(_upto(pieces, whole)), last)

    async def _ask(self, talk: Talk, pieces: list[bytes], last: bytes | None) -> list[Answered]:
        answers: list[Answered] = []
        asked = talk.requests if last is None else talk.requests[:-1]
        async with raw_connection(self.holder.port) as connection:
            sending = asyncio.create_task(_send(connection, [] if talk.in_turn else pieces))
            try:
                for number, request in enumerate(asked):
                    if talk.in_turn:
                        await connection.send(pieces[number])
                    answers.append(await self._answer(connection, request.method))
            except (asyncio.IncompleteReadError, OSError):
                answers.append(ENDED)
            with contextlib.suppress(OSError):
                await sending
                if last is not None and ENDED not in answers:
                    answers += await self._break_off(connection, talk, last)
        return answers

    async def _break_off(
        self, connection: RawConnection, talk: Talk, last: bytes
    ) -> list[Answered]:
        await connection.send(last)
        await asyncio.sleep(0.01)
        if talk.ending == "reset":
            connection.reset()
            return []
        connection.half_close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                said, _ = await connection.read_ending()
                return [Answered(-1, (), b"") if said else ENDED]
        raise Difference("the connection does not end")

    async def _answer(self, connection: RawConnection, method: str) -> Answered:
        answer = await connection.read_answer(method=method)
        body = answer.body
        if (drawn := _BOUNDARY.search("".join(answer.head.all("Content-Type")))) is not None:
            body = body.replace(drawn[1].encode(), b"<boundary>")
        named = self._named(body)
        return Answered(
            answer.status, self._headers(answer.head, renamed=named != answer.body), named
        )

    def _headers(self, head: Head, *, renamed: bool) -> tuple[str, ...]:
        """All but the passing ones; the length of a body in which something was named has been checked."""
        passing = _PASSING | ({"content-length"} if renamed else set())
        shown = sorted(head.headers, key=lambda field: field[0].lower())
        kept = [
            f"{n}: {_BOUNDARY.sub('boundary=<boundary>', v)}"
            for n, v in shown
            if n.lower() not in passing
        ]
        return tuple(self._named(line.encode("latin-1")).decode("latin-1") for line in kept)

    def _named(self, text: bytes) -> bytes:
        for value, name in (
            (self.tag, b"<tag>"),
            (self.thing.id, b"<thing>"),
            (self.group, b"<group>"),
        ):
            text = text.replace(value.encode(), name)
        if len(text) > 4096:
            return text  # a file
        return _TIME.sub(b"<time>", _UUID.sub(b"<id>", text))

    async def change(self, change: Change) -> Answered:
        """By the administrator, at the same gateway."""
        admin = self.holder.admin
        path = change.path.replace("{thing}", self.thing.id).replace("{group}", self.group)
        things = [self.thing.id]
        body = {name: things if value == "{things}" else value for name, value in change.body}
        async with admin.session.request(
            change.method, self.holder.gateway.url + path, json=body or None, headers=admin.headers
        ) as said:
            return Answered(said.status, (), self._named(await said.read()))

    async def seen(self, answers: Iterable[Answered]) -> Seen:
        """What is there afterwards, once nothing moves any more."""
        await self._settle()
        async with raw_connection(self.holder.judge.port) as connection:
            listed = await self._told(connection, "/files?limit=100")
            stored = [
                (target, await self._told(connection, target))
                for target in ("/files/a.bin", "/files/b.bin", f"/v1/file/{self.tag}")
            ]
        folder = self.holder.gateway.data_dir / "blobs" / "things" / self.thing.id
        return Seen(
            tuple(answers),
            listed,
            tuple((self._named(t.encode()).decode(), _short(answer)) for t, answer in stored),
            _contents(folder),
            tuple(path.suffix for path in self._incoming()),
            await self._open_uploads(),
        )

    async def _told(self, connection: RawConnection, target: str) -> Answered:
        await connection.send_head("GET", target, [("Authorization", self.key_for(target))])
        return await self._answer(connection, "GET")

    def _incoming(self) -> list[Path]:
        return list((self.holder.gateway.data_dir / "incoming").iterdir())

    async def _settle(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while self._incoming() or await self._open_uploads():
                    await asyncio.sleep(0.005)

    async def _open_uploads(self) -> float:
        async with self.holder.admin.session.get(f"{self.holder.gateway.url}/metrics") as said:
            lines = (await said.text()).splitlines()
        return sum(float(n.split()[1]) for n in lines if n.startswith("gateway_uploads_in_flight "))


def _upto(pieces: Iterable[bytes], length: int) -> Iterable[bytes]:
    for piece in pieces:
        if length > 0:
            yield piece[:length]
        length -= len(piece)


async def _send(connection: RawConnection, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        await connection.send(piece)
        await asyncio.sleep(_PAUSE)


def _short(answer: Answered) -> Answered:
    """A file by its size and digest."""
    if len(answer.body) <= 4096:
        return answer
    summed = f"{len(answer.body)} {_digest(answer.body)}".encode()
    return Answered(answer.status, answer.headers, summed)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _contents(folder: Path) -> tuple[tuple[str, int], ...]:
    """The digests of all blobs, named by rows or not."""
    found = folder.iterdir() if folder.is_dir() else ()
    return tuple(sorted(Counter(_digest(path.read_bytes()) for path in found).items()))


def check_alike(plain: Seen, fast: Seen, about: object) -> None:
    """Raise ``Difference`` unless both came to the same."""
    for each in fields(Seen):
        one, other = getattr(plain, each.name), getattr(fast, each.name)
        if one != other:
            raise Difference(f"{each.name} differ\n{_shown(one, other)}\nin {about}")


def _shown(one: object, other: object) -> str:
    if isinstance(one, tuple) and isinstance(other, tuple):
        for number, (left, right) in enumerate(zip_longest(one, other)):
            if left != right:
                return f"[{number}]\n  plain {_text(left)}\n  fast  {_text(right)}"
    return f"  plain {_text(one)}\n  fast  {_text(other)}"


def _text(value: object) -> str:
    return f"{value[0]}: {value[1]}" if isinstance(value, tuple) and len(value) == 2 else str(value)


async def holder_of(
    name: str, gateway: GatewayProcess, session: aiohttp.ClientSession, judge: GatewayProcess
) -> Holder:
    """Who talks to this gateway."""
    return Holder(name, gateway, await sign_in(session, gateway.url), judge)
