"""What the published page of private files says, statement by statement, and what the client adds."""

from __future__ import annotations

import re

import pytest

from tests.dialects.losant.conftest import AS_THE_CLIENT, Inside, Owner, key_of
from tests.tools.client import PASSWORD, Client

POSTED = {
    "name": "file.csv",
    "type": "file",
    "parentDirectory": "/",
    "fileSize": 500,
    "contentType": "text/csv",
}
THIRTEEN = {
    *("id", "applicationId", "creationDate", "lastUpdated", "authorId", "authorType", "status"),
    *("name", "type", "parentDirectory", "fileSize", "contentType", "upload"),
}
LISTED = {
    *("items", "count", "totalCount", "perPage", "page", "filter", "filterField", "sortField"),
    *("sortDirection", "parentExists", "applicationId"),
}
HEX24 = re.compile(r"[0-9a-f]{24}")


async def test_a_posted_file_is_answered_with_thirteen_keys(owner: Owner) -> None:
    said = await owner.ask("POST", "", POSTED)
    assert (201, THIRTEEN) == (said.status, set(said.json))
    made = said.json
    assert POSTED | {"status": "pending", "authorType": "user"} == {
        name: made[name] for name in (*POSTED, "status", "authorType")
    }
    assert owner.application == made["applicationId"]
    assert all(HEX24.fullmatch(made[name]) for name in ("id", "applicationId", "authorId"))
    for name in ("creationDate", "lastUpdated"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made[name])
    assert {"url", "fields"} == set(made["upload"])


async def test_a_list_has_the_documented_keys_and_defaults(owner: Owner) -> None:
    for name in ("b", "a"):
        await owner.awaited(name)
    said = await owner.ask("GET", f"?{AS_THE_CLIENT}&losantdomain=example.com")
    assert (200, LISTED) == (said.status, set(said.json))
    rest = {name: value for name, value in said.json.items() if name != "items"}
    assert {
        "count": 2,
        "totalCount": 2,
        "perPage": 100,
        "page": 0,
        "filter": "",
        "filterField": "",
        "sortField": "lastUpdated",
        "sortDirection": "asc",
        "parentExists": True,
        "applicationId": owner.application,
    } == rest
    assert ["b", "a"] == [item["name"] for item in said.json["items"]]  # as they were made


@pytest.mark.parametrize(
    ("expected", "query"),
    [
        pytest.param(["a.csv", "b.txt", "docs"], "sortField=name", id="sortField"),
        pytest.param(
            ["docs", "b.txt", "a.csv"], "sortField=name&sortDirection=desc", id="direction"
        ),
        pytest.param(
            ["docs", "b.txt", "a.csv"], "sortField=name&sortDirection=DESC", id="in capitals"
        ),
        pytest.param(["b.txt"], "sortField=name&perPage=1&page=1", id="page"),
        pytest.param([], "sortField=name&perPage=2&page=2", id="a page too far"),
        pytest.param(["a.csv"], "filterField=name&filter=a.csv", id="filter"),
        pytest.param(["a.csv"], "filterField=name&filter=*.c?v", id="globbing"),
        pytest.param([], "filterField=name&filter=.c", id="the whole name"),
        pytest.param(
            ["a.csv", "b.txt", "docs"], "filter=nothing&sortField=name", id="filter of no field"
        ),
        pytest.param(
            ["a.csv", "b.txt", "docs"],
            "filterField=&filter=&sortField=name&type=&status=&directory=&urlTTL=&sortDirection=",
            id="blank is not given",
        ),
        pytest.param(["docs"], "type=directory&sortField=name", id="type"),
        pytest.param(["a.csv", "docs"], "status=completed&sortField=name", id="completed"),
        pytest.param(["b.txt"], "status=pending", id="pending"),
        pytest.param(["b.txt"], "directory=/docs/", id="directory"),
        pytest.param(["b.txt"], "directory=docs", id="directory without slashes"),
        pytest.param(["a.csv", "docs"], "directory=/&sortField=name", id="the root"),
    ],
)
async def test_a_list_is_of_what_was_asked_for(
    owner: Owner, expected: list[str], query: str
) -> None:
    await owner.directory("docs")
    await owner.file("a.csv")
    await owner.awaited("b.txt", "/docs/")
    said = await owner.ask("GET", f"?{query}")
    assert expected == [item["name"] for item in said.json["items"]]
    assert len(expected) == said.json["count"]


async def test_a_directory_that_is_not_there_has_nothing_in_it(owner: Owner) -> None:
    await owner.awaited("file")
    for path in ("/absent/", "/file/"):
        said = await owner.ask("GET", f"?directory={path}")
        assert (200, [], False) == (said.status, said.json["items"], said.json["parentExists"])


async def test_a_file_is_seen_uploaded_anew_moved_and_deleted(owner: Owner, inside: Inside) -> None:
    await owner.directory("b")
    made = await owner.awaited("a.txt", fileSize=5)
    await inside.complete(key_of(made), b"first")
    one = f"/{made['id']}?{AS_THE_CLIENT}"

    seen = await owner.ask("GET", one)
    assert (200, "completed", 5) == (seen.status, seen.json["status"], seen.json["fileSize"])
    assert made["id"] == seen.json["id"]

    again = await owner.ask("PATCH", one, {"fileSize": 6, "contentType": "text/csv"})
    assert (201, 6, "text/csv") == (again.status, again.json["fileSize"], again.json["contentType"])
    record = await inside.complete(key_of(again.json), b"second")
    assert (b"second", "text/csv") == (await inside.content(record), record.content_type)

    moved = await owner.ask(
        "POST", f"/{made['id']}/move?name=c.txt&parentDirectory=/b&{AS_THE_CLIENT}", {}
    )
    assert (201, "c.txt", "/b/") == (
        moved.status,
        moved.json["name"],
        moved.json["parentDirectory"],
    )
    assert made["id"] != moved.json["id"]
    assert 404 == (await owner.ask("GET", one)).status

    gone = await owner.ask("DELETE", f"/{moved.json['id']}?{AS_THE_CLIENT}", {})
    assert (200, {"success": True}) == (gone.status, gone.json)
    assert 404 == (await owner.ask("GET", f"/{moved.json['id']}")).status


async def test_a_log_in_gives_the_users_id_and_a_token(owner: Owner, nobody: Client) -> None:
    body = {"email": "owner@email.com", "password": PASSWORD}
    said = await nobody.ask("POST", f"/auth/user?{AS_THE_CLIENT}", body)
    assert (200, {"userId", "token"}) == (said.status, set(said.json))
    made = await owner.awaited("a")
    assert made["authorId"] == said.json["userId"]
    again = Owner(
        Client(nobody.session, nobody.url, said.json["token"]), owner.application, owner.inside
    )
    assert ["/a"] == await again.paths()


@pytest.mark.parametrize(
    ("status", "kind", "method", "path", "body"),
    [
        pytest.param(400, "Validation", "GET", "/applications/nonsense/privateFiles", ..., id="400"),
        pytest.param(401, "Unauthorized", "POST", "/auth/user", {"email": "x@y.com", "password": "wrong-one"}, id="401"),
        pytest.param(404, "NotFound", "GET", f"/applications/{'0' * 24}/privateFiles", ..., id="404"),
        pytest.param(404, "NotFound", "GET", "/applications/a/b/c", ..., id="no route"),
        pytest.param(405, "MethodNotAllowed", "PUT", "/applications", {}, id="405"),
        pytest.param(413, "PayloadTooLarge", "POST", "/applications", {"name": "x" * 2_000_000}, id="413"),
        pytest.param(415, "UnsupportedMediaType", "POST", "/applications", ..., id="415"),
    ],
)  # fmt: skip
async def test_an_error_has_type_and_message(
    owner: Owner, status: int, kind: str, method: str, path: str, body: object
) -> None:
    said = await owner.client.ask(method, path, body)
    assert (status, {"type", "message"}) == (said.status, set(said.json))
    assert kind == said.json["type"]


async def test_the_published_example_of_an_error_is_word_for_word(owner: Owner) -> None:
    said = await owner.client.ask("GET", f"/applications/{'a' * 24}")
    assert {"type": "NotFound", "message": "Application was not found"} == said.json
