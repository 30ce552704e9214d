"""Names that somebody may give a file, and what becomes of a file on every route that takes a name.

Knows each API's words. A life ends as it began: nothing is left, so the next name finds the place empty.

Rule: a name is kept to its end, by every method, or refused at the first step and nothing is there.
"""

from __future__ import annotations

import string
import traceback
import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from yarl import URL

from tests.chance import choices, exploring
from tests.tools.losant import Application, new_application
from tests.tools.mainflux import Thing, User
from tests.tools.waiting import until

OLD, NEW = b"firmware", b"other firmware"
NAME_BYTES = 255
_ALL_SIGNS = (0, 3)  # whose addresses have the name: files by name, and ids
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
Life = Callable[["Lives", str], Awaitable[bool]]

SIGNS = [c for c in string.printable if c.isprintable() and not c.isalnum()]
_LETTERS = "aé한𝒳"  # of 1, 2, 3 and 4 bytes
_ODD = "\u212a\u0131\u017f\u1e9e\u00df\u01c5\u03a3\u03c2\u0130"  # whose other case is odd
WORDS = [
    *("a{x}.bin", "{name}", "{", "}{", "%7Bx%7D", "%22", "a%2Fb", "%", "%%%", "+ +", "a+b c.bin", "~", "-", "--x", "_"),
    *(".hidden", "a..b", "a.", "a ", " a", ".", "..", "con", "CON.txt", "com1.bin", "console", "lpt¹"),
    *("größe.bin", "GRÖẞE.BIN", "ファイル.bin", "файл.BIN", "אבג.bin", "ไฟล์.bin", "😀.bin", "👩‍💻.bin", "a\u200bb"),
    *("e\u0301.bin", "\u1e9b\u0323", "\u202ea", "a\u2028b", "a\tb", "a\nb", "a\x7fb", "a\x85b", "\ufeffa", "\uffff", "\ue000"),
    *("files", "bulk", "search", "a.sha256", "b.md5", ".sha256", "index.html", "a;b", 'a"b', "a\\b", "a/b", "a'b"),
]  # fmt: skip


def table() -> list[str]:
    """Every sign of ASCII, every length at the bounds, words that are something elsewhere, and chance."""
    signs = [f"a{sign}B.bin" for sign in SIGNS]
    ends = [f"{sign}a" for sign in SIGNS] + [f"a{sign}" for sign in SIGNS]
    odd = [f"x{letter}y" for letter in _ODD]
    everything = [*signs, *(ends if exploring() is not None else ()), *lengths(), *WORDS, *odd]
    return list(dict.fromkeys([*everything, *by_chance(12 if exploring() is None else 400)]))


def part_of_table(turn: int) -> list[str]:
    """What a route tries that has this turn: every sign, and a quarter of the rest; or, exploring, all."""
    every = table()
    if exploring() is not None:
        return every
    signs = len(SIGNS) if turn in _ALL_SIGNS else 0
    return [*every[:signs], *every[signs + turn % 4 :: 4]]


def lengths() -> Iterator[str]:
    """Names of one, of as many bytes as there may be, and of one more and one fewer."""
    for letter in _LETTERS:
        size = len(letter.encode())
        for count in (1, 2, NAME_BYTES - 1, NAME_BYTES, NAME_BYTES + 1):
            yield letter * (count // size) + "b" * (count % size)


def by_chance(count: int) -> Iterator[str]:
    """Names of letters, marks and signs of every script, as they come."""
    rng = choices("names")
    for _ in range(count):
        points = (rng.randrange(0x20, 0xE000 if rng.random() < 0.7 else 0x20000) for _ in range(6))
        text = "".join(chr(p) for p in points if not 0xD800 <= p < 0xE000)
        yield unicodedata.normalize("NFC", text) or "x"


def in_other_case(name: str) -> set[str]:
    """The name in capitals and in small letters, as far as one letter has one of each."""
    pairs = [(c.lower(), c.upper()) for c in name]
    known = [
        len(low) == len(up) == 1 and up.lower() == low and low.upper() == up for low, up in pairs
    ]
    return {
        "".join(pair[case] if k else c for c, pair, k in zip(name, pairs, known, strict=True))
        for case in (0, 1)
    }


@dataclass
class Lives:
    """Somebody who gives names, and where."""

    user: User
    thing: Thing
    group: str
    application: Application

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **what: Any
    ) -> tuple[int, bytes]:
        """One request, its address as it is."""
        url = URL(path if path.startswith("http") else self.user.url + path, encoded=True)
        credential = self.user.headers if headers is None else headers
        async with self.user.session.request(method, url, headers=credential, **what) as reply:
            return reply.status, await reply.read()

    async def json(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """What a list says."""
        url = URL(self.user.url + path, encoded=True)
        async with self.user.session.get(url, headers=headers or self.user.headers) as reply:
            assert reply.status == 200, (path, await reply.text())
            return await reply.json()


async def lives(user: User) -> Lives:
    """A thing in a group, and an application, without files."""
    thing = await user.thing()
    group = await user.group("g", thing.id)
    return Lives(user, thing, group, await new_application(user))


def form(name: str, content: bytes, field: str = "file", /, **fields: str) -> bytes:
    """A form as browsers write it: three signs escaped, all others as they are (WHATWG)."""
    written = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{written}"\r\n\r\n'
    return b"".join([*parts, head.encode(), content, b"\r\n--b--\r\n"])


def escaped(name: str) -> str:
    """The name as a part of a path: nothing is left that means something there."""
    return quote(name, safe="")


async def _read(life: Lives, url: str, headers: Mapping[str, str], content: bytes) -> None:
    assert (200, content) == await life.ask("GET", url, headers)
    assert (200, b"") == await life.ask("HEAD", url, headers)


async def _in_files(life: Lives, name: str, collection: str, headers: Mapping[str, str]) -> bool:
    """A file of the Mainflux routes, made by a form."""
    made = await life.ask("POST", collection, {**headers, **FORM}, data=form(name, OLD))
    listed = await life.json(collection, headers)
    if made[0] != 201:
        assert made[0] in (400, 404), made
        assert 0 == listed["total"], (made, listed)
        return False
    [stored] = [file["name"] for file in listed["files"]]
    assert stored == name or "%" in name, stored
    for asked in in_other_case(stored):
        assert 1 == (await life.json(f"{collection}?name={escaped(asked)}", headers))["total"], (
            asked
        )
    url = f"{collection}/{escaped(stored)}"
    await _read(life, url, headers, OLD)
    if collection != "/files":
        await _read(life, f"/groupfiles/{escaped(stored)}", life.thing.headers, OLD)
    assert 200 == (await life.ask("GET", f"{url}.sha256", headers))[0]
    replaced = await life.ask("PUT", url, {**headers, **FORM}, data=form("x", NEW))
    assert 200 == replaced[0], replaced
    await _read(life, url, headers, NEW)
    assert 200 == (await life.ask("PUT", url, headers, json={"metadata": {}}))[0]
    assert 204 == (await life.ask("DELETE", url, headers))[0]
    assert 0 == (await life.json(collection, headers))["total"]
    return True


async def of_a_thing(life: Lives, name: str) -> bool:
    return await _in_files(life, name, "/files", life.thing.headers)


async def of_a_thing_raw(life: Lives, name: str) -> bool:
    """Made by its bytes alone."""
    url, headers = f"/files/{escaped(name)}", life.thing.headers
    made = await life.ask("PUT", url, {**headers, "Content-Type": "a/b"}, data=OLD)
    if made[0] != 201:
        assert made[0] in (400, 404), made
        assert 0 == (await life.json("/files", headers))["total"]
        return False
    [stored] = (await life.json("/files", headers))["files"]
    assert name == stored["name"]
    assert 200 == (await life.ask("PUT", url, {**headers, "Content-Type": "a/b"}, data=NEW))[0]
    await _read(life, url, headers, NEW)
    assert 204 == (await life.ask("DELETE", url, headers))[0]
    return True


async def of_a_group(life: Lives, name: str) -> bool:
    return await _in_files(life, name, f"/groups/{life.group}/files", life.user.headers)


async def of_hasura(life: Lives, name: str) -> bool:
    """An id of the client's own: all but those that clients resolve away are taken."""
    url, headers = f"/v1/file/{escaped(name)}", life.user.headers
    made = await life.ask("POST", url, {**headers, "Content-Type": "a/b"}, data=OLD)
    if made[0] != 200:
        assert made[0] in (400, 404), made
        assert (await life.ask("GET", url, headers))[0] in (400, 404)
        return False
    await _read(life, url, headers, OLD)
    assert 200 == (await life.ask("PUT", url, {**headers, "Content-Type": "a/b"}, data=NEW))[0]
    await _read(life, url, headers, NEW)
    assert 200 == (await life.ask("DELETE", url, headers))[0]
    assert 404 == (await life.ask("GET", url, headers))[0]
    return True


async def of_gravwell(life: Lives, name: str) -> bool:
    """The name is a label there, the address a GUID."""
    headers = {**life.user.headers, **FORM}
    made = await life.ask("POST", "/api/files", headers, data=form("x", OLD, name=name))
    listed = await life.json("/api/files")
    if made[0] != 200:
        assert (400, []) == (made[0], listed), made
        return False
    [record] = listed
    assert name == record["Name"]
    url = f"/api/files/{record['GUID']}"
    await _read(life, url, life.user.headers, OLD)
    assert 200 == (await life.ask("GET", f"{url}.md5"))[0]
    assert 200 == (await life.ask("PUT", url, headers, data=form("x", NEW)))[0]
    await _read(life, url, life.user.headers, NEW)
    assert 200 == (await life.ask("PATCH", url, json={"Name": "other"}))[0]
    assert 200 == (await life.ask("PATCH", url, json={"Name": name}))[0]
    assert name == (await life.json(f"{url}/details"))["Name"]
    assert 200 == (await life.ask("DELETE", url))[0]
    assert [] == await life.json("/api/files")
    return True


async def of_losant(life: Lives, name: str) -> bool:
    """A file by a presigned form, and read by a signed link."""
    files, path = life.application, f"/applications/{life.application.id}/privateFiles"
    said = {"name": name, "type": "file", "fileSize": len(OLD)}
    made = await life.ask("POST", path, json=said)
    if made[0] != 201:
        assert (400, 0) == (made[0], (await life.json(path))["count"]), made
        return False
    file = await files.ask("GET", "", 200)
    [shown] = file["items"]
    assert name == shown["name"]
    asked = await files.ask("PATCH", f"/{shown['id']}", 201, json={"fileSize": len(OLD)})
    assert 204 == await files.post(asked["upload"], OLD)
    found = await life.json(f"{path}?filterField=name&filter={escaped(name)}")
    assert [name] == [item["name"] for item in found["items"]]
    link = await files.link(shown)
    await _read(life, link, {}, OLD)
    assert 200 == (await life.ask("GET", link.replace("?", ".sha256?", 1), {}))[0]
    await files.replace(shown, NEW)
    await _read(life, await files.link(shown), {}, NEW)
    assert 200 == (await life.ask("DELETE", f"{path}/{shown['id']}"))[0]
    assert 0 == (await life.json(path))["count"]
    return True


async def of_a_directory(life: Lives, name: str) -> bool:
    """A directory, what is put into it in one step, and all of it gone by its own name."""
    path = f"/applications/{life.application.id}/privateFiles"
    made = await life.ask("POST", path, json={"name": name, "type": "directory"})
    if made[0] != 201:
        assert (400, 0) == (made[0], (await life.json(path))["count"]), made
        return False
    [shown] = (await life.json(path))["items"]
    said = {"name": "f", "type": "file", "fileSize": 8, "parentDirectory": f"/{name}/"}
    assert 201 == (await life.ask("POST", path, json=said))[0]
    inside = f"{path}?directory={escaped(f'/{name}/')}"
    [file] = (await life.json(inside))["items"]
    url, headers = f"{path}/{file['id']}/upload", {**life.user.headers, **FORM}
    assert 200 == (await life.ask("POST", url, headers, data=form("x", OLD, "privateFile")))[0]
    assert 200 == (await life.ask("DELETE", f"{path}/{shown['id']}"))[0]

    async def gone() -> bool:
        return bool((await life.json(path))["count"] == 0)

    await until(gone)
    return True


LIVES: Mapping[str, Life] = {
    "a thing's file": of_a_thing,
    "a thing's file, its bytes alone": of_a_thing_raw,
    "a group's file": of_a_group,
    "Hasura's id": of_hasura,
    "Gravwell's name": of_gravwell,
    "Losant's file": of_losant,
    "Losant's directory": of_a_directory,
}


async def faults(life: Lives, live: Life, names: list[str]) -> tuple[list[str], int]:
    """What did not go as it has to, by name; and how many names were taken."""
    found, taken = [], 0
    for name in names:
        try:
            taken += await live(life, name)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the next name has its turn
            found.append(
                f"{name!r}: {fault!r:.300} {traceback.extract_tb(fault.__traceback__)[-1]}"
            )
            life = await lives(life.user)
            if len(found) > 20:
                break
    return found, taken
