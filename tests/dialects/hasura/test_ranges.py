"""What each form of a range gets, on the Hasura routes and on Mainflux's, directly, through nginx, and from
an nginx in edge mode.

Both columns are written by hand from the design's table and RFC 9110, section 14.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from tests.dialects.hasura.conftest import ADMIN, PASSED_ON, Hasura, Headers, exchange
from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, User, upload
from tests.tools.nginx import Nginx, running_nginx
from tests.tools.ports import HOST
from tests.tools.rawhttp import Answer, RawConnection, raw_connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 1000
IMAGE = Firmware(3, SIZE).content


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal, as both dialects say it."""

    status: int
    message: str


Expected = Refused | tuple[int, int] | None
"""The refusal, the first and the last byte of a 206, or ``None`` for a 200 with everything."""

ALL = None
MALFORMED = Refused(400, "failed to parse range/x-hasura-filestore-range header")
SEVERAL = Refused(400, "expected one and atmost one byte range in the header")
OUTSIDE_400 = Refused(400, "range not satisfiable")
OUTSIDE_416 = Refused(416, "range not satisfiable")
HUGE = "9" * 3000
Case = tuple[str, list[tuple[str, str]], Expected, Expected]


def line(value: str) -> list[tuple[str, str]]:
    return [("Range", value)]


def other(value: str) -> list[tuple[str, str]]:
    return [("X-Hasura-Filestore-Range", value)]


# fmt: off
# What the file of 1000 bytes answers:           Hasura         Mainflux
CASES: list[Case] = [
    ("no range",                     [],                                         ALL,         ALL),
    # Satisfiable
    ("the first byte",               line("bytes=0-0"),                          (0, 0),      (0, 0)),
    ("ten bytes",                    line("bytes=0-9"),                          (0, 9),      (0, 9)),
    ("ten in the middle",            line("bytes=500-509"),                      (500, 509),  (500, 509)),
    ("the last byte",                line("bytes=999-999"),                      (999, 999),  (999, 999)),
    ("open end",                     line("bytes=990-"),                         (990, 999),  (990, 999)),
    ("all, open end",                line("bytes=0-"),                           (0, 999),    (0, 999)),
    ("all, spelt out",               line("bytes=0-999"),                        (0, 999),    (0, 999)),
    ("the last byte, open end",      line("bytes=999-"),                         (999, 999),  (999, 999)),
    ("one past the end",             line("bytes=0-1000"),                       (0, 999),    (0, 999)),
    ("far past the end",             line("bytes=990-99999"),                    (990, 999),  (990, 999)),
    ("18 digits",                    line("bytes=990-999999999999999999"),       (990, 999),  (990, 999)),
    ("19 digits",                    line("bytes=990-9999999999999999999"),      (990, 999),  (990, 999)),
    ("beyond 64 bits",               line("bytes=990-18446744073709551616"),     (990, 999),  (990, 999)),
    ("a huge end",                   line(f"bytes=990-{HUGE}"),                  (990, 999),  (990, 999)),
    ("leading zeros",                line("bytes=0000-0009"),                    (0, 9),      (0, 9)),
    ("3000 leading zeros",           line(f"bytes={3000 * '0'}5-9"),             (5, 9),      (5, 9)),
    ("suffix",                       line("bytes=-10"),                          (990, 999),  (990, 999)),
    ("suffix of one",                line("bytes=-1"),                           (999, 999),  (999, 999)),
    ("suffix of all",                line("bytes=-1000"),                        (0, 999),    (0, 999)),
    ("suffix of more",               line("bytes=-1001"),                        (0, 999),    (0, 999)),
    ("a huge suffix",                line(f"bytes=-{HUGE}"),                     (0, 999),    (0, 999)),
    ("upper case",                   line("BYTES=0-9"),                          (0, 9),      (0, 9)),
    ("mixed case",                   line("Bytes=-10"),                          (990, 999),  (990, 999)),
    ("space before the element",     line("bytes= 0-9"),                         (0, 9),      (0, 9)),
    ("tab before the element",       line("bytes=\t0-9"),                        (0, 9),      (0, 9)),
    ("space after the element",      line("bytes=0-9 "),                         (0, 9),      (0, 9)),
    ("empty element after",          line("bytes=0-9,"),                         (0, 9),      (0, 9)),
    ("empty element before",         line("bytes=,0-9"),                         (0, 9),      (0, 9)),
    ("empty elements all around",    line("bytes=, ,0-9 ,,"),                    (0, 9),      (0, 9)),
    # Malformed
    ("empty value",                  line(""),                                   MALFORMED,   MALFORMED),
    ("only the unit",                line("bytes"),                              MALFORMED,   MALFORMED),
    ("no unit",                      line("0-9"),                                MALFORMED,   MALFORMED),
    ("empty unit",                   line("=0-9"),                               MALFORMED,   MALFORMED),
    ("empty set",                    line("bytes="),                             MALFORMED,   MALFORMED),
    ("only a comma",                 line("bytes=,"),                            MALFORMED,   MALFORMED),
    ("lone dash",                    line("bytes=-"),                            MALFORMED,   MALFORMED),
    ("two dashes",                   line("bytes=--"),                           MALFORMED,   MALFORMED),
    ("no dash",                      line("bytes=5"),                            MALFORMED,   MALFORMED),
    ("letters",                      line("bytes=a-b"),                          MALFORMED,   MALFORMED),
    ("reversed",                     line("bytes=9-5"),                          MALFORMED,   MALFORMED),
    ("reversed, behind the end",     line("bytes=2000-1500"),                    MALFORMED,   MALFORMED),
    ("reversed and huge",            line(f"bytes={HUGE}0-{HUGE}"),              MALFORMED,   MALFORMED),
    ("negative suffix",              line("bytes=--5"),                          MALFORMED,   MALFORMED),
    ("three numbers",                line("bytes=0-5-9"),                        MALFORMED,   MALFORMED),
    ("sign",                         line("bytes=+0-9"),                         MALFORMED,   MALFORMED),
    ("decimal point",                line("bytes=0-9.5"),                        MALFORMED,   MALFORMED),
    ("hexadecimal",                  line("bytes=0x0-0x9"),                      MALFORMED,   MALFORMED),
    ("underscore",                   line("bytes=1_0-1_9"),                      MALFORMED,   MALFORMED),
    ("arabic digits",                line("bytes=\u0660-\u0669"),                MALFORMED,   MALFORMED),
    ("spaces around the dash",       line("bytes=0 - 9"),                        MALFORMED,   MALFORMED),
    ("space before the equals sign", line("bytes =0-9"),                         MALFORMED,   MALFORMED),
    ("colon for equals sign",        line("bytes:0-9"),                          MALFORMED,   MALFORMED),
    ("content-range's form",         line("bytes 0-9/1000"),                     MALFORMED,   MALFORMED),
    ("parameter",                    line("bytes=0-9;q=1"),                      MALFORMED,   MALFORMED),
    ("quotes",                       line('"bytes=0-9"'),                        MALFORMED,   MALFORMED),
    ("one of two is malformed",      line("bytes=0-1,x"),                        MALFORMED,   MALFORMED),
    ("malformed and unsatisfiable",  line("bytes=2000-,9-5"),                    MALFORMED,   MALFORMED),
    # Several
    ("two",                          line("bytes=0-1,3-4"),                      SEVERAL,     SEVERAL),
    ("two with spaces",              line("bytes=0-1 , 3-4"),                    SEVERAL,     SEVERAL),
    ("two that touch",               line("bytes=0-4,5-9"),                      SEVERAL,     SEVERAL),
    ("the same twice",               line("bytes=0-9,0-9"),                      SEVERAL,     SEVERAL),
    ("range and suffix",             line("bytes=0-0,-1"),                       SEVERAL,     SEVERAL),
    ("one of two outside",           line("bytes=0-9,2000-"),                    SEVERAL,     SEVERAL),
    ("both outside",                 line("bytes=2000-,3000-"),                  SEVERAL,     SEVERAL),
    ("a hundred",                    line("bytes=" + ",".join(100 * ["0-9"])),   SEVERAL,     SEVERAL),
    ("two lines of one name",        line("bytes=0-1") + line("3-4"),            SEVERAL,     SEVERAL),
    # Not satisfiable
    ("starts at the end",            line("bytes=1000-"),                        OUTSIDE_400, OUTSIDE_416),
    ("lies behind the end",          line("bytes=1000-1999"),                    OUTSIDE_400, OUTSIDE_416),
    ("starts far away",              line("bytes=999999999999999999-"),          OUTSIDE_400, OUTSIDE_416),
    ("starts beyond 64 bits",        line("bytes=18446744073709551616-"),        OUTSIDE_400, OUTSIDE_416),
    ("lies hugely far away",         line(f"bytes={HUGE}-{HUGE}"),               OUTSIDE_400, OUTSIDE_416),
    ("no last bytes",                line("bytes=-0"),                           OUTSIDE_400, OUTSIDE_416),
    ("no last bytes, in zeros",      line("bytes=-000"),                         OUTSIDE_400, OUTSIDE_416),
    # Other units
    ("another unit",                 line("items=0-9"),                          MALFORMED,   ALL),
    ("a unit like ours",             line("byte=0-9"),                           MALFORMED,   ALL),
    ("another unit, several",        line("seconds=1-2,3-4"),                    MALFORMED,   ALL),
    ("another unit, empty",          line("none="),                              MALFORMED,   ALL),
    # The other header, which only Hasura has
    ("other: ten bytes",             other("bytes=0-9"),                         (0, 9),      ALL),
    ("other: open end",              other("bytes=990-"),                        (990, 999),  ALL),
    ("other: suffix",                other("bytes=-10"),                         (990, 999),  ALL),
    ("other: past the end",          other("bytes=0-5000"),                      (0, 999),    ALL),
    ("other: spaces",                other("bytes= 0-9 "),                       (0, 9),      ALL),
    ("other: malformed",             other("bytes=x"),                           MALFORMED,   ALL),
    ("other: empty",                 other(""),                                  MALFORMED,   ALL),
    ("other: another unit",          other("items=0-9"),                         MALFORMED,   ALL),
    ("other: several",               other("bytes=0-1,3-4"),                     SEVERAL,     ALL),
    ("other: outside",               other("bytes=1000-"),                       OUTSIDE_400, ALL),
    ("other: no last bytes",         other("bytes=-0"),                          OUTSIDE_400, ALL),
    # Both at once
    ("both alike",                   line("bytes=0-9") + other("bytes=0-9"),     (0, 9),      (0, 9)),
    ("both alike but for spaces",    line("bytes=0-9") + other(" bytes=0-9 "),   (0, 9),      (0, 9)),
    ("both, differing",              line("bytes=0-9") + other("bytes=5-9"),     SEVERAL,     (0, 9)),
    ("both, one malformed",          line("bytes=0-9") + other("x"),             SEVERAL,     (0, 9)),
    ("both malformed alike",         line("x") + other("x"),                     MALFORMED,   MALFORMED),
    ("both outside alike",           line("bytes=-0") + other("bytes=-0"),       OUTSIDE_400, OUTSIDE_416),
]

# What the empty file answers, which has no byte to point at.
EMPTY_CASES: list[Case] = [
    ("no range",                     [],                                         ALL,         ALL),
    ("first byte",                   line("bytes=0-0"),                          OUTSIDE_400, OUTSIDE_416),
    ("open end",                     line("bytes=0-"),                           OUTSIDE_400, OUTSIDE_416),
    ("behind the end",               line("bytes=1-"),                           OUTSIDE_400, OUTSIDE_416),
    ("no last bytes",                line("bytes=-0"),                           OUTSIDE_400, OUTSIDE_416),
    ("suffix",                       line("bytes=-5"),                           ALL,         ALL),
    ("malformed",                    line("bytes=-"),                            MALFORMED,   MALFORMED),
    ("several",                      line("bytes=0-0,1-1"),                      SEVERAL,     SEVERAL),
    ("other: first byte",            other("bytes=0-0"),                         OUTSIDE_400, ALL),
    ("other: suffix",                other("bytes=-5"),                          ALL,         ALL),
]
# fmt: on


def cases(table: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("case", "headers", "on_hasura", "on_mainflux"),
        [pytest.param(*case, id=case[0]) for case in table],
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(
    gateway: GatewayProcess, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Nginx]:
    """The deployed nginx in edge mode, with an authentication layer."""
    async with running_nginx(
        tmp_path_factory.mktemp("edge"),
        upstream=f"{HOST}:{gateway.port}",
        blobs=gateway.data_dir / "blobs",
        proxy_changes=PASSED_ON,
        edge=True,
    ) as running:
        yield running


@pytest.fixture(scope="module", params=["direct", "nginx", "edge"])
def way(request: pytest.FixtureRequest) -> str:
    """How a request reaches the gateway."""
    return str(request.param)


@pytest.fixture(scope="module")
def hasura(way: str, gateway: GatewayProcess, nginx: Nginx, edge: Nginx) -> Hasura:
    """The routes, each way."""
    return Hasura({"direct": gateway.port, "nginx": nginx.port, "edge": edge.port}[way])


@pytest.fixture(scope="module")
def caller(way: str, admin: User) -> Headers:
    """The admin: by our own token at the edge, which keeps no decision for asserted callers."""
    return tuple(admin.headers.items()) if way == "edge" else ADMIN


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thing(
    gateway: GatewayProcess, admin: User, http: aiohttp.ClientSession
) -> AsyncIterator[Thing]:
    """A thing that has the image and an empty file; so has everybody on the Hasura routes."""
    made = await admin.thing()
    for name, content in (("fw.bin", IMAGE), ("empty.bin", b"")):
        await upload(http, f"{gateway.url}/files", made.headers, name, content)
        await Hasura(gateway.port).create(f"/{name}", content)
    yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def raw(hasura: Hasura) -> AsyncIterator[RawConnection]:
    """One connection for all: no answer may leave it at the wrong place."""
    async with raw_connection(hasura.port) as connection:
        yield connection


def check(answer: Answer, content: bytes, expected: Expected, *, hasura: bool) -> None:
    if isinstance(expected, Refused):
        check_refused(answer, len(content), expected, hasura=hasura)
        return
    assert "bytes" == answer.head.one("Accept-Ranges")
    assert [] == answer.head.all("Transfer-Encoding")
    if expected is None:
        assert (200, content, []) == (answer.status, answer.body, answer.head.all("Content-Range"))
        return
    first, last = expected
    content_range = f"bytes {first}-{last}/{len(content)}"
    assert (206, content_range) == (answer.status, answer.head.one("Content-Range"))
    assert content[first : last + 1] == answer.body


def check_refused(answer: Answer, size: int, expected: Refused, *, hasura: bool) -> None:
    said = {"code": "bad_request", "message" if hasura else "error": expected.message}
    assert (expected.status, said) == (answer.status, json.loads(answer.body))
    where = [f"bytes */{size}"] if expected.status == 416 else []
    assert where == answer.head.all("Content-Range")


@cases(CASES)
async def test_a_range_of_a_thousand_bytes(
    raw: RawConnection,
    caller: Headers,
    thing: Thing,
    case: str,
    headers: list[tuple[str, str]],
    on_hasura: Expected,
    on_mainflux: Expected,
) -> None:
    answer = await exchange(raw, "GET", "/v1/file/fw.bin", [*caller, *headers])
    check(answer, IMAGE, on_hasura, hasura=True)
    answer = await exchange(raw, "GET", "/files/fw.bin", [*thing.headers.items(), *headers])
    check(answer, IMAGE, on_mainflux, hasura=False)


@cases(EMPTY_CASES)
async def test_a_range_of_nothing(
    raw: RawConnection,
    caller: Headers,
    thing: Thing,
    case: str,
    headers: list[tuple[str, str]],
    on_hasura: Expected,
    on_mainflux: Expected,
) -> None:
    answer = await exchange(raw, "GET", "/v1/file/empty.bin", [*caller, *headers])
    check(answer, b"", on_hasura, hasura=True)
    answer = await exchange(raw, "GET", "/files/empty.bin", [*thing.headers.items(), *headers])
    check(answer, b"", on_mainflux, hasura=False)


@pytest.mark.parametrize("name", ["Range", "X-Hasura-Filestore-Range"])
async def test_if_range_decides_whether_either_header_counts(
    hasura: Hasura, caller: Headers, thing: Thing, name: str
) -> None:
    etag = (await hasura.ask("HEAD", "/fw.bin")).head.one("ETag")
    asked = (*caller, (name, "bytes=0-9"))
    held = await hasura.ask("GET", "/fw.bin", (*asked, ("If-Range", etag)))
    check(held, IMAGE, (0, 9), hasura=True)
    for not_held in ('"another"', f"W/{etag}", "Thu, 01 Jan 1970 00:00:00 GMT", "nonsense"):
        whole = await hasura.ask("GET", "/fw.bin", (*asked, ("If-Range", not_held)))
        check(whole, IMAGE, ALL, hasura=True)
    ignored = (*caller, (name, "bytes=x"), ("If-Range", '"another"'))
    check(await hasura.ask("GET", "/fw.bin", ignored), IMAGE, ALL, hasura=True)


@pytest.mark.parametrize("value", ["bytes=0-9", "bytes=x", "bytes=1000-"])
async def test_head_has_no_ranges(hasura: Hasura, thing: Thing, value: str) -> None:
    head = await hasura.ask("HEAD", "/fw.bin", (*ADMIN, *line(value), *other(value)))
    assert (200, str(SIZE)) == (head.status, head.head.one("Content-Length"))
