"""What cannot be meant gets an error in the API's form, quickly, and leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from tests.dialects.losant.conftest import Owner
from tests.tools.client import Answer
from tests.tools.waiting import PATIENCE_SECONDS

GOOD: dict[str, object] = {"name": "a", "type": "file"}
DEEP = "/".join(["d"] * 600)


def post(**fields: object) -> dict[str, object]:
    """A good body with these members changed; one that is ``...`` is left out."""
    return {name: value for name, value in (GOOD | fields).items() if value is not ...}


@pytest.mark.parametrize(
    ("expected", "body"),
    [
        pytest.param(400, post(name=...), id="no name"),
        pytest.param(400, post(name=""), id="empty name"),
        pytest.param(400, post(name="x" * 1025), id="name of 1025"),
        pytest.param(201, post(name="x" * 1024), id="name of 1024"),
        pytest.param(201, post(name="\U0001f600" * 1024), id="name of 1024 of four bytes"),
        pytest.param(400, post(name=".."), id="dots"),
        pytest.param(400, post(name="."), id="dot"),
        pytest.param(400, post(name="a/b"), id="slash"),
        pytest.param(400, post(name="a\0b"), id="NUL"),
        pytest.param(400, post(name="a\nb"), id="line break"),
        pytest.param(201, post(name="..."), id="three dots"),
        pytest.param(201, post(name="a%2fb*?[x]\\"), id="wild"),
        pytest.param(400, post(name=7), id="a number"),
        pytest.param(400, post(name=None), id="null"),
        pytest.param(400, post(type=...), id="no type"),
        pytest.param(400, post(type="link"), id="neither file nor directory"),
        pytest.param(400, post(type=["file"]), id="a list of types"),
        pytest.param(400, post(fileSize=-1), id="negative"),
        pytest.param(400, post(fileSize=1.5), id="fractional"),
        pytest.param(400, post(fileSize=True), id="a truth"),
        pytest.param(400, post(fileSize="5"), id="text for a number"),
        pytest.param(400, post(fileSize=1e300), id="huge"),
        pytest.param(400, post(fileSize=2**53), id="larger than a number is exact"),
        pytest.param(400, post(fileSize=None), id="no number"),
        pytest.param(201, post(fileSize=0), id="nothing"),
        pytest.param(201, post(fileSize=5.0), id="five, with a point"),
        pytest.param(400, post(contentType="nonsense"), id="content type"),
        pytest.param(400, post(contentType="text/html\r\nX: y"), id="a header in it"),
        pytest.param(400, post(contentType="text/" + "x" * 1024), id="long content type"),
        pytest.param(400, post(fileDimensions={"width": "wide"}), id="wide"),
        pytest.param(400, post(fileDimensions={"depth": 1}), id="deep"),
        pytest.param(201, post(fileDimensions={"width": 1, "height": 2.5}), id="dimensions"),
        pytest.param(400, post(colour="red"), id="unknown property"),
        pytest.param(400, post(parentDirectory="/../"), id="parent of the root"),
        pytest.param(400, post(parentDirectory="//"), id="empty part"),
        pytest.param(400, post(parentDirectory="/a//b"), id="empty part inside"),
        pytest.param(400, post(parentDirectory="/" + "x" * 1024), id="path of 1025"),
        pytest.param(400, post(parentDirectory=7), id="path is a number"),
        pytest.param(201, post(parentDirectory=""), id="empty path is the root"),
        pytest.param(404, post(parentDirectory="/absent/"), id="no such directory"),
        pytest.param(400, post(parentDirectory="/taken"), id="a directory that is a file"),
        pytest.param(409, post(name="taken"), id="name taken"),
        pytest.param(409, post(name="taken", type="directory"), id="name taken by a file"),
        pytest.param(400, post(name="x" * 1023, type="directory"), id="nothing would fit in"),
        pytest.param(400, [], id="a list"),
        pytest.param(400, b"{", id="broken"),
        pytest.param(400, b'{"name": "\\ud800", "type": "file"}', id="half a character"),
    ],
)
async def test_what_is_posted_is_checked(owner: Owner, expected: int, body: object) -> None:
    await owner.awaited("taken")
    said = await asyncio.wait_for(owner.ask("POST", "", body), PATIENCE_SECONDS)
    assert (expected, expected == 201 or set(said.json) == {"type", "message"}) == (
        said.status,
        True,
    )
    assert (2 if expected == 201 else 1) == len(await owner.all())


@pytest.mark.parametrize(
    ("expected", "query"),
    [
        pytest.param(400, "perPage=1000000", id="a million a page"),
        pytest.param(400, "perPage=1001", id="just too many"),
        pytest.param(200, "perPage=1000", id="as many as there may be"),
        pytest.param(400, "perPage=0", id="none a page"),
        pytest.param(400, "perPage=ten", id="in words"),
        pytest.param(400, "page=-1", id="page before the first"),
        pytest.param(400, "page=1.5", id="page and a half"),
        pytest.param(200, "page=1000000000", id="page a billion"),
        pytest.param(400, "page=9999999999999", id="page beyond counting"),
        pytest.param(400, "page=1&page=2", id="two pages"),
        pytest.param(400, "sortField=size", id="sortField"),
        pytest.param(400, "sortField=name;drop", id="sortField that is SQL"),
        pytest.param(400, "sortDirection=up", id="sortDirection"),
        pytest.param(400, "filterField=type", id="filterField"),
        pytest.param(400, "type=link", id="type"),
        pytest.param(400, "status=moving", id="status"),
        pytest.param(400, "directory=/a/../b", id="directory"),
        pytest.param(400, "directory=/a%00b", id="NUL in a directory"),
        pytest.param(400, "filterField=name&filter=%00", id="NUL in a filter"),
        pytest.param(400, "urlTTL=-1", id="urlTTL before now"),
        pytest.param(400, "urlTTL=604801", id="urlTTL of more than a week"),
        pytest.param(200, "urlTTL=0", id="no urls"),
        pytest.param(200, "whatever=1&_links=true", id="unknown"),
    ],
)
async def test_what_a_list_is_asked_for_is_checked(owner: Owner, expected: int, query: str) -> None:
    said = await asyncio.wait_for(owner.ask("GET", f"?{query}"), PATIENCE_SECONDS)
    assert expected == said.status
    assert expected == 200 or {"type", "message"} == set(said.json)


@pytest.mark.parametrize(
    ("expected", "query"),
    [
        pytest.param(400, "", id="nothing"),
        pytest.param(400, "?name=", id="blank"),
        pytest.param(400, "?name=a/b", id="slash"),
        pytest.param(400, "?name=" + "x" * 1025, id="long"),
        pytest.param(404, "?parentDirectory=/absent", id="to nowhere"),
        pytest.param(400, "?parentDirectory=/file", id="into a file"),
        pytest.param(409, "?name=file", id="name taken"),
        pytest.param(400, "?parentDirectory=/dir", id="into itself"),
        pytest.param(400, "?parentDirectory=/dir/inner", id="into what is in it"),
        pytest.param(400, "?name=dir", id="to where it is"),
        pytest.param(400, "?name=x&name=y", id="two names"),
    ],
)
async def test_where_a_directory_moves_is_checked(owner: Owner, expected: int, query: str) -> None:
    directory = await owner.directory("dir")
    await owner.directory("inner", "/dir/")
    await owner.file("file")
    before = await owner.paths()
    said = await owner.ask("POST", f"/{directory}/move{query}", {})
    assert (expected, {"type", "message"}) == (said.status, set(said.json))
    assert before == await owner.paths()


async def test_a_directory_has_no_upload(owner: Owner) -> None:
    directory = await owner.directory("dir")
    assert 400 == (await owner.ask("PATCH", f"/{directory}", {"fileSize": 1})).status


@pytest.mark.parametrize(
    "body", [{"name": "b"}, {"fileSize": -1}, {"type": "directory"}, [], {"fileSize": "x"}]
)
async def test_what_is_patched_is_checked(owner: Owner, body: object) -> None:
    made = await owner.awaited("a")
    assert 400 == (await owner.ask("PATCH", f"/{made['id']}", body)).status
    assert (await owner.ask("GET", f"/{made['id']}")).json["lastUpdated"] == made["lastUpdated"]


@pytest.mark.parametrize("wanted", ["nonsense", "0" * 23, "0" * 25, "g" * 24, "%00", "é" * 24])
@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/move?name=x")]
)
async def test_a_malformed_id_is_400_and_an_unknown_one_404(
    owner: Owner, wanted: str, method: str, rest: str
) -> None:
    assert 400 == (await _ask(owner, method, f"/{wanted}{rest}")).status
    assert 404 == (await _ask(owner, method, f"/{'0' * 24}{rest}")).status
    assert (
        400 == (await owner.client.ask(method, f"/applications/{wanted}{rest}/privateFiles")).status
        or method != "GET"
    )


async def _ask(owner: Owner, method: str, rest: str) -> Answer:
    return await owner.ask(method, rest, ... if method == "GET" else {})


async def test_an_id_in_capitals_is_the_same(owner: Owner) -> None:
    made = await owner.awaited("a")
    assert 200 == (await owner.ask("GET", f"/{made['id'].upper()}")).status


async def test_a_deep_directory_is_found_by_its_path(owner: Owner) -> None:
    parent = "/"
    for _ in range(12):
        await owner.directory("d" * 80, parent)
        parent += "d" * 80 + "/"
    await owner.awaited("leaf", parent)
    said = await owner.ask("GET", f"?directory={parent}")
    assert ["leaf"] == [item["name"] for item in said.json["items"]]
    assert 400 == (await owner.ask("POST", "", post(parentDirectory=DEEP))).status
