"""Lists against a small model of what is meant: globbing, sorting, paging, over random trees."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.database.pool import Database
from gateway.dialects.losant.glob import like_of
from gateway.dialects.losant.paths import check_directory, check_name
from gateway.model.errors import Malformed
from tests.chance import choices
from tests.dialects.losant.conftest import Owner
from tests.tools.waiting import least_seconds

LETTERS = "ab*?%_\\.é\U0001f600"


def matches(glob: str, name: str) -> bool:
    """Whether the name is what the glob says: by trying where each star ends, a row at a time."""
    reached = {0}
    for sign in glob:
        if sign == "*":
            reached = set(range(min(reached, default=len(name) + 1), len(name) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(name) and sign in ("?", name[at])}
    return len(name) in reached


def liked(pattern: str, name: str) -> bool:
    """PostgreSQL's ``like``, for patterns of the tests' size."""
    parts: Iterator[str] = iter(pattern)
    signs = [
        {"%": ".*", "_": "."}.get(sign) or re.escape(next(parts) if sign == "\\" else sign)
        for sign in parts
    ]
    return re.fullmatch("".join(signs), name, re.DOTALL) is not None


@given(glob=st.text(LETTERS, max_size=8), name=st.text(LETTERS, max_size=8))
@example(glob="*?*", name="")
@example(glob="a**b", name="ab")
@example(glob="\\", name="\\")
def test_a_glob_becomes_a_pattern_of_the_same_meaning(glob: str, name: str) -> None:
    assert matches(glob, name) == liked(like_of(glob, longest=8), name)


@pytest.mark.parametrize(
    ("glob", "longest"),
    [("*" * 10_000, 1), ("*a" * 10_000, 1025), ("?" * 10_000, 1025), ("*?" * 1000, 1001)],
)
def test_a_pattern_is_never_longer_than_it_need_be(glob: str, longest: int) -> None:
    assert len(like_of(glob, longest=1024)) <= longest


@given(st.text(max_size=40))
def test_a_path_that_is_taken_is_canonical(text: str) -> None:
    try:
        path = check_directory(text)
    except Malformed:
        return
    assert path == check_directory(path) == check_directory(path.rstrip("/"))
    assert all(check_name(part) for part in path.strip("/").split("/") if part)


@dataclass(frozen=True)
class Listed:
    """A file as the model knows it."""

    made: int
    parent: str
    name: str
    kind: str
    status: str
    id: str

    @property
    def path(self) -> str:
        return f"{self.parent}{self.name}"


# Those that are equal in an order are told apart somehow, always in the same way.
KEYS: dict[str, Callable[[Listed], object]] = {
    "lastUpdated": lambda f: f.made,
    "creationDate": lambda f: f.made,
    "name": lambda f: f.name[:256],
    "type": lambda f: f.kind,
}


def expected(files: list[Listed], asked: dict[str, str]) -> list[Listed]:
    """All pages."""
    found = [
        file
        for file in files
        if asked.get("directory", file.parent) == file.parent
        and asked.get("type", file.kind) == file.kind
        and asked.get("status", file.status) == file.status
        and matches(asked.get("filter", "*"), file.name)
    ]
    found.sort(key=KEYS[asked["sortField"]], reverse=asked["sortDirection"] == "desc")  # type: ignore[arg-type]
    return found


async def make_tree(owner: Owner, seed: str) -> list[Listed]:
    """Some sixty files and directories, one after the other, of a few letters each."""
    random = choices(seed)
    directories, files, taken = ["/"], list[Listed](), set[str]()
    for made in range(60):
        parent = random.choice(directories)
        name = "".join(random.choices(LETTERS + "AB", k=random.randint(1, 4)))
        if random.random() < 0.05:
            name = "x" * 300 + name
        kind = random.choice(("file", "file", "directory"))
        if name in (".", "..") or f"{parent}{name}" in taken or len(parent) > 12:
            continue
        taken.add(f"{parent}{name}")
        if kind == "directory":
            found, status = await owner.directory(name, parent), "completed"
            if len(name) < 10:
                directories.append(f"{parent}{name}/")
        elif random.random() < 0.5:
            found, status = await owner.file(name, parent), "completed"
        else:
            found, status = (await owner.awaited(name, parent))["id"], "pending"
        files.append(Listed(made, parent, name, kind, status, found))
    return files


@pytest.mark.parametrize("seed", ["one", "two"])
async def test_lists_are_what_the_model_says(owner: Owner, other: Owner, seed: str) -> None:
    files = await make_tree(owner, seed)
    await make_tree(other, "of somebody else")
    random = choices(f"asked {seed}")
    for _ in range(120):
        asked = {
            "sortField": random.choice(list(KEYS)),
            "sortDirection": random.choice(("asc", "desc")),
        }
        if random.random() < 0.5:
            asked["directory"] = random.choice(files).parent
        if random.random() < 0.3:
            asked["type"] = random.choice(("file", "directory"))
        if random.random() < 0.3:
            asked["status"] = random.choice(("completed", "pending"))
        if random.random() < 0.5:
            glob = "".join(random.choices(LETTERS + "AB", k=random.randint(1, 4)))
            asked |= {
                "filterField": "name",
                "filter": random.choice((glob, random.choice(files).name)),
            }
        await check_pages(owner, asked, expected(files, asked), random.choice((1, 3, 7, 100)))


async def check_pages(
    owner: Owner, asked: dict[str, str], files: list[Listed], per_page: int
) -> None:
    """All at once, these in this order; page after page, the same."""
    whole = await owner.ask("GET", f"?{urlencode({**asked, 'perPage': 1000})}")
    ids = [item["id"] for item in whole.json["items"]]
    known, key = {file.id: file for file in files}, KEYS[asked["sortField"]]
    assert sorted(known) == sorted(ids), asked
    assert [key(file) for file in files] == [key(known[found]) for found in ids], asked
    pages = max(1, -(-len(ids) // per_page))
    for page in range(min(pages, 6)):
        query = urlencode({**asked, "perPage": per_page, "page": page})
        said = await owner.ask("GET", f"?{query}")
        wanted = ids[page * per_page : (page + 1) * per_page]
        assert wanted == [item["id"] for item in said.json["items"]], (asked, page)
        assert (len(wanted), len(ids)) == (said.json["count"], said.json["totalCount"])


@pytest.mark.parametrize(
    ("expected", "glob"),
    [
        pytest.param(200, "*" * 1900, id="1,900 stars"),
        pytest.param(200, "*a" * 900, id="stars and letters"),
        pytest.param(200, "a*" * 500 + "b", id="nearly all of the name"),
        pytest.param(200, "*" + "a" * 500 + "b*", id="a long part that is nearly there"),
    ],
)
async def test_no_filter_takes_long(
    owner: Owner, database: Database, expected: int, glob: str
) -> None:
    for number in range(20):
        await owner.awaited("a" * 1000 + str(number))

    async def filtered() -> None:
        said = await owner.ask("GET", f"?filterField=name&filter={glob}")
        assert expected == said.status

    assert await least_seconds(filtered, below=1) < 1


async def test_ten_thousand_stars_take_no_longer_than_one(owner: Owner, database: Database) -> None:
    """Beyond what a request line holds; the statement takes what the filter comes to."""
    for number in range(20):
        await owner.awaited("a" * 1000 + str(number))

    async def counted() -> None:
        counts = [
            await database.value(
                "losant/count_all", owner.application, None, "", "", like_of(glob, longest=1024)
            )
            for glob in ("*" * 10_000, "*a" * 10_000, "*a" * 500 + "b")
        ]
        assert [20, 0, 0] == counts

    assert await least_seconds(counted, below=0.5) < 0.5


async def test_every_order_is_read_off_an_index(owner: Owner, database: Database) -> None:
    """A page of a large directory is found without sorting it."""
    for number in range(5):
        await owner.directory(f"d{number}")
    async with database.session() as session:
        await session.connection.execute(FILL, owner.application)
        await session.connection.execute("analyze losant_files")
        await session.connection.execute("analyze files")
        for listing, directory in (("list_in", "/d1/"), ("list_all", None)):
            for order in ("lastupdated", "creationdate", "type", "name"):
                for direction in ("asc", "desc"):
                    text = session.statements[f"losant/{listing} by losant/{order} {direction}"]
                    plan = await session.connection.fetch(
                        f"explain {text}", owner.application, directory, "", "", 10, 20
                    )
                    lines = [row[0] for row in plan]
                    index = f"losant_files_{'in_' if directory else ''}by_{SHORT[order]}"
                    assert [line for line in lines if index in line], "\n".join([index, *lines])
                    sorts = [line for line in lines if "Sort Key" in line]
                    # What is sorted is the page that was found, by its place in it.
                    assert all("row_number" in line or "place" in line for line in sorts), lines


SHORT = {"lastupdated": "updated", "creationdate": "created", "type": "type", "name": "name"}
FILL = """
insert into files (id, kind, owner, name, content_type, attributes, creator)
select gen_random_uuid(), 'applications', APP, 'f' || n, '',
       jsonb_build_object('type', 'file', 'parent', '/d' || n % 5 || '/', 'name', 'n' || n, 'status', 'completed',
                          'generation', 0), ''
from generate_series(1, 3000) n
""".replace("APP", "$1")


async def test_a_list_while_files_are_made_is_of_one_moment(owner: Owner) -> None:
    async def make() -> None:
        for number in range(30):
            await owner.awaited(f"f{number}")

    async def read() -> list[dict[str, Any]]:
        return [(await owner.ask("GET", "?perPage=1000")).json for _ in range(30)]

    _, pages = await asyncio.gather(make(), read())
    for page in pages:
        assert page["count"] == len(page["items"])
