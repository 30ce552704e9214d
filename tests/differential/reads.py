"""Reads of three files: ranges at the edges of the fast ways, conditions, and what changes the files.

Rule: nothing is asked of which the answer is a matter of time.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator

from tests.differential.conversation import (
    BOUNDARY,
    Change,
    Conversation,
    Maker,
    Request,
    Talk,
)

TARGETS = (
    "/files/a.bin",
    "/files/a.bin",
    "/filestore/files/a.bin",
    "/files/b.bin",
    "/groupfiles/g.bin",
)
ONE_WRITE = 64 * 1024
MOST = 256 * 1024
MEMBERS = (("members", "{things}"),)
CHANGES = (
    Change("DELETE", "/groups/{group}/members", MEMBERS),
    Change("POST", "/groups/{group}/members", MEMBERS),
    Change("DELETE", "/things/{thing}"),
)


class Reads:
    """Reads of three files, and what changes them."""

    def __init__(self, pick: random.Random) -> None:
        self._pick = pick
        self._maker = Maker(pick)
        self._puts = 0.08
        self._content = {name: self._new(name) for name in ("a.bin", "b.bin", "g.bin")}

    def conversation(self, seed: str) -> Conversation:
        """Many reads again and again, and a change in between."""
        return Conversation(seed, (self._stores(), *self._steps()))

    def undisturbed(self, seed: str) -> Conversation:
        """Reads of what stays as it is, for those who may act on what they know for a moment."""
        self._puts = 0.0
        talks = (self._talk(in_turn=turn) for turn in (True, False, True))
        return Conversation(seed, (self._stores(), *talks))

    def _stores(self) -> Talk:
        form = self._form
        stores = (
            form("POST", "/files", "a.bin"),
            form("POST", "/files", "b.bin"),
            form("POST", "/groups/{group}/files", "g.bin"),
        )
        return Talk(stores)

    def _steps(self) -> Iterator[Talk | Change]:
        changes = list(CHANGES[:2]) if self._pick.random() < 0.5 else [CHANGES[2]]
        for change in (*changes, None):
            yield self._talk(in_turn=False)
            yield self._talk(in_turn=True)
            if change is not None:
                yield change
            if change is CHANGES[2]:
                self._puts = 0.0  # a body that is refused unread makes a matter of time of the rest

    def _talk(self, *, in_turn: bool) -> Talk:
        requests = [self._request() for _ in range(self._pick.choice((3, 12)))]
        warm = [Request("GET", target, (("Range", "bytes=0-0"),)) for target in set(TARGETS)]
        requests = sorted(warm, key=lambda request: request.target) + requests
        return Talk(tuple(requests), self._maker.cuts_of(requests), in_turn=in_turn)

    def _request(self) -> Request:
        if self._pick.random() < self._puts:
            name = self._pick.choice(("a.bin", "b.bin"))
            self._content[name] = self._new(name)
            return self._form("PUT", f"/files/{name}", name)
        target = self._pick.choice(TARGETS)
        method = self._pick.choices(("GET", "HEAD"), (9, 1))[0]
        return Request(method, target, tuple(self._fields(target)))

    def _fields(self, target: str) -> Iterator[tuple[str, str]]:
        content = self._content[target.rpartition("/")[2]]
        yield "Range", self._range(len(content))
        if self._pick.random() < 0.4:
            tag = self._pick.choice(
                (_etag(content), _etag(content), '"another"', "*", "W/" + _etag(content))
            )
            yield self._pick.choice(("If-Range", "If-Range", "If-Match", "If-None-Match")), tag
        if self._pick.random() < 0.1:
            yield self._pick.choice(
                (
                    ("Range", "bytes=5-6"),
                    ("Want-Digest", "sha-256"),
                    ("Expect", "100-continue"),
                    ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
                    ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
                )
            )

    def _range(self, size: int) -> str:
        pick = self._pick
        first = pick.choice(
            (0, 1, 17, 4096, max(0, size - 5), size - 1, size, pick.randrange(size + 1))
        )
        length = pick.choice((1, 100, 4096, ONE_WRITE, ONE_WRITE + 1, MOST, MOST + 1, size))
        plain = f"bytes={max(0, first)}-{max(0, first) + length - 1}"
        odd = (
            "bytes=0-",
            f"bytes=-{length}",
            "bytes=5-2",
            "bytes=0-1,4-5",
            f"bytes=-1,0-{length}",
            "x=0-1",
            "BYTES=3-9",
            "bytes=03-09",
        )
        return plain if pick.random() < 0.75 else pick.choice(odd)

    def _new(self, name: str) -> bytes:
        size = 600_000 if name == "a.bin" else self._pick.choice((1, 5000, ONE_WRITE, 100_000))
        return self._pick.randbytes(size)

    def _form(self, method: str, target: str, name: str) -> Request:
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: application/x-fw\r\n\r\n"
        ).encode()
        body = b"%b%b\r\n--%b--\r\n" % (head, self._content[name], BOUNDARY.encode())
        return Request(
            method, target, (("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),), body
        )


def _etag(content: bytes) -> str:
    raw = hashlib.sha256(content).digest()
    return f'"{base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}"'
