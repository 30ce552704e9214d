"""Downloads of user files: the same answers, but for the words of refusals."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio

from tests.tools.gravwell import FILES, put_user_file
from tests.tools.mainflux import User
from tests.tools.rawhttp import Answer, RawConnection
from tests.web import test_downloads as suite
from tests.web.conftest import Published
from tests.web.test_downloads import *  # noqa: F403 - the same tests, of other routes
from tests.web.test_downloads import IMAGE, SEVERAL, SIZE, UNSATISFIABLE

# What those tests upload and ask for by name, in the other dialect's words or under its paths.
del test_the_root_has_the_same_file_as_the_prefix  # noqa: F821
del test_the_edge_knows_a_satisfiable_range_from_another  # noqa: F821
del test_a_name_of_any_script_comes_back  # noqa: F821
del test_an_empty_file_is_a_file  # noqa: F821
del test_an_unknown_method_is_refused_in_json  # noqa: F821
del test_an_invented_method_is_refused_in_json  # noqa: F821
del test_other_refusals_come_before_ranges  # noqa: F821
del test_any_other_range_is_refused_in_json  # noqa: F821
del test_conditions_are_judged_in_order  # noqa: F821
del test_behind_nginx_it_is_nginx_that_sends  # noqa: F821
del test_a_client_cannot_ask_for_the_place_of_a_blob  # noqa: F821
del test_a_stranger_cannot_ask_for_the_place_of_a_blob_either  # noqa: F821


MALFORMED = "failed to parse the range"


def check_line(answer: Answer, status: int, sentence: str) -> None:
    assert (status, f"{sentence}\n".encode()) == (answer.status, answer.body)
    assert answer.head.one("Content-Type") == "text/plain; charset=utf-8"


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these routes say instead."""
    monkeypatch.setattr(suite, "CONTENT_TYPE", "application/octet-stream")
    monkeypatch.setattr(suite, "check_refusal", check_line)
    monkeypatch.setattr(suite, "MALFORMED", MALFORMED)


del published, key  # noqa: F821 - they are others here


@pytest_asyncio.fixture(name="published", scope="module", loop_scope="module")
async def user_file(admin: User) -> Published:
    """The image, uploaded once."""
    guid = await put_user_file(admin, IMAGE.content, Name="fw 1.bin")
    return Published(IMAGE, "fw 1.bin", f"{FILES}/{guid}")


@pytest.fixture(name="key")
def token(admin: User) -> tuple[str, str]:
    """The user's credential as a header."""
    [pair] = admin.headers.items()
    return pair


@pytest.mark.parametrize(
    ("header", "status", "sentence"),
    [
        pytest.param("bytes=0-1,3-4", 400, SEVERAL, id="two"),
        pytest.param("bytes=9-5", 400, MALFORMED, id="reversed"),
        pytest.param("bytes=300000-", 416, UNSATISFIABLE, id="behind the end"),
        pytest.param("bytes=-0", 416, UNSATISFIABLE, id="no last bytes"),
    ],
)
async def test_any_other_range_is_refused_in_a_line(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    header: str,
    status: int,
    sentence: str,
) -> None:
    answer = await raw.ask("GET", published.path, [key, ("Range", header)])
    check_line(answer, status, sentence)
    expected = [f"bytes */{SIZE}"] if status == 416 else []
    assert answer.head.all("Content-Range") == expected


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        pytest.param({"If-None-Match": suite.ETAG}, 304, id="the etag is known"),
        pytest.param({"If-Match": suite.OTHER_ETAG}, 412, id="must be another"),
        pytest.param({"If-Modified-Since": suite.FUTURE}, 304, id="modified since the future"),
        pytest.param({"If-None-Match": suite.ETAG, "Range": "bytes=x"}, 304, id="before a range"),
        pytest.param({"If-Match": suite.ETAG, "Range": "bytes=0-9"}, 206, id="a range of ours"),
    ],
)
async def test_conditions_count(
    raw: RawConnection,
    key: tuple[str, str],
    published: Published,
    conditions: dict[str, str],
    status: int,
) -> None:
    answer = await raw.ask("GET", published.path, [key, *conditions.items()])
    assert answer.status == status


@pytest.mark.parametrize("header", ["Authorization", "Gravwell-Token"])
async def test_what_one_user_was_sent_another_is_not(
    raw: RawConnection, admin: User, key: tuple[str, str], published: Published, header: str
) -> None:
    """Also where an nginx acts on decisions by itself, and does not know the header."""
    async with admin.session.post(
        f"{admin.url}/keys", json={"type": 2}, headers=admin.headers
    ) as answer:
        token = (await answer.json())["value"]
    good = ("Authorization", f"Bearer {token}") if header == "Authorization" else (header, token)
    for _ in range(2):
        assert (await raw.ask("GET", published.path, [good])).body == IMAGE.content
        assert (await raw.ask("GET", published.path, [(header, "Bearer x")])).status == 401
        assert (await raw.ask("GET", published.path, [])).status == 401
    assert (await raw.ask("GET", published.path, [key, ("Gravwell-Token", "x")])).status == 401


async def test_admin_mode_is_another_address(
    raw: RawConnection, admin: User, key: tuple[str, str], published: Published
) -> None:
    """A GUID is none to who asks as administrator, a decision for the one is none for the other."""
    details = await raw.ask("GET", f"{published.path}/details", [key])
    thing = published.path.rpartition("/")[0] + "/" + json.loads(details.body)["ThingUUID"]
    for _ in range(2):
        assert (await raw.ask("GET", published.path, [key])).status == 200
        assert (await raw.ask("GET", f"{published.path}?admin=true", [key])).status == 404
        assert (await raw.ask("GET", f"{thing}?admin=true", [key])).body == IMAGE.content
