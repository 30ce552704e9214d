"""No cache between us and a client can take what it kept for what is there now."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.place import Place

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = Firmware(81, 200_000)
ASK, KEEP = "no-cache", "private, max-age=31536000, immutable"
OTHER = "0" * 64


@dataclass(frozen=True, slots=True)
class Asked:
    status: int
    says: str = ASK
    method: str = "GET"
    path: str = "{path}"
    headers: dict[str, str] = field(default_factory=dict)


PINNED = "{path}?sha256={digest}"
CASES = {
    "a file": Asked(200),
    "its head": Asked(200, method="HEAD"),
    "a range": Asked(206, headers={"Range": "bytes=0-9"}),
    "a large range": Asked(206, headers={"Range": "bytes=0-199998"}),
    "unchanged": Asked(304, headers={"If-None-Match": "*"}),
    "no such file": Asked(404, path="{path}x"),
    "no such range": Asked(416, headers={"Range": "bytes=200000-"}),
    "another version": Asked(412, headers={"If-Match": '"x"'}),
    "nobody": Asked(401, headers={"Authorization": ""}),
    "a version": Asked(200, KEEP, path=PINNED),
    "a version's head": Asked(200, KEEP, "HEAD", PINNED),
    "a version's range": Asked(206, KEEP, path=PINNED, headers={"Range": "bytes=0-9"}),
    "a version, unchanged": Asked(304, KEEP, path=PINNED, headers={"If-None-Match": "*"}),
    "a version that is not there": Asked(412, path=f"{{path}}?sha256={OTHER}"),
}


@pytest_asyncio.fixture(loop_scope="module")
async def published(place: Place) -> Place:
    await place.publish(IMAGE)
    return place


@pytest.mark.parametrize("asked", CASES.values(), ids=CASES)
async def test_every_answer_about_a_file_says_how_long_it_holds(
    published: Place, asked: Asked
) -> None:
    """Twice: the second may come from what was looked up for the first, or from edge mode."""
    path = asked.path.format(path=published.url, digest=IMAGE.sha256)
    headers = {**dict([published.credential]), **asked.headers}
    for _ in range(2):
        async with published.http.request(asked.method, path, headers=headers) as answer:
            await answer.read()
            said = answer.headers.getall("Cache-Control")
            assert (asked.status, [asked.says]) == (answer.status, said)
