"""A part of a name is found in either case, in every script, by one rule wherever names are listed."""

from __future__ import annotations

import pytest

from tests.tools.client import Client

FOUND = {
    "as it is": (True, "Übersicht.bin", "Übersicht"),
    "the rest": (True, "Übersicht.bin", "bersicht"),
    "in small letters": (True, "Übersicht.bin", "übersicht"),
    "in capitals": (True, "übersicht.bin", "ÜBERSICHT"),
    "ASCII": (True, "Gate.BIN", "gATE.b"),
    "ASCII in another name": (True, "Größe-Gate", "gate"),
    "Greek": (True, "ΑΘΉΝΑ", "αθήνα"),
    "a last sigma": (True, "ΟΔΟΣ", "οδος"),
    "Cyrillic": (True, "Прошивка", "ПРОШИВ"),
    "beyond the first plane": (True, "\U00010400x", "\U00010428"),
    "without case": (True, "ファイル", "イル"),
    "no pattern": (True, "a%_b*", "%_B*"),
    "another letter": (False, "Ubersicht.bin", "übersicht"),
    "another word": (False, "Übersicht.bin", "übersehen"),
    "longer than the name": (False, "Ü", "ÜÜ"),
    "no wildcard": (False, "abc", "a%"),
}


@pytest.mark.parametrize(("found", "name", "part"), FOUND.values(), ids=FOUND)
async def test_a_part_of_a_name(user: Client, found: bool, name: str, part: str) -> None:
    for kind in ("things", "channels"):
        await user.ask("POST", f"/{kind}", [{"name": name}, {"name": "another one"}])
    for kind in ("groups", "orgs"):
        for one in (name, "another one"):
            await user.ask("POST", f"/{kind}", {"name": one})
    expected = [name] if found else []
    for kind in ("things", "channels", "groups", "orgs"):
        async with user.session.get(
            f"{user.url}/{kind}",
            params={"name": part},
            headers={"Authorization": f"Bearer {user.token}"},
        ) as reply:
            said = await reply.json()
        assert (expected, len(expected)) == ([e["name"] for e in said[kind]], said["total"]), kind


@pytest.mark.parametrize(("found", "name", "part"), FOUND.values(), ids=FOUND)
async def test_a_part_of_a_files_name(user: Client, found: bool, name: str, part: str) -> None:
    thing = await user.thing()
    key = {"Authorization": f"Thing {thing['key']}"}
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nx\r\n--b--\r\n'
    form = {**key, "Content-Type": "multipart/form-data; boundary=b"}
    async with user.session.post(f"{user.url}/files", data=head.encode(), headers=form) as reply:
        if reply.status == 400:
            pytest.skip("no name of a file")
        assert 201 == reply.status
    for limit in ("10", "0"):
        async with user.session.get(
            f"{user.url}/files", params={"name": part, "limit": limit}, headers=key
        ) as reply:
            said = await reply.json()
        assert ([name] if found else []) == [file["name"] for file in said["files"]]
