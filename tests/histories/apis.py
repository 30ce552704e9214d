"""The APIs whose names are written to: what of each is done by chance, and what its answers mean.

Rule: only what changes or shows the bytes behind a name; what a caller may is other tests' business.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from tests.histories.linear import ABSENT, Saw, Violation
from tests.histories.names import (
    NOTHING,
    SOMETHING,
    Asked,
    Fields,
    Files,
    Found,
    Step,
    body_of,
    etag_of,
    form_of,
    statuses,
)
from tests.tools.rawhttp import Answer

RAW: Fields = (("Content-Type", "application/x-fw"),)


def wrote(version: int, saw: Saw = Saw.ANYTHING, value: object = ABSENT) -> list[Found]:
    """It found this and left the version."""
    return [Found(saw, value, version)]


class Mainflux(Files):
    """A thing's files, or a group's."""

    def __init__(self, fields: Fields, collection: str, reads: str, reader: Fields) -> None:
        super().__init__(fields, collection + "/{}", 204)
        self._collection, self._reads, self._reader = collection, reads, reader

    def step(self, pick: random.Random, name: str, version: int, known: int | None) -> Step:
        """Something to do; a write has ``version``, and ``known`` is one that was seen there."""
        word = pick.choices("rnldcpfioa", (34, 4, 6, 10, 12, 10, 8, 8, 6, 4))[0]
        if word == "r":
            return self.reading(pick, name, known)
        if word == "d":
            return self.removing(pick, name, known)
        return self._writing(word, name, version, known)

    def _writing(self, word: str, name: str, version: int, known: int | None) -> Step:
        match word:
            case "n":
                return self.from_groups(name)
            case "l":
                return self._list(name)
            case "c":
                return self._create(name, version)
            case "f":
                return self._replace(name, version)
            case "i" if known is not None:
                return self._put_if(name, version, known)
            case "o":
                return self._put_new(name, version)
            case "a" if known is not None:
                return self._put_if_another(name, version, known)
        return self._put(name, version)

    def from_groups(self, name: str) -> Step:
        """Read as a device does, by another address if there is one."""
        other = Files(self._reader, self._reads, 204)
        return other.read(name)

    def _create(self, name: str, version: int) -> Step:
        self.tags.sent(version)
        kind, body = form_of(name, body_of(version), {})
        asked = Asked("POST", self._collection, (*self._fields, *kind), body)
        table = {201: wrote(version, Saw.NOTHING), 409: [SOMETHING]}
        return Step("create", asked, statuses("create", table))

    def _replace(self, name: str, version: int) -> Step:
        self.tags.sent(version)
        kind, body = form_of(name, body_of(version), {})
        asked = Asked("PUT", self._path(name), (*self._fields, *kind), body)
        table = {200: wrote(version, Saw.SOMETHING), 404: [NOTHING]}
        return Step("replace", asked, statuses("replace", table))

    def _put(self, name: str, version: int) -> Step:
        table = {
            201: wrote(version, Saw.NOTHING),
            200: wrote(version, Saw.SOMETHING),
            409: [SOMETHING],  # somebody else made it meanwhile
            404: [NOTHING],  # somebody took away what was to be replaced
        }
        return self._raw("put", name, version, (), table)

    def _put_if(self, name: str, version: int, known: int) -> Step:
        table = {
            200: wrote(version, Saw.THIS, known),
            412: [Found(Saw.NOT_THIS, known)],
            404: [NOTHING],
        }
        return self._raw("put if it is", name, version, (("If-Match", etag_of(known)),), table)

    def _put_if_another(self, name: str, version: int, known: int) -> Step:
        table = {
            201: wrote(version, Saw.NOTHING),
            200: wrote(version, Saw.NOT_THIS, known),
            412: [],  # it is that, or changed meanwhile, which is not looked at again
            409: [SOMETHING],
            404: [NOTHING],
        }
        fields = (("If-None-Match", etag_of(known)),)
        return self._raw("put if another", name, version, fields, table)

    def _put_new(self, name: str, version: int) -> Step:
        table = {201: wrote(version, Saw.NOTHING), 412: [SOMETHING], 409: [SOMETHING]}
        return self._raw("put if new", name, version, (("If-None-Match", "*"),), table)

    def _raw(
        self, word: str, name: str, version: int, more: Fields, table: Mapping[int, list[Found]]
    ) -> Step:
        self.tags.sent(version)
        asked = Asked("PUT", self._path(name), (*self._fields, *RAW, *more), body_of(version))
        return Step(word, asked, statuses(word, table))

    def _list(self, name: str) -> Step:
        stem = name.rpartition("-")[0]
        asked = Asked("GET", f"{self._collection}?limit=100", self._fields)

        def means(answer: Answer) -> list[Found]:
            items = _array(answer, "files")
            there = {str(item["name"]) for item in items}
            return _presence(there, stem)

        return Step("list", asked, means)


class Hasura(Files):
    """Ids of the whole deployment's space."""

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields, "/v1/file/{}", 200)

    def step(self, pick: random.Random, name: str, version: int, known: int | None) -> Step:
        """As ``Mainflux.step``."""
        match pick.choices("rcpiod", (40, 14, 18, 10, 8, 10))[0]:
            case "r":
                return self.reading(pick, name, known)
            case "c":
                table = {200: wrote(version, Saw.NOTHING), 400: [SOMETHING]}
                return self._write("create", "POST", name, version, (), table)
            case "p":
                return self._write("put", "PUT", name, version, (), {200: wrote(version)})
            case "i" if known is not None:
                table = {
                    200: wrote(version, Saw.THIS, known),
                    412: [Found(Saw.NOT_THIS, known)],
                }
                fields = (("If-Match", etag_of(known)),)
                return self._write("put if it is", "PUT", name, version, fields, table)
            case "o":
                table = {200: wrote(version, Saw.NOTHING), 412: [SOMETHING]}
                fields = (("If-None-Match", "*"),)
                return self._write("put if new", "PUT", name, version, fields, table)
        return self.removing(pick, name, known)

    def _write(
        self,
        word: str,
        method: str,
        name: str,
        version: int,
        more: Fields,
        table: Mapping[int, list[Found]],
    ) -> Step:
        self.tags.sent(version)
        asked = Asked(method, self._path(name), (*self._fields, *RAW, *more), body_of(version))
        return Step(word, asked, statuses(word, table))


class Gravwell(Files):
    """A user's files by the id that each was given when it was made: once gone, gone for ever."""

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields, "/api/files/{}", 200)
        self.ids: dict[str, str] = {}
        self._versions: dict[str, int] = {}

    def making(self, name: str, version: int) -> Step:
        """The file, of which only the answer says the id."""
        self.tags.sent(version)
        kind, body = form_of(name, body_of(version), {"name": name})
        asked = Asked("POST", "/api/files", (*self._fields, *kind), body)

        def means(answer: Answer) -> list[Found]:
            if answer.status != 200:
                raise Violation(f"make was answered {answer.status} {answer.body[:200]!r}")
            self.ids[name] = str(UUID(json.loads(answer.body)["ThingUUID"]))
            return wrote(version, Saw.NOTHING)

        return Step("make", asked, means)

    def step(self, pick: random.Random, name: str, version: int, known: int | None) -> Step:
        """As ``Mainflux.step``."""
        match pick.choices("rsluid", (40, 8, 4, 30, 12, 3))[0]:
            case "r":
                return self.reading(pick, name, known)
            case "s":
                return self._details(name)
            case "l":
                return self._list(name)
            case "u":
                return self._update("update", name, version, (), Saw.SOMETHING, None)
            case "i" if known is not None:
                fields = (("If-Match", etag_of(known)),)
                return self._update("update if it is", name, version, fields, Saw.THIS, known)
        return self.removing(pick, name, known)

    def _update(
        self, word: str, name: str, version: int, more: Fields, saw: Saw, known: int | None
    ) -> Step:
        self.tags.sent(version)
        kind, body = form_of(name, body_of(version), {})
        asked = Asked("PUT", self._path(name), (*self._fields, *kind, *more), body)
        table = {200: wrote(version, saw, known), 404: [NOTHING]}
        if more:
            table[412] = [Found(Saw.NOT_THIS, known)]
        return Step(word, asked, statuses(word, table))

    def _details(self, name: str) -> Step:
        asked = Asked("GET", f"{self._path(name)}/details", self._fields)

        def means(answer: Answer) -> list[Found]:
            return [NOTHING] if answer.status == 404 else [self._shown(json.loads(answer.body))]

        return Step("details", asked, means)

    def _list(self, name: str) -> Step:
        stem = name.rpartition("-")[0]
        names = {id_: made for made, id_ in self.ids.items() if made.startswith(f"{stem}-")}

        def means(answer: Answer) -> list[Found]:
            there = {names.get(item["ThingUUID"], ""): item for item in _array(answer, None)}
            return [
                Found(Saw.NOTHING, name=one)
                if one not in there
                else Found(Saw.THIS, self._shown(there[one]).value, name=one)
                for one in names.values()
            ]

        return Step("list", Asked("GET", "/api/files", self._fields), means)

    def _shown(self, record: Mapping[str, Any]) -> Found:
        return Found(Saw.THIS, self.tags.version_of_digest(record["SHA256"]))

    def _path(self, name: str) -> str:
        return self._address.format(self.ids[name])


def _array(answer: Answer, member: str | None) -> Sequence[Mapping[str, Any]]:
    if answer.status != 200:
        raise Violation(f"list was answered {answer.status} {answer.body[:200]!r}")
    shown = json.loads(answer.body)
    items: Sequence[Mapping[str, Any]] = shown if member is None else shown[member]
    return items


def _presence(there: set[str], stem: str) -> list[Found]:
    """Of each name of the case, whether it is listed."""
    return [
        Found(Saw.SOMETHING if name in there else Saw.NOTHING, name=name) for name in names_of(stem)
    ]


NAMES = 3


def names_of(stem: str) -> tuple[str, ...]:
    """The names of a case."""
    return tuple(f"{stem}-{number}" for number in range(NAMES))
