"""What is done to a name, in each API's words, and what its answers mean.

Knows the routes and their statuses. Does not know in which order anything is done, nor when. Rule: an answer that
is none of those that the operation may have is a ``Violation`` at once, a 5xx above all.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from tests.histories.linear import ABSENT, KEPT, Saw, Value, Violation
from tests.tools.rawhttp import Answer

RECORD = 16
SIZES = (
    4,
    5,
    40,
    256,
    256,
    300,
    5000,
)  # in records: below and above what one write and one read take
_NUMBERS = [number.to_bytes(8, "big") for number in range(max(SIZES))]
BOUNDARY = "frontier-77"
Fields = tuple[tuple[str, str], ...]


@lru_cache(maxsize=512)
def body_of(version: int) -> bytes:
    """A file of which every sixteen bytes say the version and where they belong."""
    told = version.to_bytes(8, "big")
    return told + told.join(_NUMBERS[: SIZES[version % len(SIZES)]])


@lru_cache(maxsize=512)
def etag_of(version: int) -> str:
    """The entity tag of that file."""
    raw = hashlib.sha256(body_of(version)).digest()
    return f'"{base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}"'


def version_in(body: bytes, first: int = 0, *, whole: bool = True) -> int:
    """The version of which these bytes are, from record ``first`` on. Raises ``Violation`` for a mixture."""
    version = int.from_bytes(body[:8], "big")
    expected = body_of(version)[first * RECORD :]
    if body != (expected if whole else expected[: len(body)]) or not body:
        raise Violation(f"bytes of no version: {len(body)} from record {first}, begun as {version}")
    return version


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is sent."""

    method: str
    path: str
    fields: Fields = ()
    body: bytes = b""

    @property
    def wire(self) -> bytes:
        """All of it, with a length if it has a body."""
        sized = (("Content-Length", str(len(self.body))),) if self.method in ("POST", "PUT") else ()
        fields = (("Host", "gateway.test"), *self.fields, *sized)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        return f"{self.method} {self.path} HTTP/1.1\r\n{lines}\r\n".encode() + self.body


@dataclass(frozen=True, slots=True)
class Found:
    """What an answer says of one name."""

    saw: Saw
    value: Value = ABSENT
    left: Value = KEPT
    name: str | None = None  # if it is not the name that was asked about


Told = Callable[[Answer], list[Found]]


@dataclass(frozen=True, slots=True)
class Step:
    """A request, what its answer means, and a word for it; what ``lags`` may be as old as a cache allows."""

    word: str
    asked: Asked
    means: Told
    lags: bool = False


def statuses(word: str, table: Mapping[int, list[Found]]) -> Told:
    """An answer means what its status does. Raises ``Violation`` for any other."""

    def means(answer: Answer) -> list[Found]:
        if answer.status not in table:
            raise Violation(f"{word} was answered {answer.status} {answer.body[:200]!r}")
        return table[answer.status]

    return means


NOTHING, SOMETHING = Found(Saw.NOTHING), Found(Saw.SOMETHING)
SAYS_NOTHING: list[Found] = []


class Tags:
    """Which version has an entity tag: of all that were ever sent."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def sent(self, version: int) -> None:
        """It is on its way."""
        self._versions[etag_of(version)] = version

    def version(self, tag: str) -> int:
        """The version. Raises ``Violation`` for a tag that nobody sent."""
        if tag not in self._versions:
            raise Violation(f"an entity tag of no version: {tag}")
        return self._versions[tag]

    def version_of_digest(self, digest: str) -> int:
        """The version that has this SHA-256, in hex. Raises ``Violation``."""
        return self.version(
            f'"{base64.urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b"=").decode()}"'
        )


class Files:
    """What all have in common: a name is an address, of which bytes are read and removed."""

    def __init__(self, fields: Fields, address: str, removed: int) -> None:
        self._fields, self._address, self._removed = fields, address, removed
        self.tags = Tags()

    def read(self, name: str) -> Step:
        asked = Asked("GET", self._path(name), self._fields)
        return Step("read", asked, _content("read"), lags=True)

    def removal(self, name: str) -> Step:
        gone = {self._removed: [Found(Saw.SOMETHING, left=ABSENT)], 404: [NOTHING]}
        return Step(
            "remove", Asked("DELETE", self._path(name), self._fields), statuses("remove", gone)
        )

    def part(self, pick: random.Random, name: str) -> Step:
        """A range of a few records, which all files have."""
        first, count = pick.randrange(4), pick.choice((1, 2, 4))
        last = (first + count) * RECORD - 1
        fields = (*self._fields, ("Range", f"bytes={first * RECORD}-{last}"))
        asked = Asked("GET", self._path(name), fields)
        return Step("range", asked, _content("range", first), lags=True)

    def head(self, name: str) -> Step:
        """Its validators."""
        return Step("head", Asked("HEAD", self._path(name), self._fields), self._named, lags=True)

    def unchanged(self, name: str, known: int) -> Step:
        """The file, if it is another than what is known."""
        fields = (*self._fields, ("If-None-Match", etag_of(known)))
        whole = _content("read if another")

        def means(answer: Answer) -> list[Found]:
            return [Found(Saw.THIS, known)] if answer.status == 304 else whole(answer)

        return Step("read if another", Asked("GET", self._path(name), fields), means, lags=True)

    def removal_of(self, name: str, known: int) -> Step:
        """Its end, if it is what is known."""
        fields = (*self._fields, ("If-Match", etag_of(known)))
        table = {
            self._removed: [Found(Saw.THIS, known, ABSENT)],
            412: [Found(Saw.NOT_THIS, known)],
            404: [NOTHING],
        }
        asked = Asked("DELETE", self._path(name), fields)
        return Step("remove if it is", asked, statuses("remove if it is", table))

    def _named(self, answer: Answer) -> list[Found]:
        if answer.status == 404:
            return [NOTHING]
        if answer.status != 200:
            raise Violation(f"head was answered {answer.status}")
        return [Found(Saw.THIS, self.tags.version(answer.head.one("ETag")))]

    def _path(self, name: str) -> str:
        return self._address.format(name)

    def reading(self, pick: random.Random, name: str, known: int | None) -> Step:
        """Some read."""
        word = pick.choice(("read", "range", "range", "head", "unchanged"))
        if word == "range":
            return self.part(pick, name)
        if word == "unchanged" and known is not None:
            return self.unchanged(name, known)
        return self.head(name) if word == "head" else self.read(name)

    def removing(self, pick: random.Random, name: str, known: int | None) -> Step:
        """Some removal."""
        conditional = known is not None and pick.random() < 0.5
        return (
            self.removal_of(name, known)
            if conditional and known is not None
            else self.removal(name)
        )


def _content(word: str, first: int | None = None) -> Told:
    def means(answer: Answer) -> list[Found]:
        if answer.status == 404:
            return [NOTHING]
        if answer.status == 412 and first is not None:
            return [SOMETHING]  # a bare range is not continued in other bytes (docs/resuming.md)
        if answer.status != (200 if first is None else 206):
            raise Violation(f"{word} was answered {answer.status} {answer.body[:200]!r}")
        version = version_in(answer.body, first or 0, whole=first is None)
        _check_tag(answer, version)
        return [Found(Saw.THIS, version)]

    return means


def _check_tag(answer: Answer, version: int) -> None:
    if answer.head.one("ETag") != etag_of(version):
        raise Violation(f"bytes of version {version} under another entity tag")


def form_of(name: str, body: bytes, more: Mapping[str, str]) -> tuple[Fields, bytes]:
    """The content type and the body of a form with one file."""
    fields = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in more.items()
    )
    head = (
        f'{fields}--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/x-fw\r\n\r\n"
    )
    kind = (("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),)
    return kind, head.encode() + body + f"\r\n--{BOUNDARY}--\r\n".encode()
