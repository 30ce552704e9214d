"""The private files of an application: what is at which place, by the ids that come and go with creating and moving.

The value of a name is the id of the file that is there. A moved file has another id, so a move is two operations
of one interval: the old name loses its id, the new one gets one.
"""

from __future__ import annotations

import json
import random

from tests.histories.linear import ABSENT, Saw, Violation
from tests.histories.names import NOTHING, SOMETHING, Asked, Fields, Found, Step, statuses
from tests.tools.rawhttp import Answer

JSON: Fields = (("Content-Type", "application/json"),)


class Losant:
    """The names of a case, in the root directory."""

    def __init__(self, fields: Fields, application: str) -> None:
        self._fields, self._files = fields, f"/applications/{application}/privateFiles"
        self._at: dict[str, str] = {}

    def step(self, pick: random.Random, name: str, version: int, known: int | None) -> Step:
        """Something to do."""
        del version, known
        there = self._at.get(name)
        word = pick.choices("clvrm", (30, 20, 10, 15, 25))[0]
        if there is None or word == "c":
            return self._list(name) if word == "l" else self._create(name)
        if word == "v":
            return self._view(name, there)
        if word == "r":
            return self._remove(name, there)
        return self._move(pick, name, there) if word == "m" else self._list(name)

    def read(self, name: str) -> Step:
        """What is listed."""
        return self._list(name)

    def removal(self, name: str) -> Step:
        """The end of what was seen there last."""
        there = self._at.get(name)
        return self._list(name) if there is None else self._remove(name, there)

    def _create(self, name: str) -> Step:
        body = json.dumps({"name": name, "type": "file", "fileSize": 16}).encode()
        refused = statuses("create", {409: [SOMETHING]})

        def means(answer: Answer) -> list[Found]:
            return [self._made(answer, name)] if answer.status == 201 else refused(answer)

        return Step("create", Asked("POST", self._files, (*self._fields, *JSON), body), means)

    def _view(self, name: str, there: str) -> Step:
        table = {200: [Found(Saw.THIS, there)], 404: [Found(Saw.NOT_THIS, there)]}
        asked = Asked("GET", f"{self._files}/{there}?urlTTL=0", self._fields)
        return Step(f"view {name}", asked, statuses("view", table))

    def _remove(self, name: str, there: str) -> Step:
        table = {200: [Found(Saw.THIS, there, ABSENT)], 404: [Found(Saw.NOT_THIS, there)]}
        asked = Asked("DELETE", f"{self._files}/{there}", self._fields)
        return Step(f"remove {name}", asked, statuses("remove", table))

    def _move(self, pick: random.Random, name: str, there: str) -> Step:
        stem, _, number = name.rpartition("-")
        to = f"{stem}-{pick.choice([n for n in '012' if n != number])}"
        taken = Found(Saw.SOMETHING, name=to)
        refused = statuses("move", {409: [taken], 404: [Found(Saw.NOT_THIS, there)]})

        def means(answer: Answer) -> list[Found]:
            if answer.status != 201:
                return refused(answer)
            return [Found(Saw.THIS, there, ABSENT), self._made(answer, to)]

        asked = Asked("POST", f"{self._files}/{there}/move?name={to}", self._fields)
        return Step(f"move {name} to {to}", asked, means)

    def _made(self, answer: Answer, name: str) -> Found:
        made = str(json.loads(answer.body)["id"])
        self._at[name] = made
        return Found(Saw.NOTHING, left=made, name=name)

    def _list(self, name: str) -> Step:
        stem = name.rpartition("-")[0]
        path = f"{self._files}?perPage=1000&directory=/&filterField=name&filter={stem}-*"

        def means(answer: Answer) -> list[Found]:
            if answer.status != 200:
                raise Violation(f"list was answered {answer.status} {answer.body[:200]!r}")
            items = {item["name"]: str(item["id"]) for item in json.loads(answer.body)["items"]}
            self._at |= items
            names = [f"{stem}-{number}" for number in range(3)]
            return [
                Found(Saw.THIS, items[one], name=one)
                if one in items
                else Found(NOTHING.saw, name=one)
                for one in names
            ]

        return Step("list", Asked("GET", path, self._fields), means)
