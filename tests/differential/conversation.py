"""What is sent to a gateway: requests on connections, cut anywhere, and changes in between.

Rule: a conversation is made of one source of choices and is the same to whoever holds it but for the
credential, so that two gateways can be compared. Nothing is in it whose answer is a matter of time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

BOUNDARY = "frontier-4f10"
DELIMITER = b"\r\n--" + BOUNDARY.encode()
LARGE = 256 * 1024  # from here on a body is received past the parser
BATCH = 512 * 1024  # and from here on it is written before its end
SIZES = (
    *(0, 1, 100, 4096, 65_535, 65_536, 65_537),
    *(LARGE - 1, LARGE, LARGE + 20_000, LARGE + 70_001, BATCH - 1, BATCH, BATCH + 1),
    *(1024 * 1024, 1024 * 1024 + 3, 1_700_000),
)
NAMES = ("a.bin", "b.bin")
Ending = Literal["", "half", "reset"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request; ``{key}`` in its head stands for the credential, ``{tag}`` for a name of the holder's own."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    pieces: tuple[int, ...] = ()  # sizes of the chunks, again and again; none: Content-Length

    def wire(self, key: str, tag: str) -> bytes:
        """The request as it is sent."""
        fields = [("Host", "gateway.test"), ("Authorization", "{key}"), *self.headers]
        if self.pieces:
            fields.append(("Transfer-Encoding", "chunked"))
        elif self.body or self.method in ("POST", "PUT"):
            fields.append(("Content-Length", str(len(self.body))))
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields), "", ""]
        head = "\r\n".join(lines).replace("{key}", key).replace("{tag}", tag)
        return head.encode("utf-8", "surrogateescape") + b"".join(self._framed())

    def _framed(self) -> Iterator[bytes]:
        if not self.pieces:
            yield self.body
            return
        start, number = 0, 0
        while start < len(self.body):
            size = self.pieces[number % len(self.pieces)]
            piece = self.body[start : start + size]
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
            start, number = start + len(piece), number + 1
        yield b"0\r\n\r\n"

    def __str__(self) -> str:
        framing = f"chunks of {self.pieces}" if self.pieces else f"{len(self.body)} bytes"
        return f"{self.method} {self.target} {list(self.headers)} {framing}"


@dataclass(frozen=True, slots=True)
class Talk:
    """Requests on one connection, one behind the other, in writes that end at ``cuts``.

    In turn: the next is sent when the one before is answered, and is not cut. With an ``ending`` the last request is sent up to ``ends_at`` bytes before its end, once the others are
    answered; then the client closes its half, or vanishes.
    """

    requests: tuple[Request, ...]
    cuts: tuple[float, ...] = ()  # where, as a share of all bytes
    ending: Ending = ""
    ends_at: int = 1
    in_turn: bool = False

    def __str__(self) -> str:
        lines = "\n    ".join(map(str, self.requests))
        manner = "in turn" if self.in_turn else f"cut at {self.cuts}"
        return f"{self.ending or 'whole'} -{self.ends_at} {manner}\n    {lines}"


@dataclass(frozen=True, slots=True)
class Change:
    """What the owner does meanwhile, on another connection: a method, a path and a JSON body.

    ``{thing}`` and ``{group}`` stand for the ids, ``{things}`` for a list of the thing's.
    """

    method: str
    path: str
    body: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """Talks and changes, one after the other; ``seed`` made it."""

    seed: str
    steps: tuple[Talk | Change, ...]

    def __str__(self) -> str:
        return f"seed {self.seed}\n  " + "\n  ".join(map(str, self.steps))


@dataclass(slots=True)
class Maker:
    """Conversations out of choices."""

    pick: random.Random
    _there: set[str] = field(default_factory=set)  # names that have a file by now

    def content(self) -> bytes:
        """A file: noise, with scraps of the delimiter in it and at its ends."""
        size = self.pick.choice(SIZES)
        noise = bytearray(self.pick.randbytes(size))
        for _ in range(self.pick.choice((0, 1, 4))):
            scrap = DELIMITER[: self.pick.randrange(1, len(DELIMITER))]
            place = self.pick.choice((0, max(0, size - len(scrap)), self.pick.randrange(size + 1)))
            noise[place : place + len(scrap)] = scrap
        return bytes(noise).replace(DELIMITER, b"\r\n--")

    def form(self, method: str, target: str, name: str) -> Request:
        """A form with one file; its part may declare its length, and fields may stand around it."""
        content = self.content()
        declared = f"Content-Length: {len(content)}\r\n" if self.pick.random() < 0.3 else ""
        field = b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        boundary = BOUNDARY.encode()
        before = field % (boundary, b"format", b"hex") if self.pick.random() < 0.5 else b""
        after = field % (boundary, b"metadata", b'{"a": 1}') if self.pick.random() < 0.5 else b""
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: application/x-fw\r\n{declared}\r\n"
        ).encode()
        body = b"%b%b%b\r\n%b--%b--\r\n" % (before, head, content, after, boundary)
        kind = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
        return Request(method, target, (kind,), body, self.pieces())

    def raw(self) -> Request:
        """A body that is the file, of a name of the holder's own."""
        kind = ("Content-Type", "application/x-fw")
        return Request("PUT", "/v1/file/{tag}", (kind,), self.content(), self.pieces())

    def pieces(self) -> tuple[int, ...]:
        """Mostly Content-Length; else chunks."""
        if self.pick.random() < 0.7:
            return ()
        return tuple(self.pick.choice((1000, 16_384, 70_000, 300_000)) for _ in range(3))

    def upload(self) -> Request:
        """Some way to store a file that is not refused before its body: how much of that was
        sent by then would be a matter of time.
        """
        name = self.pick.choice(NAMES)
        kind = self.pick.choice(("form", "form", "raw"))
        if kind == "raw":
            return self.raw()
        if name in self._there and self.pick.random() < 0.8:
            return self.form("PUT", f"/files/{name}", name)
        self._there.add(name)
        return self.form("POST", "/files", name)

    def mixed(self) -> Request:
        """Something small that stands between uploads."""
        name = self.pick.choice(NAMES)
        if self.pick.random() < 0.2:
            self._there.discard(name)
            return Request("DELETE", f"/files/{name}")
        return self.pick.choice(
            (
                Request("GET", f"/files/{name}"),
                Request("GET", f"/files/{name}", (("Range", "bytes=1-4000"),)),
                Request("HEAD", f"/files/{name}"),
                Request("GET", "/files"),
                Request("GET", "/v1/file/{tag}"),
            )
        )

    def uploads(self) -> Talk:
        """Uploads behind one another, with other requests among them, cut at places that matter and at any."""
        requests = [
            self.upload() if self.pick.random() < 0.6 else self.mixed()
            for _ in range(self.pick.choice((1, 2, 2, 3, 4)))
        ]
        endings: tuple[Ending, ...] = ("", "half", "reset")
        ending = self.pick.choices(endings, (6, 2, 2))[0]
        if ending:
            there = set(self._there)
            requests.append(self.upload())
            self._there = there  # it comes to nothing
        length = len(requests[-1].wire("", ""))
        ends_at = min(length - 1, self.pick.choice((1, 2, 20, 5000, 70_000, 300_000, length)))
        return Talk(tuple(requests), self.cuts_of(requests), ending, ends_at)

    def cuts_of(self, requests: list[Request]) -> tuple[float, ...]:
        """Shares of the stream: behind heads, at delimiters and just behind them, before ends; and anywhere."""
        stream = b"".join(request.wire("k" * 70, "t" * 8) for request in requests)
        aimed = [
            *_places(stream, b"\r\n\r\n", 4),
            *_places(stream, DELIMITER, len(DELIMITER)),
            *(len(stream) - 1, len(stream) - 7),
        ]
        places = self.pick.sample(aimed, min(len(aimed), self.pick.choice((0, 1, 3))))
        near = [place + self.pick.choice((-2, -1, 0, 0, 0, 1, 2, 20)) for place in places]
        anywhere = [self.pick.randrange(1, len(stream)) for _ in range(self.pick.choice((0, 1, 4)))]
        return tuple(sorted(max(0, min(len(stream), p)) / len(stream) for p in near + anywhere))


def _places(stream: bytes, what: bytes, behind: int) -> Iterator[int]:
    start = stream.find(what)
    while start >= 0:
        yield start + behind
        start = stream.find(what, start + 1)
